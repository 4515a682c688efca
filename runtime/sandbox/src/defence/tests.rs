//! Each defence is needed: what happens when it alone is away.
//!
//! Every test runs one attack twice. With all defences the attack ends as it
//! must; without one it succeeds, or comes to the wall that its assertion names.

mod headers;
mod meanwhile;
mod outgoing;
mod runs;
mod stores;
mod uploads;

#[path = "../../../../tests/guests/raw.rs"]
#[expect(dead_code, reason = "the tests of guests use all of it")]
mod raw;

use super::Defence;
use super::away::without;
use crate::{
    Attempt, Bill, Call, Component, Engine, EngineSettings, Grants, Limit, Limits, Outcome,
};
use crate::{Report, Sender, Sending, Signature, When, Wish, compile};
use bytes::Bytes;
use raw::Raw;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Counts what is sent through it.
#[derive(Debug, Default)]
struct Counter {
    sent: AtomicU32,
    /// Whether it takes for ever to answer.
    silent: bool,
}

impl Sender for Counter {
    fn send<'a>(&'a self, _: &'a Wish, _: When, _: u32) -> Sending<'a> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if self.silent {
            Box::pin(std::future::pending())
        } else {
            Box::pin(std::future::ready(Ok("an id".to_owned())))
        }
    }

    fn replace<'a>(&'a self, _: &'a Signature) -> Sending<'a> {
        Box::pin(std::future::ready(Ok(String::new())))
    }
}

fn load(component: &[u8]) -> Component {
    let settings = EngineSettings {
        attempts: 4,
        ..EngineSettings::default()
    };
    let engine = Engine::new(&settings).unwrap();
    engine.load(&compile(component).unwrap()).unwrap()
}

fn limits(cpu_ms: u64, wall_ms: u64) -> Limits {
    Limits {
        cpu: Duration::from_millis(cpu_ms),
        wall: Duration::from_millis(wall_ms),
        ..Limits::default()
    }
}

fn call() -> Call {
    Call {
        task: "task".to_owned(),
        args: Bytes::from_static(b"[]"),
        kwargs: Bytes::from_static(b"{}"),
    }
}

async fn invoke(component: &Component, limits: &Limits) -> Report {
    let (call, grants) = (call(), Grants::default());
    let attempt = component.invoke(&call, limits, &grants, Attempt::default());
    attempt.await.unwrap()
}

/// Runs a guest with all defences, and then without some.
async fn both(raw: &Raw, limits: &Limits, away: &[Defence]) -> (Report, Report) {
    let component = load(&raw.component());
    let defended = invoke(&component, limits).await;
    let _away = without(away);
    (defended, invoke(&component, limits).await)
}

fn may_submit() -> Grants {
    Grants {
        submit: vec!["a.*".to_owned()],
        ..Grants::default()
    }
}

#[track_caller]
fn limit(report: &Report) -> Limit {
    let Outcome::LimitHit(hit) = &report.outcome else {
        panic!("no limit: {:?}", report.outcome);
    };
    hit.limit
}

#[track_caller]
fn returned(report: &Report) -> &Bytes {
    let Outcome::Returned(bytes) = &report.outcome else {
        panic!("no result: {:?}", report.outcome);
    };
    bytes
}

#[track_caller]
fn trapped(report: &Report) -> &str {
    let Outcome::Trapped(trap) = &report.outcome else {
        panic!("no trap: {:?}", report.outcome);
    };
    &trap.message
}
