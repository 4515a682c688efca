//! Who takes turns, and how one turn goes.

use crate::{Bare, Burn};
use std::fmt;
use std::path::Path;
use support::{Python, Redis, Stage};

/// Tasks of one turn. Celery gets fewer: it is slower by an order of magnitude.
const TASKS: usize = if cfg!(debug_assertions) {
    1_000
} else {
    20_000
};
const CELERY_TASKS: usize = if cfg!(debug_assertions) { 300 } else { 4_000 };
/// The database of Redis that holds results; brokers use the first.
const RESULTS: u32 = 1;
/// Celery's release.
const RELEASE: &str = "5.7";

/// One of those that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    /// Our worker, the real program with its defaults.
    Ours,
    /// Celery's worker with its defaults and as many processes as cores.
    Celery,
    /// A client that runs nothing.
    Bare,
}

impl Contender {
    /// All of them, in the order of their turns.
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Celery, Self::Bare];
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "celeriac",
            Self::Celery => "Celery",
            Self::Bare => "bare client",
        })
    }
}

/// Everything the turns on one broker need.
pub(crate) struct Stand<'a> {
    redis: &'a Redis,
    broker: &'a str,
    bare: Bare,
    stage: Stage,
    python: Python,
}

impl<'a> Stand<'a> {
    /// Prepares turns on a broker; `component` is pushed as the module `bench`.
    pub(crate) fn new(redis: &'a Redis, broker: &'a str, bare: Bare, component: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
        let stage = Stage::new(env!("CARGO_BIN_EXE_celeriac"), "")
            .with("broker", broker)
            .with("result_backend", &redis.url(RESULTS));
        stage.json(&["push", component, "--name", "bench"]);
        Self {
            redis,
            broker,
            bare,
            stage,
            python: Python::new(&target, RELEASE, root.join("tests/python")),
        }
    }

    /// Does one turn, and returns tasks per second.
    pub(crate) fn turn(&self, contender: Contender) -> f64 {
        let flushed = self.redis.cli(0, &["FLUSHALL"]);
        assert_eq!(flushed, "OK", "a server of our own is emptied");
        let results = self.redis.url(RESULTS);
        let burn = Burn::new(&results, self.fill(contender));
        let rate = match contender {
            Contender::Ours => {
                let watched = burn.watch();
                let worker = self.stage.server(&["worker"]);
                let rate = watched.rate();
                let ended = worker.stop();
                assert_eq!(ended.code, Some(0), "{}", ended.log);
                rate
            }
            Contender::Celery => {
                let watched = burn.watch();
                let arguments = ["-A", "bench_worker", "worker", "-c", "2"];
                let worker = self.python.celery(&arguments, self.broker, &results);
                let rate = watched.rate();
                worker.stop();
                rate
            }
            Contender::Bare => {
                let watched = burn.watch();
                self.bare.run(self.broker, &results, burn.tasks());
                watched.rate()
            }
        };
        burn.verify();
        self.nothing_is_left();
        rate
    }

    /// Fills the queue with messages of Celery's client, and returns their ids.
    fn fill(&self, contender: Contender) -> Vec<String> {
        let tasks = match contender {
            Contender::Ours | Contender::Bare => TASKS,
            Contender::Celery => CELERY_TASKS,
        };
        let count = tasks.to_string();
        let ids = self.python.run("bench_fill.py", &[self.broker, &count]);
        let ids: Vec<String> = serde_json::from_value(ids).expect("a list of ids");
        assert_eq!(ids.len(), tasks);
        ids
    }

    /// Checks that every message was acknowledged; without Redis' broker these
    /// keys are never there.
    fn nothing_is_left(&self) {
        for [command, key] in [["LLEN", "celery"], ["HLEN", "unacked"]] {
            assert_eq!(self.redis.cli(0, &[command, key]), "0", "{key}");
        }
    }
}
