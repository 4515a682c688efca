//! Reading and keeping what the operator grants.

use celeriac_sdk::StoreError;
use celeriac_sdk::prelude::*;

/// Tells a configuration value.
#[task(wants = ["config:GREETING"])]
pub(crate) fn greets(ctx: &Context, name: String) -> Result<String, StoreError> {
    ctx.value(&name)
}

/// Tells how long a secret is, and nothing else of it.
#[task(wants = ["secret:API_TOKEN"])]
pub(crate) fn measures(ctx: &Context, name: String) -> Result<usize, StoreError> {
    Ok(ctx.secret(&name)?.len())
}

/// Keeps a value, and tells what was there before.
#[task(wants = ["key-value"])]
pub(crate) fn keeps(
    ctx: &Context,
    key: String,
    value: String,
) -> Result<Option<String>, TaskError> {
    let before = ctx.key_value().get(&key)?;
    ctx.key_value().set(&key, value)?;
    Ok(before.map(String::from_utf8).transpose()?)
}

/// Counts so often, one by one.
#[task]
pub(crate) fn counts(ctx: &Context, key: String, times: u32) -> Result<u64, StoreError> {
    let mut sum = 0;
    for _ in 0..times {
        sum = ctx.key_value().increment(&key, 1)?;
    }
    Ok(sum)
}

/// Keeps so many values of a size, under keys of another, and tells how many there was room
/// for, and what was said then.
#[task(time_limit = "5m", cpu = "1m")]
pub(crate) fn fills(ctx: &Context, many: u32, key: usize, value: usize) -> (u32, String) {
    let value = vec![7; value];
    for number in 0..many {
        let key = format!("{number:0key$}");
        if let Err(error) = ctx.key_value().set(&key, &value) {
            return (number, error.to_string());
        }
    }
    (many, String::new())
}

/// Lists all keys, and removes them.
#[task]
pub(crate) fn clears(ctx: &Context) -> Result<Vec<String>, StoreError> {
    let keys = ctx.key_value().keys()?;
    for key in &keys {
        ctx.key_value().delete(key)?;
    }
    Ok(keys)
}

/// Writes a file of so many bytes, and reads it back; tells its sum.
#[task(wants = ["scratch"])]
pub(crate) fn scribbles(ctx: &Context, bytes: u64) -> Result<u64, StoreError> {
    let scratch = ctx.scratch();
    let page = vec![1; 1 << 16];
    let mut written = 0;
    while written < bytes {
        let part = usize::try_from(bytes - written)
            .unwrap_or(usize::MAX)
            .min(page.len());
        scratch.write("page", written, page.get(..part).unwrap_or_default())?;
        written += part as u64;
    }
    let (mut sum, mut read) = (0, 0);
    while read < scratch.size("page")? {
        let part = scratch.read("page", read, page.len())?;
        sum += part.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        read += part.len() as u64;
    }
    Ok(sum)
}

/// Tells the scratch files it finds, and leaves one.
#[task]
pub(crate) fn litters(ctx: &Context) -> Result<Vec<String>, StoreError> {
    let found = ctx.scratch().names()?;
    ctx.scratch().write("litter", 0, b"x")?;
    Ok(found)
}
