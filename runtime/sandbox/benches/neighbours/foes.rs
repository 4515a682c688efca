//! The guests beside which the small task is measured.

use super::server;
use bytes::Bytes;
use celeriac_sandbox::{Attempt, Call, Component, Grants, Limits, Outcome};

/// The components of the foes.
#[derive(Debug, Clone)]
pub(super) struct Modules {
    pub(super) hostile: Component,
    pub(super) web: Component,
}

/// A kind of guest that does its worst.
#[derive(Debug)]
pub(super) struct Foe {
    /// What the table calls it.
    pub(super) name: &'static str,
    task: &'static str,
    /// Whether it sends requests to a server of this process.
    sends: bool,
}

const fn foe(name: &'static str, task: &'static str) -> Foe {
    Foe {
        name,
        task,
        sends: false,
    }
}

/// All of them, in the order of the table.
pub(super) const FOES: [Foe; 8] = [
    foe("a loop without end", "spin"),
    foe(
        "60 MiB written by one instruction, again and again",
        "fill_memory",
    ),
    foe("a flood of log lines", "flood_log"),
    foe("a flood of progress", "flood_progress"),
    foe("a flood of calls of the host", "poll_for_ever"),
    foe("waits for no time", "wait_zero_for_ever"),
    foe("sleepers", "sleep_in_context"),
    Foe {
        name: "a flood of requests by HTTP",
        task: "together",
        sends: true,
    },
];

/// Requests of one attempt: as many as it may send.
const REQUESTS: usize = 100;

impl Foe {
    /// Runs it under the default limits, and again whenever it has ended.
    pub(super) async fn rage(&self, modules: Modules) {
        let mut grants = Grants::default();
        let (mut component, mut args) = (modules.hostile, "[]".to_owned());
        if self.sends {
            component = modules.web;
            let url = server::url();
            let urls = vec![format!("\"{url}\""); REQUESTS];
            args = format!("[[{}]]", urls.join(","));
            grants.http.hosts = vec![url.parse().expect("it is a host")];
            grants.http.private = vec!["127.0.0.1".parse().expect("it is an address")];
        }
        let call = Call {
            task: self.task.to_owned(),
            args: Bytes::from(args),
            kwargs: Bytes::from_static(b"{}"),
        };
        let limits = Limits::default();
        let attempt = Attempt::default();
        loop {
            let report = component.invoke(&call, &limits, &grants, attempt.clone());
            let outcome = report.await.expect("the host is well").outcome;
            let is_worst = matches!(outcome, Outcome::Returned(_) | Outcome::LimitHit(_));
            assert!(is_worst, "{}: {outcome:?}", self.name);
        }
    }
}
