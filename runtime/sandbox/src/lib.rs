//! The sandbox: runs one attempt of one task as a WebAssembly component.
//!
//! It is the only code that names Wasmtime, and it knows nothing of brokers,
//! tenants, retries or results. The path through it, in reading order:
//! [`compile`] turns a component into native code, [`Engine::load`] takes that
//! code in, [`Component::invoke`] runs one attempt in a fresh store with every
//! limit armed, and [`Outcome`] says what the guest did.
//!
//! A guest's failure is data ([`Outcome`]); trouble of the host is an error
//! ([`SandboxError`]). They never share a type.

mod attempt;
mod bill;
mod bindings;
mod compile;
mod component;
mod config;
mod cpu;
mod defence;
mod egress;
mod engine;
mod error;
mod grants;
mod host;
mod inspect;
mod invoke;
mod keep;
mod limits;
mod log;
mod manifest;
pub mod octets;
mod outcome;
mod scratch;
mod submit;
mod uses;
mod vouch;

pub use attempt::{Attempt, Call, Interrupt, Progress};
pub use bill::{Bill, Open};
pub use compile::{compatibility, compile};
pub use component::Component;
pub use egress::{Egress, EgressLimits, EgressSettings, HostPattern, HttpGrant, Network};
pub use engine::{Engine, EngineSettings, Pooling, TICK};
pub use error::{Refusal, SandboxError};
pub use grants::{Grants, Injection, NAME_BYTES, Secret, VALUE_BYTES, Want};
pub use inspect::{Difference, UPLOAD_BYTES, inspect};
pub use invoke::{Report, Usage};
pub use keep::{
    Drawer, KEY_VALUE_BATCH, KEY_VALUE_KEY_BYTES, KEY_VALUE_KEYS, KEY_VALUE_PAGE,
    KEY_VALUE_VALUE_BYTES, KeepError, Keeper, Keeping, Room,
};
pub use limits::Limits;
pub use log::{Level, Line, Log};
pub use manifest::{AskedLimits, Param, ParamKind, RetryPolicy, TaskInfo};
pub use outcome::{Failure, Interruption, Limit, LimitHit, Outcome, Rejection, Retry, Trap};
pub use submit::{
    HEADER_BYTES, HEADER_NAME_BYTES, HEADERS, HELD_BYTES, Job, KEY_BYTES, QUEUE_BYTES, SUBMITS,
    Sender, Sending, Signature, Submission, SubmitError, Submitted, TASK_BYTES, When, Wish,
};
pub use uses::{Capability, Use, Uses};
