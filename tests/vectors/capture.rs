//! Reading the captures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use celeriac::celery::{Message, Properties};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

/// Lists the captures whose names begin with `start`, without their endings.
pub(crate) fn names(start: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the folder of the captures");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name.starts_with(start))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no capture is named {start}*");
    names
}

/// Reads a capture.
pub(crate) fn read(name: &str) -> Value {
    let path = folder().join(format!("{name}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// One item of a list of Redis.
pub(crate) struct Item {
    /// The name of the list.
    pub(crate) list: String,
    /// The item as it stood there.
    pub(crate) raw: String,
    /// The body as text, where the capture has it.
    pub(crate) text: Option<String>,
}

impl Item {
    /// Reads the item as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.raw).expect("an envelope is JSON")
    }
}

/// Lists what a client put into Redis.
pub(crate) fn items(capture: &Value) -> Vec<Item> {
    let lists = capture["redis"]["lists"].as_object().expect("lists");
    let mut items = Vec::new();
    for (list, held) in lists {
        for item in held.as_array().expect("a list") {
            items.push(Item {
                list: list.clone(),
                raw: item["raw"].as_str().expect("an item").to_owned(),
                text: item["body_text"].as_str().map(str::to_owned),
            });
        }
    }
    items
}

/// Lists the commands that a Redis server got and that begin with `start`.
pub(crate) fn commands<'a>(capture: &'a Value, start: &str) -> Vec<&'a str> {
    let commands = capture["monitor"].as_array().expect("commands");
    let texts = commands
        .iter()
        .map(|one| one["cmd"].as_str().expect("a text"));
    texts.filter(|text| text.starts_with(start)).collect()
}

/// A message as a broker speaking AMQP delivers it.
pub(crate) fn amqp(message: &Value) -> Message {
    let properties = &message["properties"];
    let text = |name: &str| properties[name].as_str().map(str::to_owned);
    let body = match &message["body"] {
        Value::String(text) => text.clone().into_bytes(),
        Value::Object(coded) if coded.contains_key("base64") => {
            let coded = coded["base64"].as_str().expect("a text");
            STANDARD.decode(coded).expect("base64")
        }
        parsed @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => parsed.to_string().into_bytes(),
    };
    let priority = properties["priority"].as_u64();
    Message {
        body: Bytes::from(body),
        content_type: text("content_type").unwrap_or_default(),
        content_encoding: text("content_encoding").unwrap_or_default(),
        headers: properties["headers"]
            .as_object()
            .cloned()
            .unwrap_or_default(),
        properties: Properties {
            correlation_id: text("correlation_id"),
            reply_to: text("reply_to"),
            priority: priority.map(|priority| u8::try_from(priority).expect("0 to 9")),
            expiration: text("expiration"),
        },
    }
}

/// Names the type of a JSON value.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The members of an object and their types.
pub(crate) fn shape(object: &Map<String, Value>) -> BTreeMap<&str, &'static str> {
    object
        .iter()
        .map(|(name, value)| (name.as_str(), kind(value)))
        .collect()
}
