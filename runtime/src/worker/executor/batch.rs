//! The calls of `celery.map` and `celery.starmap`: many calls of one task within one
//! attempt, each in a sandbox of its own, one after the other.
//!
//! Whoever runs an attempt sees one guest: the limits of time, of the result, of the
//! log and of HTTP are for all calls together, and the first that does not return ends it.

use super::submitted::Numbered;
use crate::celery::Request;
use crate::task::{Exception, Json, Kind, Signature};
use bytes::Bytes;
use celeriac_sandbox::{
    Attempt, Call, Capability, Failure, Limit, LimitHit, Limits, Log, Outcome, Report,
    SandboxError, Submitted, Usage,
};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Most calls of one message (100,000): as many as messages may follow from one task.
const CALLS: usize = 100_000;

/// Many calls of one task.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The task's name as the caller wrote it.
    pub(super) task: String,
    /// A JSON array for each call: its arguments.
    calls: Vec<Json>,
}

impl Batch {
    /// Reads the calls of a request; `None` where it is another task.
    pub(super) fn read(request: &Request) -> Option<Result<Self, Exception>> {
        let spreads = match request.task.as_str() {
            "celery.map" => false,
            "celery.starmap" => true,
            _ => return None,
        };
        Some(read(&request.kwargs, spreads).map_err(|reason| {
            let text = format!("{}() {reason}", request.task);
            Exception::new("builtins", "TypeError", text)
        }))
    }

    /// Runs the calls of a task, known to its component by `name`.
    pub(super) async fn run(
        &self,
        name: String,
        limits: Limits,
        mut facts: Attempt,
        each: impl Fn(Call, Limits, Attempt) -> BoxFuture<'static, Result<Report, SandboxError>>,
    ) -> Result<Report, SandboxError> {
        let numbered = facts.sender.take().map(Numbered::new).map(Arc::new);
        let mut whole = Whole::new(limits);
        for args in &self.calls {
            if let Some(raised) = facts.interrupt.raised() {
                return Ok(whole.ends(Outcome::Interrupted {
                    claimed: raised,
                    raised: Some(raised),
                }));
            }
            let left = match whole.left() {
                Ok(left) => left,
                Err(hit) => return Ok(whole.ends(Outcome::LimitHit(hit))),
            };
            let call = Call {
                task: name.clone(),
                args: Bytes::copy_from_slice(args.as_str().as_bytes()),
                kwargs: Bytes::from_static(b"{}"),
            };
            let mut facts = facts.clone();
            facts.http_used = whole.report.usage.uses.of(Capability::Http);
            let first = numbered.as_ref().map_or(0, |numbered| numbered.next());
            facts.sender = numbered.clone().map(|numbered| numbered as _);
            let report = each(call, left, facts).await?;
            if let Some(end) = whole.takes(report, first) {
                return Ok(whole.ends(end));
            }
            // Others may want the thread, or an order this to end.
            tokio::task::yield_now().await;
        }
        Ok(whole.returned())
    }
}

fn read(kwargs: &[u8], spreads: bool) -> Result<Batch, String> {
    #[derive(serde::Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        task: &'a serde_json::value::RawValue,
        #[serde(borrow)]
        it: &'a serde_json::value::RawValue,
    }
    let wire: Wire<'_> = serde_json::from_slice(kwargs)
        .map_err(|error| format!("takes the keyword arguments task and it: {error}"))?;
    let task = Signature::read(&Json::from(wire.task))
        .map_err(|error| format!("takes the signature of a task: {error}"))?;
    if task.kind != Kind::Task {
        return Err(format!("takes the signature of a task, not {}", task.task));
    }
    let items = Json::from(wire.it).first_items(CALLS + 1);
    let items = items.ok_or("takes a list of items")?;
    if items.len() > CALLS {
        return Err(format!(
            "takes at most {CALLS} items (fixed); send more in several chunks"
        ));
    }
    let mut calls = Vec::with_capacity(items.len());
    for (number, item) in items.into_iter().enumerate() {
        calls.push(match spreads {
            false => Json::array([&item]),
            true if item.as_str().starts_with('[') => item,
            true => return Err(format!("takes a list of lists, but item {number} is none")),
        });
    }
    Ok(Batch {
        task: task.task,
        calls,
    })
}

/// What all calls together have taken and given so far.
struct Whole {
    limits: Limits,
    began: Instant,
    results: Vec<u8>,
    logged: u64,
    report: Report,
}

