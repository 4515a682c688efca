//! A worker whose messages and results are in Redis, each in a server of its own, and
//! envelopes that kombu might have written.

use crate::{stage, success};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::{Redis, Server, Stage, until};

/// What a caller sees of a message that could not be read.
pub(crate) const DECODE: &str = "kombu.exceptions.DecodeError";

/// A broker and a result backend, each a server of its own.
pub(crate) struct Apart {
    pub(crate) broker: Redis,
    pub(crate) results: Option<Redis>,
    port: u16,
    pub(crate) stage: Stage,
}

impl Apart {
    pub(crate) fn new() -> Self {
        let broker = Redis::start();
        let port = support::free_port();
        let results = Redis::start_on(port);
        let stage = stage()
            .with("broker", &broker.url(0))
            .with("result_backend", &results.url(0))
            .with("worker.lease", "2s");
        for module in ["text", "report", "flaky"] {
            stage.push(module);
        }
        Self {
            broker,
            results: Some(results),
            port,
            stage,
        }
    }

    pub(crate) fn post(&self, envelope: &Value) {
        let raw = envelope.to_string();
        self.broker.push(0, "celery", raw.as_bytes());
    }

    pub(crate) fn count(&self, command: &str, key: &str) -> u64 {
        let answer = self.broker.cli(0, &[command, key]);
        answer.parse().expect("a count")
    }

    /// Every message was settled, and so many are dead.
    pub(crate) fn settled(&self, dead: u64) {
        // At one moment: a lease may lapse, and its message go back, between two looks.
        let left = "return redis.call('LLEN', 'celery') + redis.call('HLEN', 'unacked')";
        until("all settled", || {
            let left = self.broker.cli(0, &["EVAL", left, "0"]);
            (left == "0").then_some(())
        });
        assert_eq!(self.count("LLEN", "celery.dead"), dead);
        assert_eq!(self.count("ZCARD", "unacked_index"), 0);
        assert_eq!(self.count("ZCARD", "celeriac.leases.celery"), 0);
        assert_eq!(self.count("ZCARD", "celeriac.parked.celery"), 0);
    }

    pub(crate) fn reasons(&self) -> Vec<String> {
        let dead = self.stage.json(&["queues", "celery", "--dead"]);
        let dead = dead["dead"].as_array().expect("a list");
        dead.iter()
            .map(|one| one["reason"].as_str().expect("a reason").to_owned())
            .collect()
    }

    /// The result backend is gone, and what it held with it.
    pub(crate) fn lose_results(&mut self) {
        drop(self.results.take());
    }

    pub(crate) fn restart_results(&mut self) {
        self.results = Some(Redis::start_on(self.port));
    }

    /// Waits until the lease of the one held message was extended a few times,
    /// which is longer than it lasts; nobody else took it meanwhile.
    pub(crate) fn is_held(&self) {
        let (mut tags, mut ends) = (BTreeSet::new(), BTreeSet::new());
        until("the lease is kept", || {
            let held = ["ZRANGE", "celeriac.leases.celery", "0", "-1", "WITHSCORES"];
            let held = self.broker.cli(0, &held);
            let (tag, end) = held.split_once('\n')?;
            tags.insert(tag.to_owned());
            ends.insert(end.to_owned());
            (ends.len() > 5).then_some(())
        });
        assert_eq!(tags.len(), 1, "{tags:?}");
        assert_eq!(self.count("HLEN", "unacked"), 1);
        assert_eq!(self.count("LLEN", "celery"), 0);
    }

    pub(crate) fn lives(&self, worker: &Server) {
        assert_eq!(
            *success(&self.stage.call("text.word_count", r#"["a b"]"#)),
            2
        );
        assert!(!worker.log().contains("panicked"), "{}", worker.log());
    }
}

/// An envelope as kombu writes it.
pub(crate) fn envelope(id: &str, body: &str) -> Value {
    json!({
        "body": STANDARD.encode(body),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py", "task": "text.echo", "id": id, "shadow": null, "eta": null,
            "expires": null, "group": null, "group_index": null, "retries": 0,
            "timelimit": [null, null], "root_id": id, "parent_id": null, "argsrepr": "(1,)",
            "kwargsrepr": "{}", "origin": "gen1@example", "ignore_result": false,
            "replaced_task_nesting": 0, "stamped_headers": null, "stamps": {},
        },
        "properties": {
            "correlation_id": id, "reply_to": "b9938e71-6777-35c8-8aba-43dadc7e5f81",
            "delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "celery"},
            "priority": 0, "body_encoding": "base64", "delivery_tag": id,
        },
    })
}

pub(crate) fn echo(id: &str) -> Value {
    envelope(id, "[[1], {}, {}]")
}

/// An envelope with one member replaced.
pub(crate) fn with(id: &str, place: &str, value: Value) -> Value {
    let mut envelope = echo(id);
    let (parent, name) = place.rsplit_once('/').expect("a place");
    envelope.pointer_mut(parent).expect("a parent")[name] = value;
    envelope
}
