//! The burn-down of a filled queue, seen from the results.

use redis::{Commands as _, Connection};
use serde_json::Value;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks; one is a command of Redis that counts nothing.
const LOOK: Duration = Duration::from_millis(5);
/// Longest time without a new result, the start of a worker included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Results that one command reads or counts.
const AT_ONCE: usize = 1_000;

/// The results that one turn must have.
pub(crate) struct Burn {
    url: String,
    ids: Vec<String>,
}

/// A watch of the results that began before the contender did.
pub(crate) struct Watched(JoinHandle<f64>);

impl Burn {
    /// Expects results of these tasks, in the order of their arguments.
    pub(crate) fn new(url: &str, ids: Vec<String>) -> Self {
        Self {
            url: url.to_owned(),
            ids,
        }
    }

    /// Returns how many tasks there are.
    pub(crate) fn tasks(&self) -> usize {
        self.ids.len()
    }

    /// Begins to watch.
    pub(crate) fn watch(&self) -> Watched {
        let mut server = connect(&self.url);
        let keys: Vec<String> = self.ids.iter().map(|id| document(id)).collect();
        Watched(std::thread::spawn(move || watch(&mut server, &keys)))
    }

    /// Reads every result back.
    pub(crate) fn verify(&self) {
        let mut server = connect(&self.url);
        let mut number = 0_u64;
        for ids in self.ids.chunks(AT_ONCE) {
            let keys: Vec<String> = ids.iter().map(|id| document(id)).collect();
            let texts: Vec<Option<String>> = server.mget(keys).expect("Redis answers");
            for (id, text) in ids.iter().zip(texts) {
                let text = text.expect("there is a result");
                let stored: Value = serde_json::from_str(&text).expect("it is JSON");
                let is = |name: &str, value: Value| stored.get(name) == Some(&value);
                let is_right = is("task_id", id.as_str().into())
                    && is("status", "SUCCESS".into())
                    && is("result", number.into());
                assert!(is_right, "task {id} with argument {number}: {text}");
                number += 1;
            }
        }
    }
}

impl Watched {
    /// Waits for the last result, and returns tasks per second from the first.
    pub(crate) fn rate(self) -> f64 {
        self.0.join().expect("every result is stored")
    }
}

/// Looks at the number of keys, which costs the server nothing. Records of runs
/// that have not ended are among them, so the last look counts the documents.
fn watch(server: &mut Connection, keys: &[String]) -> f64 {
    let mut begun: Option<(Instant, u64)> = None;
    let mut changed = (Instant::now(), 0);
    let all = keys.len() as u64;
    loop {
        let seen: u64 = redis::cmd("DBSIZE").query(server).expect("Redis answers");
        let now = Instant::now();
        if seen > 0 && begun.is_none() {
            begun = Some((now, seen));
        }
        if seen >= all && stored(server, keys) == all {
            break;
        }
        if seen != changed.1 {
            changed = (now, seen);
        }
        assert!(
            changed.0.elapsed() < PATIENCE,
            "{seen} of {all} results, and no other for {PATIENCE:?}"
        );
        std::thread::sleep(LOOK);
    }
    let ended = Instant::now();
    let (began, first) = begun.expect("some came");
    (all - first) as f64 / (ended - began).as_secs_f64()
}

fn stored(server: &mut Connection, keys: &[String]) -> u64 {
    let counts = keys.chunks(AT_ONCE).map(|keys| {
        let count: u64 = server.exists(keys).expect("Redis answers");
        count
    });
    counts.sum()
}

fn document(id: &str) -> String {
    format!("celery-task-meta-{id}")
}

fn connect(url: &str) -> Connection {
    let client = redis::Client::open(url).expect("it is an address");
    client.get_connection().expect("Redis is there")
}
