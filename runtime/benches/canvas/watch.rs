//! A canvas that is worked off, seen from its results.

use crate::Took;
use redis::{Commands as _, Connection};
use serde_json::Value;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks; most are a command of Redis that counts one key or nothing.
const LOOK: Duration = Duration::from_millis(1);
/// Longest time for one canvas, the start of the worker included.
const PATIENCE: Duration = Duration::from_secs(300);
/// Results that one command reads or counts.
const AT_ONCE: usize = 1_000;

/// A watch of the results that began before the worker did.
pub(crate) struct Watch(JoinHandle<Took>);

impl Watch {
    /// Begins to watch the results of these tasks.
    pub(crate) fn begin(url: &str, ids: &[String]) -> Self {
        let mut server = connect(url);
        let keys: Vec<String> = ids.iter().map(|id| document(id)).collect();
        Self(std::thread::spawn(move || watch(&mut server, &keys)))
    }

    /// Waits for the last result, and returns the time since the first that was seen.
    pub(crate) fn end(self) -> Took {
        self.0.join().expect("every result is stored")
    }
}

/// Reads every result back and compares it.
pub(crate) fn verify(url: &str, ids: &[String], expected: &[u64]) {
    let mut server = connect(url);
    let pairs: Vec<(&String, &u64)> = ids.iter().zip(expected).collect();
    for pairs in pairs.chunks(AT_ONCE) {
        let keys: Vec<String> = pairs.iter().map(|(id, _)| document(id)).collect();
        let texts: Vec<Option<String>> = server.mget(keys).expect("Redis answers");
        for ((id, expected), text) in pairs.iter().zip(texts) {
            let text = text.expect("there is a result");
            let stored: Value = serde_json::from_str(&text).expect("it is JSON");
            let is = |name: &str, value: Value| stored.get(name) == Some(&value);
            let is_right = is("task_id", id.as_str().into())
                && is("status", "SUCCESS".into())
                && is("result", (**expected).into());
            assert!(is_right, "task {id}, which returns {expected}: {text}");
        }
    }
}

/// Looks for anything new, and then for the last result: which of a group is last
/// nobody knows, so all are counted from the moment at which the last one is there.
fn watch(server: &mut Connection, keys: &[String]) -> Took {
    let until = Instant::now() + PATIENCE;
    let before = size(server);
    let first = loop {
        // A record of a chord may come before the first result.
        let there = if size(server) > before {
            stored(server, keys)
        } else {
            0
        };
        if there > 0 {
            break there;
        }
        wait(until, keys, 0);
    };
    let began = Instant::now();
    let last = keys.last().map(std::slice::from_ref).unwrap_or_default();
    let all = u32::try_from(keys.len()).expect("few results");
    while stored(server, last) == 0 || stored(server, keys) < all {
        wait(until, keys, first);
    }
    Took {
        time: began.elapsed(),
        results: all - first,
    }
}

fn wait(until: Instant, keys: &[String], first: u32) {
    let all = keys.len();
    assert!(
        Instant::now() < until,
        "{all} results took longer than {PATIENCE:?}; {first} came with the first"
    );
    std::thread::sleep(LOOK);
}

fn size(server: &mut Connection) -> u64 {
    redis::cmd("DBSIZE").query(server).expect("Redis answers")
}

fn stored(server: &mut Connection, keys: &[String]) -> u32 {
    let counts = keys.chunks(AT_ONCE).map(|keys| {
        let count: u32 = server.exists(keys).expect("Redis answers");
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
