//! The message of a task that another one sends.

use super::body::Body;
use super::{Malformed, Request};
use crate::celery::message::{Message, Properties};
use crate::celery::{iso, repr};
use crate::task::{Json, TaskId};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Everything that is written into the message of a task.
#[derive(Debug, Clone)]
pub struct Sent<'a> {
    /// Its id.
    pub id: &'a TaskId,
    /// Its name.
    pub task: &'a str,
    /// Arguments before its own.
    pub before: &'a [Json],
    /// A JSON array.
    pub args: &'a Json,
    /// A JSON object.
    pub kwargs: &'a Json,
    /// The first task of the workflow.
    pub root: &'a str,
    /// Who sends it.
    pub parent: &'a str,
    /// Its group and its place there.
    pub group: Option<&'a str>,
    /// Its place in the group.
    pub group_index: Option<i64>,
    /// Not to run before.
    pub eta: Option<Timestamp>,
    /// Not to run after.
    pub expires: Option<Timestamp>,
    /// Hard and soft limit, seconds.
    pub time_limit: [Option<f64>; 2],
    /// The name to show.
    pub shadow: Option<&'a str>,
    /// Own headers.
    pub headers: &'a BTreeMap<String, Json>,
    /// Stamps.
    pub stamps: &'a BTreeMap<String, Json>,
    /// Whether no result is wanted; the task's own choice where nothing is said.
    pub ignore_result: Option<bool>,
    /// What is shown of its arguments, in the place of them.
    pub argsrepr: Option<&'a str>,
    /// What is shown of its keyword arguments.
    pub kwargsrepr: Option<&'a str>,
    /// Where an `rpc://` client waits.
    pub reply_to: Option<&'a str>,
    /// 0 to 9, 9 first.
    pub priority: Option<u8>,
    /// How often a task of this id handed its work over.
    pub replaced_task_nesting: u64,
    /// Retries before it is sent.
    pub retries: u32,
    /// Signatures to send with the result.
    pub callbacks: &'a [Json],
    /// Signatures to send when it fails.
    pub errbacks: &'a [Json],
    /// The rest of its chain, the next one last.
    pub chain: &'a [Json],
    /// The body of its chord.
    pub chord: Option<&'a Json>,
}

