//! Messages as a stranger would write them, and a count of everything stored.
//!
//! The command line sends nothing that is wrong, and one message at a time;
//! here are the tables themselves.

use crate::file::File;
use crate::stage::Stage;
use crate::wait::until;
use serde_json::{Value, json};
use sqlx::Row as _;
use std::collections::BTreeMap;

/// A message, each part as one likes.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// Its queue.
    pub queue: String,
    /// What the body claims to be.
    pub content_type: String,
    /// How its text is encoded.
    pub content_encoding: String,
    /// The headers, an object.
    pub headers: Value,
    /// The body.
    pub body: Vec<u8>,
    /// 0 to 9.
    pub priority: u8,
}

impl Letter {
    /// Makes a good message.
    #[must_use]
    pub fn new(task: &str, id: &str, args: &str) -> Self {
        Self {
            queue: "celery".to_owned(),
            content_type: "application/json".to_owned(),
            content_encoding: "utf-8".to_owned(),
            headers: json!({"lang": "py", "task": task, "id": id, "root_id": id, "retries": 0}),
            body: format!("[{args}, {{}}, {{}}]").into_bytes(),
            priority: 0,
        }
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.headers[name] = value;
        self
    }

    /// Takes a header away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        if let Value::Object(headers) = &mut self.headers {
            headers.remove(name);
        }
        self
    }

    /// Writes all but the body, as it is stored.
    pub(crate) fn envelope(&self) -> String {
        let properties = json!({"correlation_id": null, "reply_to": null, "priority": self.priority, "expiration": null});
        let envelope = json!({
            "content_type": self.content_type,
            "content_encoding": self.content_encoding,
            "headers": self.headers,
            "properties": properties,
        });
        envelope.to_string()
    }

    /// Replaces the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// How much of everything is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Results by state.
    pub states: BTreeMap<String, u64>,
    /// Messages that are not settled.
    pub messages: u64,
    /// Messages that somebody holds.
    pub leased: u64,
    /// Dead letters.
    pub dead: u64,
    /// Most deliveries of any message that is not settled.
    pub most_deliveries: u64,
}

impl Tally {
    /// Returns how many results have a state.
    #[must_use]
    pub fn state(&self, state: &str) -> u64 {
        self.states.get(state).copied().unwrap_or_default()
    }
}

impl Stage {
    /// Puts messages into their queues, all at once.
    ///
    /// # Panics
    /// When the file cannot be written, or no program has made it yet.
    pub fn post(&self, letters: &[Letter]) {
        let mut file = File::open(&self.data());
        file.run("BEGIN IMMEDIATE");
        let first = file.number(&format!(
            "UPDATE message_ids SET next = next + {0} RETURNING next - {0}",
            letters.len()
        ));
        for (id, letter) in (first..).zip(letters) {
            file.insert(id, letter);
        }
        file.run("COMMIT");
    }

    /// Waits until every message is settled, which is after its result is
    /// stored, and counts what is there.
    ///
    /// # Panics
    /// When messages remain.
    pub fn settled(&self) -> Tally {
        until("all settled", || {
            Some(self.tally()).filter(|tally| tally.messages == 0)
        })
    }

    /// Counts what is stored.
    ///
    /// # Panics
    /// When the file cannot be read.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut file = File::open(&self.data());
        // All of one moment: a task ends between two queries.
        file.run("BEGIN");
        let rows = file.rows("SELECT state, count(*) FROM results GROUP BY state");
        let states = rows
            .iter()
            .map(|row| (row.get(0), row.get::<u32, _>(1).into()));
        let mut number = |sql: &str| u64::try_from(file.number(sql)).expect("a count");
        Tally {
            states: states.collect(),
            messages: number("SELECT count(*) FROM messages WHERE state < 3"),
            leased: number("SELECT count(*) FROM messages WHERE state = 2"),
            dead: number("SELECT count(*) FROM dead_letters"),
            most_deliveries: number(
                "SELECT coalesce(max(deliveries), 0) FROM messages WHERE state < 3",
            ),
        }
    }
}
