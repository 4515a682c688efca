//! Python's words for a call that does not fit, as CPython's `ceval.c` puts them together.

use std::fmt::Display;

use super::{ParamKind, Signature};
use crate::TaskError;

/// The kind of every binding failure.
const KIND: &str = "TypeError";

/// The longest text about a call, in bytes: names and values in it are the caller's, and as long as
/// the caller likes. The contract allows 64 KiB for a whole failure.
const MAX_TEXT: usize = 2048;

fn error(signature: Signature, text: impl Display) -> TaskError {
    let mut text = format!("{}() {text}", signature.name);
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text.push('…');
    }
    TaskError::fail(KIND, text).retryable(false)
}

pub(super) fn missing(signature: Signature, kind: ParamKind, names: &[&str]) -> TaskError {
    let which = if kind == ParamKind::KeywordOnly {
        "keyword-only"
    } else {
        "positional"
    };
    let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    let list = match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first, second] => format!("{first} and {second}"),
        [start @ .., last] => format!("{}, and {last}", start.join(", ")),
    };
    let count = names.len();
    error(
        signature,
        format_args!(
            "missing {count} required {which} argument{}: {list}",
            plural(count)
        ),
    )
}

pub(super) fn unexpected_keyword(signature: Signature, name: &str) -> TaskError {
    error(
        signature,
        format_args!("got an unexpected keyword argument '{name}'"),
    )
}

pub(super) fn multiple_values(signature: Signature, name: &str) -> TaskError {
    error(
        signature,
        format_args!("got multiple values for argument '{name}'"),
    )
}

pub(super) fn too_many_positional(
    signature: Signature,
    given: usize,
    keyword_only: usize,
) -> TaskError {
    let positional = || {
        signature
            .params
            .iter()
            .filter(|param| param.kind == ParamKind::PositionalOrKeyword)
    };
    let most = positional().count();
    let least = positional().filter(|param| param.required).count();
    let takes = if least < most {
        format!("from {least} to {most} positional arguments")
    } else {
        format!("{most} positional argument{}", plural(most))
    };
    let also = if keyword_only > 0 {
        format!(
            " positional argument{} (and {keyword_only} keyword-only argument{})",
            plural(given),
            plural(keyword_only)
        )
    } else {
        String::new()
    };
    let were = if given == 1 && keyword_only == 0 {
        "was"
    } else {
        "were"
    };
    error(
        signature,
        format_args!("takes {takes} but {given}{also} {were} given"),
    )
}

/// Not Python's, who finds out later: a value that does not have the parameter's type.
pub(super) fn wrong_type(signature: Signature, name: &str, cause: &serde_json::Error) -> TaskError {
    error(
        signature,
        format_args!("argument '{name}': {}", without_place(cause)),
    )
}

pub(super) fn not_json(
    signature: Signature,
    expected: &str,
    cause: &serde_json::Error,
) -> TaskError {
    error(
        signature,
        format_args!("takes {expected} arguments in JSON: {cause}"),
    )
}

/// Cuts the line and column off: they count from the start of the one argument, which nobody sees.
fn without_place(cause: &serde_json::Error) -> String {
    let mut text = cause.to_string();
    let place = format!(" at line {} column {}", cause.line(), cause.column());
    if text.ends_with(&place) {
        text.truncate(text.len() - place.len());
    }
    text
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
