//! What `#[task]` says of a function, and how the function is called.

use serde::Serialize;

use crate::bind::{ParamKind, Parameter, Signature};
use crate::bindings::exports::celeriac::task::manifest;
use crate::{Context, TaskError};

/// One call: a JSON array and a JSON object, as they came in the message.
///
/// Owned, so that they are dropped before the function starts and do not count against its memory.
#[derive(Debug, Clone)]
pub struct Call {
    /// The positional arguments.
    pub args: Vec<u8>,
    /// The keyword arguments.
    pub kwargs: Vec<u8>,
}

/// A function marked with `#[task]`, as a type of the function's name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a task",
    note = "mark the function with `#[celeriac_sdk::task]`"
)]
pub trait Task {
    /// What the component says about the task.
    const DEFINITION: Definition;

    /// Binds the arguments, calls the function and returns its result as JSON.
    ///
    /// # Errors
    /// What the function ended with, or the `TypeError` of arguments that do not fit.
    fn run(ctx: &Context, call: Call) -> Result<Vec<u8>, TaskError>;
}

/// All that `#[task]` knows at compile time.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Name and parameters.
    pub signature: Signature,
    /// Schema and default of each parameter, in the signature's order.
    pub types: &'static [ParamType],
    /// The doc comment.
    pub doc: &'static str,
    /// Prints the JSON Schema of the result.
    pub result_schema: fn() -> Option<String>,
    /// What the task asks for.
    pub limits: Limits,
    /// When a failed attempt is repeated; `None` takes the worker's default.
    pub retry: Option<RetryPolicy>,
    /// Whether the message is acknowledged before the task starts.
    pub at_most_once: bool,
    /// Grants the task would like to have.
    pub wants: &'static [&'static str],
    /// Content types of which it takes the bytes.
    pub accept: &'static [&'static str],
}

/// What a value of a parameter may be.
#[derive(Debug, Clone, Copy)]
pub struct ParamType {
    /// Prints the JSON Schema of the value; of a variadic parameter, of one of its values.
    pub schema: fn() -> Option<String>,
    /// Prints the default value as JSON.
    pub default: Option<fn() -> Option<String>>,
}

/// Limits a task asks for; `None` takes the worker's default.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Hard limit on the time of one attempt, milliseconds.
    pub wall_ms: Option<u64>,
    /// Soft limit on the same time.
    pub soft_wall_ms: Option<u64>,
    /// Hard limit on the CPU time of one attempt, milliseconds.
    pub cpu_ms: Option<u64>,
    /// Hard limit on the memory of one attempt, bytes.
    pub memory_bytes: Option<u64>,
    /// Hard limit on the size of the result, bytes.
    pub result_bytes: Option<u64>,
}

/// When and how often a failed attempt is repeated.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Retries after the first attempt; `None` takes the worker's default.
    pub max_retries: Option<u32>,
    /// Delay before the first retry, milliseconds; `None` takes the worker's.
    pub first_delay_ms: Option<u64>,
    /// Longest delay, milliseconds.
    pub max_delay_ms: u64,
    /// Growth from one delay to the next, in thousandths.
    pub factor_milli: u32,
    /// Whether the delay is chosen at random between zero and the computed one.
    pub jitter: bool,
    /// Prefixes of failure kinds that are retried.
    pub retry_kinds: &'static [&'static str],
}

impl Definition {
    /// Says it in the contract's terms.
    pub fn describe(&self) -> manifest::TaskInfo {
        let Limits {
            wall_ms,
            soft_wall_ms,
            cpu_ms,
            memory_bytes,
            result_bytes,
        } = self.limits;
        manifest::TaskInfo {
            name: self.signature.name.to_owned(),
            doc: self.doc.to_owned(),
            params: self
                .signature
                .params
                .iter()
                .zip(self.types)
                .map(|(param, kind)| kind.describe(param))
                .collect(),
            result_schema: (self.result_schema)(),
            limits: manifest::Limits {
                wall_ms,
                soft_wall_ms,
                cpu_ms,
                memory_bytes,
                result_bytes,
            },
            retry: self.retry.as_ref().map(RetryPolicy::describe),
            at_most_once: self.at_most_once,
            wants: owned(self.wants),
            extra: self.accept.iter().map(accepted).collect(),
        }
    }
}

impl ParamType {
    fn describe(&self, param: &Parameter) -> manifest::Param {
        manifest::Param {
            name: param.name.to_owned(),
            kind: match param.kind {
                ParamKind::PositionalOrKeyword => manifest::ParamKind::PositionalOrKeyword,
                ParamKind::VarPositional => manifest::ParamKind::VarPositional,
                ParamKind::KeywordOnly => manifest::ParamKind::KeywordOnly,
                ParamKind::VarKeyword => manifest::ParamKind::VarKeyword,
            },
            required: param.required,
            default: self.default.and_then(|print| print()),
            schema: (self.schema)(),
        }
    }
}

impl RetryPolicy {
    fn describe(&self) -> manifest::RetryPolicy {
        manifest::RetryPolicy {
            max_retries: self.max_retries,
            first_delay_ms: self.first_delay_ms,
            max_delay_ms: self.max_delay_ms,
            factor_milli: self.factor_milli,
            jitter: self.jitter,
            retry_kinds: owned(self.retry_kinds),
        }
    }
}

/// The hint that has a worker hand the bytes of a content type to the task.
fn accepted(content_type: &&str) -> (String, String) {
    ("accept".to_owned(), (*content_type).to_owned())
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The `Result` of a task function, whatever name it goes by.
pub trait Fallible {
    /// What a success returns.
    type Value;

    /// Makes the task's own ending of the function's.
    ///
    /// # Errors
    /// The function's error.
    fn settle(self) -> Result<Self::Value, TaskError>;
}

impl<T, E: Into<TaskError>> Fallible for Result<T, E> {
    type Value = T;

    fn settle(self) -> Result<T, TaskError> {
        self.map_err(Into::into)
    }
}

/// Prints a task's result as JSON.
///
/// # Errors
/// A failure of the kind `TypeError`, when the value has no JSON form.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, TaskError> {
    serde_json::to_vec(value).map_err(|error| {
        TaskError::fail(
            "TypeError",
            format_args!("the result has no JSON form: {error}"),
        )
    })
}
