//! The words of a task: its id, its name, its states, what a trap ran through.
//!
//! The lowest layer: it imports nothing of ours.

pub mod backtrace;
mod exception;
mod id;
mod json;
mod name;
mod queue;
mod signature;
mod state;

pub use exception::Exception;
pub use id::{Fence, TaskId, TaskIdError};
pub use json::Json;
pub use name::{ModuleName, NameError, TaskName};
pub use queue::{ExchangeType, QueueShape, QueueShapes};
pub use signature::{Kind, Signature, SignatureError};
pub use state::State;
