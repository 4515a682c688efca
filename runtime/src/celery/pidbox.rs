//! Remote control on the wire: requests to workers, and what workers answer.

use super::broadcast::{self, ANSWERS, is_readable};
use super::message::Message;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Longest pattern of names, bytes: a worker's name has 200 at most.
pub const PATTERN_BYTES: usize = 1_000;
/// Largest answer that is read, bytes (16 MiB): one that lists thousands of tasks.
const ANSWER_BYTES: usize = 16 << 20;
/// Longest routing key of an answer, bytes, as AMQP allows.
const KEY_BYTES: usize = 255;

/// A request to workers.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The command.
    pub method: String,
    /// Its arguments by name.
    pub arguments: Map<String, Value>,
    /// Who is asked.
    pub to: Audience,
    /// The mark that answers carry.
    pub ticket: Option<String>,
    /// Where answers go; `None` wants none.
    pub reply_to: Option<String>,
    /// The sender's logical clock.
    pub clock: Option<i64>,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Everybody.
    All,
    /// Workers of these names.
    These(Vec<String>),
    /// Workers whose names fit a pattern of the shell.
    Glob(String),
    /// Workers whose names begin with what a regular expression matches.
    Regex(String),
    /// Nobody we could tell: a pattern in a language that we do not know.
    Nobody,
}

#[derive(Deserialize)]
struct Body {
    method: String,
    #[serde(default)]
    arguments: Option<Map<String, Value>>,
    #[serde(default)]
    destination: Option<Vec<String>>,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    matcher: Option<String>,
    #[serde(default)]
    ticket: Option<Value>,
    #[serde(default)]
    reply_to: Option<ReplyTo>,
}

#[derive(Deserialize)]
struct ReplyTo {
    routing_key: String,
}

impl Request {
    /// Reads a request; `None` where it is none.
    #[must_use]
    pub fn read(message: &Message) -> Option<Self> {
        if !is_readable(message) {
            return None;
        }
        let body: Body = serde_json::from_slice(&message.body).ok()?;
        let to = match (body.destination, body.pattern, body.matcher.as_deref()) {
            (Some(names), _, _) if !names.is_empty() => Audience::These(names),
            (_, Some(pattern), Some(kind)) if !pattern.is_empty() && !kind.is_empty() => match kind
            {
                _ if pattern.len() > PATTERN_BYTES => Audience::Nobody,
                "glob" => Audience::Glob(pattern),
                "pcre" => Audience::Regex(pattern),
                _ => Audience::Nobody,
            },
            _ => Audience::All,
        };
        let reply_to = body.reply_to.map(|reply| reply.routing_key);
        Some(Self {
            method: body.method,
            arguments: body.arguments.unwrap_or_default(),
            to,
            ticket: body
                .ticket
                .as_ref()
                .and_then(Value::as_str)
                .map(str::to_owned),
            reply_to: reply_to.filter(|key| !key.is_empty() && key.len() <= KEY_BYTES),
            clock: broadcast::clock(message),
        })
    }

    /// Writes a request of ours. `expires` is when its sender no longer waits,
    /// seconds since 1970.
    #[must_use]
    pub fn message(&self, expires: f64) -> Message {
        let (destination, pattern, matcher) = match &self.to {
            Audience::These(names) => (Some(names), None, None),
            Audience::Glob(pattern) => (None, Some(pattern), Some("glob")),
            Audience::Regex(pattern) => (None, Some(pattern), Some("pcre")),
            Audience::All | Audience::Nobody => (None, None, None),
        };
        let mut body = json!({
            "method": self.method,
            "arguments": self.arguments,
            "destination": destination,
            "pattern": pattern,
            "matcher": matcher,
        });
        if let (Value::Object(body), Some(client)) = (&mut body, &self.reply_to) {
            let reply_to = json!({"exchange": ANSWERS, "routing_key": client});
            body.insert("ticket".to_owned(), json!(self.ticket));
            body.insert("reply_to".to_owned(), reply_to);
        }
        let headers = Map::from_iter([
            ("clock".to_owned(), json!(self.clock.unwrap_or(1))),
            ("expires".to_owned(), json!(expires)),
        ]);
        broadcast::message(body.to_string(), headers)
    }
}

