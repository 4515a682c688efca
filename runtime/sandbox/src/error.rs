//! Host trouble, and why an upload is refused.

use crate::inspect::Difference;
use std::path::PathBuf;

/// Trouble of the host while it ran a guest.
///
/// A guest cannot cause any of these: what it does is an
/// [`Outcome`](crate::Outcome).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The engine could not be set up: fail the start.
    #[error(
        "the sandbox engine does not start: {reason}; check the memory and address space limits of the process (ulimit -v)"
    )]
    Misconfigured {
        /// The engine's words.
        reason: String,
    },
    /// The authorities that outgoing HTTP is to trust cannot be used: fail the start.
    #[error("http.ca_file {path:?} cannot be used: {reason}")]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// All slots of the pool are taken: give the message back, no attempt is spent.
    #[error("all {slots} sandbox slots are taken; lower the concurrency or raise it with the pool")]
    Busy {
        /// Size of the pool.
        slots: u32,
    },
    /// A compiled artifact does not fit this engine: compile it again.
    #[error("the compiled artifact does not fit this engine: {reason}; it must be compiled again")]
    Incompatible {
        /// The engine's words.
        reason: String,
    },
    /// The component cannot be instantiated although its upload was checked.
    #[error("the component cannot be instantiated: {reason}")]
    Broken {
        /// The engine's words.
        reason: String,
    },
    /// There is no process to run it: nothing of it has run.
    #[error("no process to run the task could be started: {reason}")]
    NotStarted {
        /// Why.
        reason: String,
    },
    /// The process that ran it is gone: whether it ended, nobody knows.
    #[error("the process that ran the task is gone: {reason}")]
    Lost {
        /// How it ended.
        reason: String,
    },
}

/// Why a component is refused at upload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The file is empty.
    #[error("the file is empty; build a component with `celeriac build`")]
    Empty,
    /// The file is larger than an upload may be.
    #[error("the file has {bytes} bytes; an upload may have {allowed} (fixed)")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        allowed: u64,
    },
    /// The file is text.
    #[error("the file is text, not a compiled component; build one with `celeriac build`")]
    Text,
    /// The file is a core module.
    #[error(
        "the file is a core WebAssembly module, not a component; build for wasm32-wasip2, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// The file is native code.
    #[error(
        "the file is native code ({what}); only components are accepted, they are compiled here"
    )]
    Native {
        /// Which kind.
        what: &'static str,
    },
    /// The file is something else.
    #[error("the file is not a WebAssembly component: it begins with {start}")]
    Unknown {
        /// Its first bytes, printable.
        start: String,
    },
    /// The file is a component, but a broken one.
    #[error("the component is broken or truncated: {reason}")]
    Invalid {
        /// The validator's words, with the offset.
        reason: String,
    },
    /// Imports or exports do not fit the world.
    #[error("it does not fit celeriac:task@0.1\n{}", lines(.0))]
    World(Vec<Difference>),
    /// The component needs more of something than the sandbox gives anybody.
    #[error("the component needs {wanted} {what}; at most {allowed} are given (fixed)")]
    TooMuch {
        /// What.
        what: &'static str,
        /// How many.
        wanted: u64,
        /// The limit.
        allowed: u64,
    },
    /// What it says about its tasks cannot be used.
    #[error("its description of itself cannot be used: {reason}")]
    Description {
        /// What is wrong.
        reason: String,
    },
    /// The compiler gave up.
    #[error("it cannot be compiled: {reason}")]
    Compile {
        /// The compiler's words.
        reason: String,
    },
}

fn lines(differences: &[Difference]) -> String {
    let lines: Vec<String> = differences.iter().map(|one| format!("  {one}")).collect();
    lines.join("\n")
}
