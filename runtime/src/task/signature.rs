//! A signature: a call that is not made yet, as Celery writes it down.
//!
//! The form is Celery's signature document (`celery.canvas.Signature`). All of it is
//! hostile; what only passes through is not looked into.

use super::json::Json;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Longest text of a signature that is shown in an error, characters.
const SHOWN: usize = 80;

/// Arguments of fewer bytes are not counted (4 MiB): they are no more than may be taken
/// apart.
const LONG: usize = 4 << 20;

/// What a signature stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One task. `celery.map` and `celery.starmap` are tasks, too.
    Task,
    /// Tasks at the same time.
    Group,
    /// Tasks one after another.
    Chain,
    /// A group, and a body that gets its results.
    Chord,
    /// A task for each part of a list.
    Chunks,
}

/// A call that is not made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The name of the task.
    pub task: String,
    /// A JSON array: the positional arguments.
    pub args: Json,
    /// A JSON object: the keyword arguments.
    pub kwargs: Json,
    /// What Celery's `apply_async` would get; nothing in it is null.
    pub options: BTreeMap<String, Json>,
    /// What it stands for.
    pub kind: Kind,
    /// Whether it takes no argument beside its own.
    pub immutable: bool,
}

/// A text that is no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{shown:?} is no signature: {reason}")]
pub struct SignatureError {
    /// The beginning of it.
    pub shown: String,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    task: Cow<'a, str>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
    #[serde(borrow, default)]
    kwargs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    options: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(borrow, default)]
    subtask_type: Option<Cow<'a, str>>,
    #[serde(default)]
    immutable: Option<bool>,
}

impl Signature {
    /// Reads one.
    ///
    /// # Errors
    /// When it is not the document of a signature.
    pub fn read(json: &Json) -> Result<Self, SignatureError> {
        let wrong = |reason: String| SignatureError {
            shown: json.as_str().chars().take(SHOWN).collect(),
            reason,
        };
        // A list would be read as the members in their order.
        if !json.as_str().starts_with('{') {
            return Err(wrong("it is no object".to_owned()));
        }
        let wire: Wire<'_> =
            serde_json::from_str(json.as_str()).map_err(|error| wrong(error.to_string()))?;
        let kind = match wire.subtask_type.as_deref() {
            None => Kind::Task,
            Some("group") => Kind::Group,
            Some("chain") => Kind::Chain,
            Some("chord") => Kind::Chord,
            Some("chunks") => Kind::Chunks,
            Some("xmap" | "xstarmap") => Kind::Task,
            Some(other) => return Err(wrong(format!("its subtask_type {other:?} is not known"))),
        };
        let part = |value: Option<&RawValue>, none: &str, opening: char| {
            let value = value.map(|value| json.part(value));
            let value = value.filter(|value| !value.is_null());
            let value = value.or_else(|| Json::read(none));
            let value = value.filter(|value| value.as_str().starts_with(opening));
            value.ok_or_else(|| wrong(format!("its arguments do not begin with {opening:?}")))
        };
        let options = wire.options.unwrap_or_default().into_iter();
        let args = part(wire.args, "[]", '[')?;
        // None of them is dropped later, where they are taken apart.
        if args.as_str().len() > LONG && args.items().is_none() {
            return Err(wrong(
                "it has more than 2097152 arguments (fixed)".to_owned(),
            ));
        }
        Ok(Self {
            args,
            kwargs: part(wire.kwargs, "{}", '{')?,
            task: wire.task.into_owned(),
            options: options
                .map(|(name, value)| (name.into_owned(), json.part(value)))
                .filter(|(_, value)| !value.is_null())
                .collect(),
            kind,
            immutable: wire.immutable.unwrap_or(false),
        })
    }