impl Whole {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            began: Instant::now(),
            results: Vec::from(b"["),
            logged: 0,
            report: Report {
                outcome: Outcome::Ignore,
                usage: Usage::default(),
                log: Log::default(),
                progress: Vec::new(),
                submitted: Submitted::default(),
            },
        }
    }

    /// The limits of the next call: what the others have left of them.
    fn left(&self) -> Result<Limits, LimitHit> {
        let (limits, spent) = (&self.limits, self.began.elapsed());
        let lines = u32::try_from(self.report.log.lines.len()).unwrap_or(u32::MAX);
        let left = Limits {
            wall: limits.wall.saturating_sub(spent),
            soft: limits.soft.map(|soft| soft.saturating_sub(spent)),
            cpu: limits.cpu.saturating_sub(self.report.usage.cpu),
            log_bytes: limits.log_bytes.saturating_sub(self.logged),
            log_lines: limits.log_lines.saturating_sub(lines),
            ..limits.clone()
        };
        match (left.wall, left.cpu) {
            (Duration::ZERO, _) => Err(self.hit(Limit::Wall, None)),
            (_, Duration::ZERO) => Err(self.hit(Limit::Cpu, None)),
            _ => Ok(left),
        }
    }

    /// A limit of time that was hit, with its value for all calls.
    fn hit(&self, limit: Limit, wanted: Option<Duration>) -> LimitHit {
        let allowed = match limit == Limit::Cpu {
            true => self.limits.cpu,
            false => self.limits.wall,
        };
        LimitHit {
            limit,
            allowed: millis(allowed),
            wanted: wanted.map(millis),
        }
    }

    /// Adds what a call did; returns how all of it ends, if it does. `first` is the
    /// number of the first task that the call sent.
    fn takes(&mut self, report: Report, first: u32) -> Option<Outcome> {
        let Report {
            outcome,
            usage,
            log,
            progress: _,
            mut submitted,
        } = report;
        let whole = &mut self.report;
        let before = whole.usage.cpu;
        whole.usage.add(&usage);
        for line in &log.lines {
            let fields = line.fields.iter();
            let fields: usize = fields.map(|(name, value)| name.len() + value.len()).sum();
            self.logged += (line.message.len() + fields) as u64;
        }
        whole.log.lines.extend(log.lines);
        whole.log.dropped_lines += log.dropped_lines;
        whole.log.dropped_bytes += log.dropped_bytes;
        if log.dropped_lines > 0 {
            whole.log.room_lines = u64::from(self.limits.log_lines);
            whole.log.room_bytes = self.limits.log_bytes;
        }
        for submission in &mut submitted.on_success {
            submission.index = submission.index.saturating_add(first);
        }
        whole.submitted.ids.extend(submitted.ids);
        whole.submitted.on_success.extend(submitted.on_success);
        match outcome {
            Outcome::Returned(result) => self.add(&result).map(Outcome::LimitHit),
            Outcome::Ignore if submitted.replacement.is_some() => {
                Some(Outcome::Failed(irreplaceable()))
            }
            Outcome::LimitHit(hit) if hit.limit == Limit::Wall => {
                Some(Outcome::LimitHit(self.hit(Limit::Wall, None)))
            }
            Outcome::LimitHit(hit) if hit.limit == Limit::Cpu => {
                let own = hit.wanted.map(Duration::from_millis);
                let wanted = own.map(|own| before.saturating_add(own));
                Some(Outcome::LimitHit(self.hit(Limit::Cpu, wanted)))
            }
            end @ (Outcome::BadResult { .. }
            | Outcome::Failed(_)
            | Outcome::Retry(_)
            | Outcome::Reject(_)
            | Outcome::Ignore
            | Outcome::Interrupted { .. }
            | Outcome::LimitHit(_)
            | Outcome::Trapped(_)
            | Outcome::Exited { .. }) => Some(end),
        }
    }

    /// Adds a result, where there is room for it.
    fn add(&mut self, result: &[u8]) -> Option<LimitHit> {
        if self.results.len() > 1 {
            self.results.extend_from_slice(b", ");
        }
        // With the bracket at the end.
        let bytes = (self.results.len() + result.len() + 1) as u64;
        if bytes > self.limits.result_bytes {
            return Some(LimitHit {
                limit: Limit::Result,
                allowed: self.limits.result_bytes,
                wanted: Some(bytes),
            });
        }
        self.results.extend_from_slice(result);
        None
    }

    fn returned(mut self) -> Report {
        let mut results = std::mem::take(&mut self.results);
        results.push(b']');
        // One level deeper than each of the results, all of which may be deep enough.
        let json = Json::read(&String::from_utf8_lossy(&results));
        self.ends(match json.is_some_and(|json| json.is_result()) {
            true => Outcome::Returned(Bytes::from(results)),
            false => Outcome::BadResult {
                reason: "the list of all results is nested more than 128 deep (fixed)".to_owned(),
            },
        })
    }

    fn ends(mut self, outcome: Outcome) -> Report {
        self.report.usage.wall = self.began.elapsed();
        self.report.outcome = outcome;
        self.report
    }
}

/// What a task fails with that wants another to take over the work of its whole batch.
fn irreplaceable() -> Failure {
    Failure {
        kind: "ImproperlyConfigured".to_owned(),
        message: "a task that celery.map or celery.starmap calls cannot be replaced; \
                  send it as a task of its own"
            .to_owned(),
        trace: None,
        retryable: Some(false),
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
