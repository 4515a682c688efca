//! The attribute `#[task]` and the macro `export!` of `celeriac-sdk`, which re-exports both.
//!
//! A task's attribute ([`attribute`]) and parameters ([`parameters`]) are read and checked here, at
//! compile time; [`expand`] writes what the SDK needs to call the function.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "syntax grows with Rust, and what is unknown here is refused"
)]

mod attribute;
mod duration;
mod expand;
mod export;
mod parameters;
mod returns;
mod size;

use proc_macro::TokenStream;

/// Makes a task of a function.
///
/// ```text
/// /// Counts the words of a text.
/// #[task(time_limit = "30s", memory = "32MiB", max_retries = 5, backoff = "1s..10m")]
/// fn word_count(ctx: &Context, text: String, #[task(default = false)] unique: bool) -> Result<u64, TaskError> {
/// ```
///
/// The function stays as it is and can be called in unit tests. Its name is the task's name, its
/// doc comment tells people what it does. `ctx: &Context` comes first where it is wanted; every
/// other parameter takes an argument by position or by name, as in Python. Values and results are
/// types that implement `serde::Deserialize`, `serde::Serialize` and `schemars::JsonSchema`. A
/// function returns a value, or a `Result` whose error turns into a `TaskError` with `?`.
///
/// # What the task asks for
///
/// | key | form | meaning |
/// |---|---|---|
/// | `time_limit` | `"30s"` | hard limit on the time of one attempt |
/// | `soft_time_limit` | `"25s"` | when the attempt is asked to stop; below `time_limit` |
/// | `cpu` | `"10s"` | hard limit on CPU time |
/// | `memory` | `"32MiB"` | hard limit on memory |
/// | `result` | `"1MiB"` | hard limit on the size of the result |
/// | `max_retries` | `5` | retries after the first attempt |
/// | `backoff` | `"1s..10m"` or `"30s"` | delay of the first retry, doubled up to the second; or one delay for all; without it the worker's, 180 s as in Celery |
/// | `jitter` | `true` | a random delay between zero and the computed one; on by default with a range, as in Celery |
/// | `retry_on` | `["ConnectionError"]` | prefixes of failure kinds that are retried |
/// | `at_most_once` | | acknowledge before the start: a second run is worse than none |
/// | `wants` | `["secret:API_TOKEN"]` | grants it would like to have: `config:NAME`, `secret:NAME`, `key-value`, `scratch`, `submit:TASK`, `http:HOST`; `celeriac push` tells which of them it has |
/// | `accept` | `["application/x-shop"]` | content types whose bodies come as a `Payload` of bytes |
///
/// # Parameters
///
/// | attribute | meaning |
/// |---|---|
/// | `#[task(default = EXPR)]` | the value of a parameter that a call leaves out |
/// | `#[task(args)] rest: Vec<T>` | Python's `*rest`; what follows is by name only |
/// | `#[task(keyword_only)]` | by name only |
/// | `#[task(kwargs)] options: BTreeMap<String, T>` | Python's `**options`; the last |
#[proc_macro_attribute]
pub fn task(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(attribute.into(), item.into()).into()
}

/// Makes a component of tasks: `celeriac_sdk::export!(word_count, slugify);`.
///
/// Once per crate, with the path of every function marked with `#[task]`.
#[proc_macro]
pub fn export(tasks: TokenStream) -> TokenStream {
    export::expand(tasks.into()).into()
}
