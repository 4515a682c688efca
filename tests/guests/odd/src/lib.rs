//! Well-meant tasks in situations that the examples never come into.

mod keeping;
mod sending;

use celeriac_sdk::Payload;
use celeriac_sdk::prelude::*;
use keeping::{clears, counts, fills, greets, keeps, litters, measures, scribbles};
use sending::{divides, forges, furnishes, groups, pages, replaces, sends, told};
use std::hint::black_box;

/// Runs once or not at all, and takes its time: the state PAYING tells that it runs.
#[task(at_most_once, time_limit = "5m", max_retries = 0)]
fn pays(ctx: &Context, ms: u64) -> Result<u32, TaskError> {
    ctx.set_state("PAYING", &ms)?;
    ctx.sleep(Duration::from_millis(ms))?;
    Ok(ctx.deliveries())
}

/// Runs once or not at all, and wants to be tried again.
#[task(at_most_once, max_retries = 0)]
fn hands_back(reason: String) -> Result<(), TaskError> {
    Err(TaskError::reject(reason).requeue())
}

/// Tells how often it was delivered and retried, after a while that nothing can cut short.
#[task(time_limit = "5m")]
fn stays(ctx: &Context, ms: u64) -> Result<(u32, u32), TaskError> {
    ctx.set_state("STAYING", &ms)?;
    let end = ctx.now_unix_ms() + ms;
    while ctx.now_unix_ms() < end {
        // An interruption shortens the sleep, not the stay.
        black_box(ctx.sleep(Duration::from_millis(10)).is_err());
    }
    Ok((ctx.deliveries(), ctx.retries()))
}

/// Tells how often it was delivered and retried, after a while that an interruption ends.
#[task(time_limit = "5m")]
fn waits(ctx: &Context, ms: u64) -> Result<(u32, u32), TaskError> {
    ctx.set_state("WAITING", &ms)?;
    ctx.sleep(Duration::from_millis(ms))?;
    Ok((ctx.deliveries(), ctx.retries()))
}

/// Tells the header of the caller's choice.
#[task]
fn header(ctx: &Context, name: String) -> Option<String> {
    ctx.header(&name)
}

/// Tells what it got in a format that no worker knows.
#[task(accept = ["application/x-shop"])]
fn takes(payload: Payload) -> Payload {
    payload
}

celeriac_sdk::export!(
    pays, hands_back, stays, waits, header, takes, sends, told, furnishes, pages, replaces,
    divides, forges, groups, greets, measures, keeps, counts, fills, clears, scribbles, litters
);