impl Sent<'_> {
    /// Writes the message, as Celery 5 does. `origin` names the sender.
    #[must_use]
    pub fn message(&self, origin: &str) -> Message {
        let args = joined(self.before, self.args);
        let id = self.id.as_str();
        let value = |json: &Json| json.parse::<Value>().unwrap_or(Value::Null);
        let stamps: Map<String, Value> = self
            .stamps
            .iter()
            .map(|(name, stamp)| (name.clone(), value(stamp)))
            .collect();
        let stamped: Vec<&String> = self.stamps.keys().collect();
        let mut headers: Map<String, Value> = self
            .headers
            .iter()
            // Ours are ours alone to write.
            .filter(|(name, _)| !name.starts_with("x-celeriac-"))
            .map(|(name, header)| (name.clone(), value(header)))
            .collect();
        let protocol = json!({
            "lang": "rs",
            "task": self.task,
            "id": id,
            "shadow": self.shadow,
            "eta": self.eta.map(iso),
            "expires": self.expires.map(iso),
            "group": self.group,
            "group_index": self.group_index,
            "retries": self.retries,
            "timelimit": self.time_limit,
            "root_id": self.root,
            "parent_id": self.parent,
            "argsrepr": shown(self.argsrepr, || repr::tuple(args.as_bytes())),
            "kwargsrepr": shown(self.kwargsrepr, || repr::value(self.kwargs.as_str().as_bytes())),
            "origin": origin,
            "ignore_result": self.ignore_result,
            "replaced_task_nesting": self.replaced_task_nesting,
            "stamped_headers": (!stamped.is_empty()).then_some(stamped),
            "stamps": stamps,
        });
        if let Value::Object(protocol) = protocol {
            headers.extend(protocol);
        }
        Message {
            body: self.body(&args),
            content_type: "application/json".to_owned(),
            content_encoding: "utf-8".to_owned(),
            headers,
            properties: Properties {
                correlation_id: Some(id.to_owned()),
                reply_to: self.reply_to.map(str::to_owned),
                priority: self.priority,
                ..Properties::default()
            },
        }
    }

    /// Returns what [`Request::decode`] reads from a message that this wrote, without
    /// reading its body: the rest of a chain may be long.
    ///
    /// # Errors
    /// As [`Request::decode`], for headers of the caller's.
    pub fn request(&self, message: &Message) -> Result<Request, Malformed> {
        let args = joined_len(self.before, self.args);
        let kwargs = self.kwargs.as_str().len();
        // As `body` writes it: brackets around, and two bytes between the parts.
        let part = |from: usize, length: usize| {
            let to = from.saturating_add(length).min(message.body.len());
            message.body.slice(from.min(to)..to)
        };
        let embed = 1 + args + 2 + kwargs + 2;
        let rest = message.body.len().saturating_sub(embed + 1);
        let body = Body {
            args: part(1, args),
            kwargs: part(1 + args + 2, kwargs),
            embed: part(embed, rest),
        };
        Request::of(message, body)
    }

    fn body(&self, args: &str) -> Bytes {
        let kwargs = self.kwargs.as_str();
        let mut text = vec!["[", args, ", ", kwargs, r#", {"callbacks": "#];
        list(&mut text, self.callbacks);
        text.push(r#", "errbacks": "#);
        list(&mut text, self.errbacks);
        text.push(r#", "chain": "#);
        list(&mut text, self.chain);
        let chord = self.chord.map_or("null", Json::as_str);
        text.extend([r#", "chord": "#, chord, "}]"]);
        // As long as a chain is: written once, at its length.
        Bytes::from(text.concat())
    }
}

/// Adds an array to a text, or `null` for an empty one.
fn list<'a>(text: &mut Vec<&'a str>, items: &'a [Json]) {
    let Some((first, rest)) = items.split_first() else {
        text.push("null");
        return;
    };
    text.extend(["[", first.as_str()]);
    text.extend(rest.iter().flat_map(|item| [", ", item.as_str()]));
    text.push("]");
}

/// What its sender wants to be seen, which may hide a secret.
fn shown(chosen: Option<&str>, made: impl FnOnce() -> String) -> String {
    chosen.map_or_else(made, str::to_owned)
}

/// Puts arguments before those of an array, whose text stays as it is: it may be long.
fn joined(before: &[Json], args: &Json) -> String {
    format!("[{}]", all(before, args).join(", "))
}

/// How long that is.
fn joined_len(before: &[Json], args: &Json) -> usize {
    let all = all(before, args);
    let between = 2 * all.len().saturating_sub(1);
    2 + between + all.into_iter().map(str::len).sum::<usize>()
}

fn all<'a>(before: &'a [Json], args: &'a Json) -> Vec<&'a str> {
    let own = args.as_str().strip_prefix('[');
    let own = own.and_then(|own| own.strip_suffix(']'));
    let own = own.unwrap_or_default().trim_ascii();
    let before = before.iter().map(Json::as_str);
    before.chain((!own.is_empty()).then_some(own)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_reads_as_if_it_were_read() {
        let json = |text: &str| Json::read(text).unwrap();
        let id = TaskId::parse("7f3a").unwrap();
        let (links, stamps) = ([json(r#"{"task": "m.t"}"#)], Json::text("s"));
        let own = BTreeMap::from([("shop".to_owned(), Json::text("a"))]);
        for (before, args) in [
            (&[][..], "[]"),
            (&[json("1"), json("[2, \"ä]\"]")][..], "[ 3 ]"),
        ] {
            for chain in [&[][..], &links[..]] {
                let sent = Sent {
                    id: &id,
                    task: "m.t",
                    before,
                    args: &json(args),
                    kwargs: &json(r#"{"a": "}"}"#),
                    root: "root",
                    parent: "parent",
                    group: Some("group"),
                    group_index: Some(3),
                    eta: None,
                    expires: Some(Timestamp::UNIX_EPOCH),
                    time_limit: [Some(2.5), None],
                    shadow: Some("shown"),
                    headers: &own,
                    stamps: &BTreeMap::from([("of".to_owned(), stamps.clone())]),
                    ignore_result: Some(true),
                    argsrepr: None,
                    kwargsrepr: None,
                    reply_to: Some("caller"),
                    priority: None,
                    replaced_task_nesting: 1,
                    retries: 2,
                    callbacks: &links,
                    errbacks: &[],
                    chain,
                    chord: chain.first(),
                };
                let message = sent.message("w@host");
                let read = Request::decode(&message);
                assert_eq!(sent.request(&message), read);
                assert!(read.is_ok());
            }
        }
    }

    #[test]
    fn arguments_come_before_those_of_an_array_whose_text_stays() {
        let (one, two) = (Json::from(1_u64), Json::text("[2,"));
        for (before, args, all) in [
            (&[][..], "[ ]", "[]"),
            (&[][..], "[1.50,\"]\"]", "[1.50,\"]\"]"),
            (&[one.clone()][..], "[]", "[1]"),
            (&[one, two][..], "[ 3 , [4]]", "[1, \"[2,\", 3 , [4]]"),
        ] {
            let args = Json::read(args).unwrap();
            assert_eq!(joined(before, &args), all);
            assert_eq!(joined_len(before, &args), all.len());
        }
    }
}
