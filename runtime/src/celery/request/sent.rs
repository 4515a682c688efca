//! The message of a task that another one sends.

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

    fn body(&self, args: &str) -> Bytes {
        let list = |some: &[Json]| match some {
            [] => Json::null(),
            some => Json::array(some),
        };
        let null = Json::null();
        let [callbacks, errbacks, chain] = [self.callbacks, self.errbacks, self.chain].map(list);
        let text = [
            "[",
            args,
            ", ",
            self.kwargs.as_str(),
            r#", {"callbacks": "#,
            callbacks.as_str(),
            r#", "errbacks": "#,
            errbacks.as_str(),
            r#", "chain": "#,
            chain.as_str(),
            r#", "chord": "#,
            self.chord.unwrap_or(&null).as_str(),
            "}]",
        ];
        // As long as a chain is: written once, at its length.
        Bytes::from(text.concat())
    }
}

/// What its sender wants to be seen, which may hide a secret.
fn shown(chosen: Option<&str>, made: impl FnOnce() -> String) -> String {
    chosen.map_or_else(made, str::to_owned)
}

/// Puts arguments before those of an array, whose text stays as it is: it may be long.
fn joined(before: &[Json], args: &Json) -> String {
    let own = args.as_str().strip_prefix('[');
    let own = own.and_then(|own| own.strip_suffix(']'));
    let own = own.unwrap_or_default().trim_ascii();
    let before = before.iter().map(Json::as_str);
    let all: Vec<&str> = before.chain((!own.is_empty()).then_some(own)).collect();
    format!("[{}]", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_before_those_of_an_array_whose_text_stays() {
        let (one, two) = (Json::from(1_u64), Json::text("[2,"));
        for (before, args, all) in [
            (&[][..], "[ ]", "[]"),
            (&[][..], "[1.50,\"]\"]", "[1.50,\"]\"]"),
            (&[one.clone()][..], "[]", "[1]"),
            (&[one, two][..], "[ 3 , [4]]", "[1, \"[2,\", 3 , [4]]"),
        ] {
            assert_eq!(joined(before, &Json::read(args).unwrap()), all);
        }
    }
}
