//! The words of a task: its id, its name, its states, what a trap ran through.
//!
//! The lowest layer: it imports nothing of ours.

pub mod backtrace;
mod exception;
mod format;
mod id;
mod name;
mod queue;
mod state;

pub use exception::Exception;
pub use format::{Accept, Format};
pub use id::{Fence, TaskId, TaskIdError};
pub use name::{ModuleName, NameError, TaskName};
pub use queue::{ExchangeType, QueueShape, QueueShapes};
pub use state::State;
