//! Events on the wire: what workers tell monitors.

use super::broadcast;
use super::message::Message;
use serde_json::{Map, Value, json};

/// The routing key of several events of tasks in one message.
pub const MULTI: &str = "task.multi";

/// Something that happened, with the members that are its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    kind: &'static str,
    own: Map<String, Value>,
}

/// What every event says of its sender.
#[derive(Debug, Clone, PartialEq)]
pub struct Sender {
    /// The worker's name.
    pub hostname: String,
    /// Its process.
    pub pid: u32,
    /// Hours that its clocks are west of UTC.
    pub utcoffset: f64,
}

impl Event {
    /// Makes an event such as `task-received`; `own` is a JSON object.
    #[must_use]
    pub fn new(kind: &'static str, own: Value) -> Self {
        let own = object(own).unwrap_or_default();
        Self { kind, own }
    }

    /// Returns its routing key.
    #[must_use]
    pub fn key(&self) -> String {
        self.kind.replace('-', ".")
    }

    /// Returns about how many bytes it is on the wire.
    #[must_use]
    pub fn weight(&self) -> usize {
        const BESIDE: usize = 256;
        let long = self.own.values().filter_map(Value::as_str).map(str::len);
        BESIDE + long.sum::<usize>()
    }

    /// Returns the document of an event that happened at a moment, seconds since
    /// 1970, by the sender's logical clock.
    #[must_use]
    pub fn document(self, sender: &Sender, timestamp: f64, clock: i64) -> Value {
        let mut event = self.own;
        event.extend([
            ("type".to_owned(), json!(self.kind)),
            ("hostname".to_owned(), json!(sender.hostname)),
            ("pid".to_owned(), json!(sender.pid)),
            ("utcoffset".to_owned(), json!(sender.utcoffset)),
            ("timestamp".to_owned(), json!(timestamp)),
            ("clock".to_owned(), json!(clock)),
        ]);
        Value::Object(event)
    }
}

/// Returns what is told of a message of a task that was sent to a queue.
#[must_use]
pub fn sent(message: &Message, queue: &str) -> Event {
    let header = |name: &str| message.headers.get(name).cloned().unwrap_or(Value::Null);
    let own = json!({
        "uuid": header("id"),
        "root_id": header("root_id"),
        "parent_id": header("parent_id"),
        "name": header("task"),
        "args": header("argsrepr"),
        "kwargs": header("kwargsrepr"),
        "retries": header("retries"),
        "eta": header("eta"),
        "expires": header("expires"),
        "queue": queue,
        // The exchange that leads to each queue by its name.
        "exchange": "",
        "routing_key": queue,
    });
    Event::new("task-sent", own)
}

/// Writes one event, or several as a list.
#[must_use]
pub fn message(document: &Value, sender: &Sender) -> Message {
    let headers = Map::from_iter([("hostname".to_owned(), json!(sender.hostname))]);
    broadcast::message(document.to_string(), headers)
}

fn object(value: Value) -> Option<Map<String, Value>> {
    if let Value::Object(members) = value {
        return Some(members);
    }
    None
}

/// Reads the events of a message, each an object; what is none is left out.
#[must_use]
pub fn read(message: &Message) -> Vec<Map<String, Value>> {
    if !broadcast::is_readable(message) {
        return Vec::new();
    }
    match serde_json::from_slice(&message.body) {
        Ok(Value::Array(events)) => events.into_iter().filter_map(object).collect(),
        Ok(event) => object(event).into_iter().collect(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_and_several_are_read() {
        let sender = Sender {
            hostname: "a@b".to_owned(),
            pid: 1,
            utcoffset: 0.0,
        };
        let event = Event::new("task-started", json!({"uuid": "x"}));
        assert_eq!(event.key(), "task.started");
        let document = event.document(&sender, 2.5, 3);
        assert_eq!(
            document,
            json!({"type": "task-started", "uuid": "x", "hostname": "a@b", "pid": 1,
                "utcoffset": 0.0, "timestamp": 2.5, "clock": 3})
        );
        assert_eq!(read(&message(&document, &sender)).len(), 1);
        let several = json!([document, 1, document]);
        assert_eq!(read(&message(&several, &sender)).len(), 2);
        for other in ["", "1", "\"x\"", "[[[["] {
            let other = broadcast::message(other.to_owned(), Map::new());
            assert!(read(&other).is_empty());
        }
    }
}