    /// Makes a group.
    #[must_use]
    pub fn group(members: &[Self]) -> Self {
        let members = Json::array(&members.iter().map(Self::json).collect::<Vec<_>>());
        Self::of(
            Kind::Group,
            "celery.group",
            &format!(r#"{{"tasks": {members}}}"#),
        )
    }

    /// Makes a chord.
    #[must_use]
    pub fn chord(header: &Self, body: &Self) -> Self {
        let (header, body) = (header.json(), body.json());
        let kwargs = format!(r#"{{"kwargs": {{}}, "header": {header}, "body": {body}}}"#);
        Self::of(Kind::Chord, "celery.chord", &kwargs)
    }

    fn of(kind: Kind, task: &str, kwargs: &str) -> Self {
        Self {
            task: task.to_owned(),
            args: Json::array([]),
            kwargs: Json::read(kwargs).unwrap_or_else(|| Json::array([])),
            options: BTreeMap::new(),
            kind,
            immutable: false,
        }
    }

    /// Writes it as Celery does.
    #[must_use]
    pub fn json(&self) -> Json {
        let kind = match self.kind {
            Kind::Task => "null",
            Kind::Group => r#""group""#,
            Kind::Chain => r#""chain""#,
            Kind::Chord => r#""chord""#,
            Kind::Chunks => r#""chunks""#,
        };
        let mut options = String::new();
        for (name, value) in &self.options {
            let comma = if options.is_empty() { "" } else { ", " };
            options.push_str(&format!("{comma}{}: {value}", Json::text(name)));
        }
        let text = format!(
            r#"{{"task": {}, "args": {}, "kwargs": {}, "options": {{{options}}}, "subtask_type": {kind}, "immutable": {}}}"#,
            Json::text(&self.task),
            self.args,
            self.kwargs,
            self.immutable,
        );
        // What was put together of values is a value.
        Json::read(&text).unwrap_or_else(|| Json::array([]))
    }

    /// Returns an option that is a text.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<String> {
        self.options.get(name)?.parse()
    }

    /// Returns an option that is a signature or a list of them.
    #[must_use]
    pub fn listed(&self, name: &str) -> Vec<Json> {
        match self.options.get(name) {
            None => Vec::new(),
            Some(list) => list.items().unwrap_or_else(|| vec![list.clone()]),
        }
    }

    /// Adds to an option that is a list.
    pub fn extend(&mut self, name: &str, more: &[Json]) {
        if !more.is_empty() {
            let mut all = self.listed(name);
            all.extend(more.iter().cloned());
            self.options.insert(name.to_owned(), Json::array(&all));
        }
    }

    /// Sets an option that is a text, unless it is there.
    pub fn option_or(&mut self, name: &str, value: impl FnOnce() -> String) -> String {
        if let Some(value) = self.option(name) {
            return value;
        }
        let value = value();
        self.options.insert(name.to_owned(), Json::text(&value));
        value
    }

    /// Returns a keyword argument of its own, such as `tasks` of a group.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<Json> {
        let parts: BTreeMap<Cow<'_, str>, &RawValue> = self.kwargs.parse()?;
        let part = parts.get(name).map(|part| self.kwargs.part(part))?;
        Some(part).filter(|part| !part.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Signature, SignatureError> {
        Signature::read(&Json::read(text).unwrap())
    }

    #[test]
    fn a_signature_is_written_as_it_was_read() {
        let text = r#"{"task": "a.b", "args": [1.00, 12345678901234567890123], "kwargs": {"z":1, "a":2}, "options": {"queue": "q", "task_id": "t"}, "subtask_type": null, "immutable": true}"#;
        let signature = read(text).unwrap();
        assert_eq!(signature.json().as_str(), text);
        assert_eq!(signature.option("queue").as_deref(), Some("q"));
    }

    #[test]
    fn what_is_left_out_or_null_has_its_default() {
        for text in [
            r#"{"task": "a.b"}"#,
            r#"{"task": "a.b", "args": null, "kwargs": null, "options": null, "immutable": null, "chord_size": 3}"#,
            r#"{"task": "a.b", "options": {"eta": null}}"#,
        ] {
            let signature = read(text).unwrap();
            assert_eq!(
                (signature.args.as_str(), signature.kwargs.as_str()),
                ("[]", "{}")
            );
            assert!(signature.options.is_empty() && !signature.immutable);
            assert_eq!(signature.kind, Kind::Task);
        }
    }

    #[test]
    fn what_is_no_signature_says_what_is_wrong() {
        for (text, words) in [
            (r#"["a"]"#, "no object"),
            ("7", "no object"),
            ("{}", "missing field `task`"),
            (r#"{"task": 7}"#, "invalid type"),
            (r#"{"task": "a", "args": {}}"#, "do not begin"),
            (r#"{"task": "a", "kwargs": []}"#, "do not begin"),
            (r#"{"task": "a", "options": []}"#, "invalid"),
            (r#"{"task": "a", "subtask_type": "dance"}"#, "dance"),
            (r#"{"task": "a", "immutable": "yes"}"#, "invalid type"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn an_option_may_be_one_signature_or_a_list() {
        let mut one = read(r#"{"task": "a", "options": {"link": {"task": "b"}}}"#).unwrap();
        assert_eq!(one.listed("link").len(), 1);
        one.extend("link", &[Json::read(r#"{"task": "c"}"#).unwrap()]);
        assert_eq!(one.listed("link").len(), 2);
        assert_eq!(one.listed("link_error"), []);
    }
}
