//! Values that JSON lacks, as kombu writes them: `{"__type__": "base64", "__value__": "…"}`.
//!
//! They come in as Celery's Python clients send them, and go out so that those read them back.

mod bytes;
mod payload;
mod text;
mod uuid;
mod wrapped;

pub use bytes::Bytes;
pub use payload::Payload;
pub use text::{Date, DateTime, Decimal, Time};
pub use uuid::Uuid;
