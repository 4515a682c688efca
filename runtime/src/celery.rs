//! Celery's formats: what is on the wire. No I/O, no decisions.

pub mod message;
pub mod request;

pub use message::{Message, Properties};
pub use request::{Malformed, Request, TaskCall};
