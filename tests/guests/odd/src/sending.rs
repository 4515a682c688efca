//! Sending in every way, and then ending in every way.

use celeriac_sdk::prelude::*;
use celeriac_sdk::{SubmitError, chain, chord, group};

/// Sends a task so often, at once or on success, and ends as it is told: `ok`, `fail`, `retry`
/// (once), `wait` (ten seconds in the first delivery).
#[task(max_retries = 1, backoff = "10ms", jitter = false)]
pub(crate) fn sends(
    ctx: &Context,
    task: String,
    times: u32,
    when: String,
    end: String,
    #[task(default = None)] key: Option<String>,
) -> Result<Vec<String>, TaskError> {
    let mut ids = Vec::new();
    for number in 0..times {
        let mut job = Job::new(&task).arg(number);
        if let Some(key) = &key {
            job = job.key(format!("{key} {number}"));
        }
        ids.push(match when.as_str() {
            "now" => job.submit(ctx)?,
            _ => job.on_success(ctx)?,
        });
    }
    match end.as_str() {
        "fail" => Err(TaskError::fail("ValueError", "as it was told")),
        "retry" if ctx.retries() == 0 => Err(TaskError::retry("as it was told")),
        "wait" if ctx.deliveries() == 1 => {
            ctx.set_state("SENT", &ids)?;
            ctx.sleep(Duration::from_secs(3_600))?;
            Ok(ids)
        }
        _ => Ok(ids),
    }
}

/// Tells what it was sent with: its id, root, parent, queue, retries, a header, and its argument.
#[task]
pub(crate) fn told(
    ctx: &Context,
    number: u32,
) -> (
    String,
    Option<String>,
    Option<String>,
    String,
    u32,
    Option<String>,
    u32,
) {
    let (id, root, parent) = (ctx.id(), ctx.root_id(), ctx.parent_id());
    let header = ctx.header("x-shop");
    (id, root, parent, ctx.queue(), ctx.retries(), header, number)
}

/// Sends `odd.told` with everything a job can have.
#[task]
pub(crate) fn furnishes(ctx: &Context) -> Result<String, TaskError> {
    let job = Job::new("odd.told")
        .kwarg("number", 7)
        .queue("side")
        .priority(9);
    Ok(job
        .countdown("100ms")
        .expires("1h")
        .header("x-shop", "7")
        .submit(ctx)?)
}

/// Sends itself on success until it may not any more.
#[task]
pub(crate) fn pages(ctx: &Context, page: u32) -> Result<u32, TaskError> {
    match Job::new("odd.pages").arg(page + 1).on_success(ctx) {
        Ok(_) | Err(SubmitError::QuotaExceeded) => Ok(page),
        Err(error) => Err(error.into()),
    }
}

/// Hands its work over to a task.
#[task]
pub(crate) fn replaces(ctx: &Context, task: String) -> Result<(), TaskError> {
    Err(Job::new(task).arg(7).replace(ctx))
}

/// Hands its work over to several tasks: a `chain`, a `group` or a `chord` of sums.
#[task]
pub(crate) fn divides(ctx: &Context, shape: String, number: i64) -> Result<(), TaskError> {
    let sums = [1, 2].map(|more| Job::new("numbers.add").arg(number).arg(more));
    let more = |more: i64| Job::new("numbers.add").arg(more);
    Err(match shape.as_str() {
        "chain" => {
            let [first, _] = sums;
            chain![first, more(10), more(20)].replace(ctx)
        }
        "group" => group(sums).replace(ctx),
        "chord" => chord(sums, Job::new("numbers.total")).replace(ctx),
        shape => TaskError::fail("ValueError", format_args!("{shape} is no shape")),
    })
}

/// Tries to set a header of the protocol, and tells what was said.
#[task]
pub(crate) fn forges(ctx: &Context, name: String) -> String {
    let job = Job::new("odd.told").arg(1).header(name, "x");
    job.submit(ctx).unwrap_or_else(|error| error.to_string())
}

/// Sends a group of so many on success, and tells what was said.
#[task]
pub(crate) fn groups(ctx: &Context, count: u32) -> String {
    let members = (0..count).map(|number| Job::new("odd.told").arg(number));
    let sent = group(members).on_success(ctx);
    sent.unwrap_or_else(|error| error.to_string())
}
