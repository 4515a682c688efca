//! Tasks in Rust, the same as in C, JavaScript and Python beside them.

use celeriac_sdk::prelude::*;
use std::collections::BTreeMap;

/// Adds two numbers.
#[task]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Counts how often each word occurs.
#[task]
fn words(ctx: &Context, text: String) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for word in text.split_whitespace() {
        *counted.entry(word.to_owned()).or_default() += 1;
    }
    ctx.with("words", &counted.len()).info("counted");
    counted
}

/// Fails.
#[task]
fn fails() -> Result<(), TaskError> {
    Err(TaskError::fail("ValueError", "as it was told to"))
}

/// Tells how far it is, and waits until it is asked to stop.
#[task]
fn waits(ctx: &Context) -> Result<(), TaskError> {
    ctx.progress_message(1, Some(2), "waiting");
    Ok(ctx.sleep(Duration::from_secs(600))?)
}

celeriac_sdk::export!(add, words, fails, waits);
