//! The words of a task: its id, its name, its states, what a trap ran through, and how
//! times and sizes are written.
//!
//! The lowest layer: it imports nothing of ours.

pub mod backtrace;
mod day;
mod exception;
mod format;
mod id;
mod json;
mod name;
mod portion;
mod queue;
mod rate;
mod scope;
mod share;
mod signature;
mod state;
mod tenant;
mod turn;
pub mod units;
mod used;
mod version;

pub use day::{Day, DayError};
pub use exception::Exception;
pub use format::{Accept, Format};
pub use id::{Fence, TaskId, TaskIdError};
pub use json::{Items, Json};
pub use name::{ModuleName, NameError, TaskName};
pub use portion::{Portion, PortionError};
pub use queue::{
    ExchangeType, KnownQueues, NO_FANOUT, QueueShape, QueueShapes, RESERVED_QUEUES, TooManyShapes,
    check_name, is_reserved_queue,
};
pub use rate::{Rate, RateError, RateScope};
pub use scope::{Scope, ScopeError};
pub use share::{Buckets, Share};
pub use signature::{Kind, Signature, SignatureError};
pub use state::State;
pub use tenant::{Ceiling, Quota, TenantName, TenantNameError, Weight, WeightError};
pub use turn::{PROMISES, Pace, Turn};
pub use used::{UsedGrant, UsedGrants};
pub use version::{Release, VersionError, Wanted};