/// What one worker answers.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The worker's name.
    pub node: String,
    /// What it says: JSON.
    pub value: Box<RawValue>,
}

impl Answer {
    /// Writes an answer to a request with this ticket.
    #[must_use]
    pub fn message(&self, ticket: Option<&str>, clock: i64) -> Message {
        #[derive(Serialize)]
        #[serde(transparent)]
        struct One<'a>(BTreeMap<&'a str, &'a RawValue>);
        let one = One(BTreeMap::from([(self.node.as_str(), &*self.value)]));
        // A text and checked JSON are always JSON.
        let body = serde_json::to_string(&one).unwrap_or_default();
        let headers = Map::from_iter([
            ("ticket".to_owned(), json!(ticket)),
            ("clock".to_owned(), json!(clock)),
        ]);
        broadcast::message(body, headers)
    }

    /// Reads the answers of a message: usually one.
    #[must_use]
    pub fn read(message: &Message) -> Vec<Self> {
        let read = || -> Option<BTreeMap<String, Box<RawValue>>> {
            (message.body.len() <= ANSWER_BYTES)
                .then(|| serde_json::from_slice(&message.body).ok())
                .flatten()
        };
        let answers = read().unwrap_or_default().into_iter();
        answers.map(|(node, value)| Self { node, value }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &str) -> Option<Request> {
        Request::read(&broadcast::message(body.to_owned(), Map::new()))
    }

    #[test]
    fn who_is_asked_is_read_as_kombu_does() {
        let to = |more: &str| {
            let body = format!(r#"{{"method": "ping", "arguments": null, {more}}}"#);
            request(&body).unwrap().to
        };
        let names = vec!["a@b".to_owned()];
        for (more, audience) in [
            (r#""destination": null"#, Audience::All),
            (r#""destination": []"#, Audience::All),
            (r#""destination": ["a@b"]"#, Audience::These(names)),
            (r#""pattern": "a*""#, Audience::All),
            (
                r#""pattern": "a*", "matcher": "glob""#,
                Audience::Glob("a*".to_owned()),
            ),
            (
                r#""pattern": "a+", "matcher": "pcre""#,
                Audience::Regex("a+".to_owned()),
            ),
            (r#""pattern": "a", "matcher": "sql""#, Audience::Nobody),
        ] {
            assert_eq!(to(more), audience, "{more}");
        }
        let long = format!(
            r#""pattern": "{}", "matcher": "pcre""#,
            "a".repeat(PATTERN_BYTES + 1)
        );
        assert_eq!(to(&long), Audience::Nobody);
    }

    #[test]
    fn what_is_no_request_is_none() {
        let deep = format!(
            r#"{{"method": "ping", "arguments": {{"a": {}1{}}}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        for body in [
            "",
            "[]",
            "{}",
            r#"{"method": 1}"#,
            r#"{"method": "ping", "arguments": []}"#,
            r#"{"method": "ping", "destination": "a@b"}"#,
            r#"{"method": "ping", "reply_to": "x"}"#,
            &deep,
        ] {
            assert!(request(body).is_none(), "{body:.40}");
        }
    }

    #[test]
    fn a_request_of_ours_is_read_again() {
        let sent = Request {
            method: "active".to_owned(),
            arguments: Map::from_iter([("safe".to_owned(), json!(true))]),
            to: Audience::These(vec!["a@b".to_owned()]),
            ticket: Some("t".to_owned()),
            reply_to: Some("client".to_owned()),
            clock: Some(3),
        };
        assert_eq!(Request::read(&sent.message(0.0)), Some(sent));
    }

    #[test]
    fn an_answer_keeps_every_digit() {
        let value = r#"{"args": [1.000000000000000000001]}"#;
        let sent = Answer {
            node: "a@b".to_owned(),
            value: RawValue::from_string(value.to_owned()).unwrap(),
        };
        let message = sent.message(Some("t"), 5);
        assert_eq!(message.headers["ticket"], "t");
        let read = Answer::read(&message);
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].node.as_str(), read[0].value.get()), ("a@b", value));
    }
}
