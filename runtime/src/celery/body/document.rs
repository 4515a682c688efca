//! The values of a body, and their JSON.
//!
//! Values refer to each other by number, for YAML and pickle may use one in several
//! places or within itself. Writing them is where that gets its bound.

use super::typed::Typed;
use super::{BodyError, EXPANDED_BYTES, number};
use crate::defence::{Defence, stands};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How deep values may be nested, as in what a task is given.
pub const DEPTH: usize = 128;
/// Most values in one body, and most that are waiting or remembered while it is read
/// (4 Mi): they take some hundred bytes each, and 16 MiB of arguments hold no more.
pub const NODES: usize = 4 << 20;

/// The number of a value.
pub(super) type Id = u32;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    /// The text of a JSON number.
    Number(Box<str>),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A value that JSON lacks.
    Typed(Box<Typed>),
}

/// All values of a body.
#[derive(Debug, Default)]
pub(super) struct Document {
    nodes: Vec<Node>,
    root: Id,
}

impl Document {
    /// Adds a value.
    pub(super) fn add(&mut self, node: Node) -> Result<Id, BodyError> {
        if self.nodes.len() >= NODES && stands(Defence::Values) {
            return Err(too_many());
        }
        let id = Id::try_from(self.nodes.len()).map_err(|_| too_many())?;
        self.nodes.push(node);
        Ok(id)
    }

    pub(super) fn text(&mut self, text: &str) -> Result<Id, BodyError> {
        self.add(Node::Text(text.into()))
    }

    pub(super) fn number(&mut self, number: impl ToString) -> Result<Id, BodyError> {
        self.add(Node::Number(number.to_string().into()))
    }

    pub(super) fn float(&mut self, number: f64) -> Result<Id, BodyError> {
        let text = number::float(number)?;
        self.add(Node::Number(text.into()))
    }

    pub(super) fn get(&self, id: Id) -> Option<&Node> {
        self.nodes.get(usize::try_from(id).ok()?)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(id).ok()?)
    }

    /// The members of a list.
    pub(super) fn list(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Some(Node::List(items)) => Some(items),
            _ => None,
        }
    }

    pub(super) fn str(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Some(Node::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn bytes(&self, id: Id) -> Option<&[u8]> {
        match self.get(id) {
            Some(Node::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// A whole number, where it is not larger than that.
    pub(super) fn whole(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Some(Node::Number(text)) => text.parse().ok(),
            _ => None,
        }
    }

    /// Says which value is the whole.
    pub(super) fn with_root(mut self, root: Id) -> Self {
        self.root = root;
        self
    }

    /// Writes the document as JSON.
    pub(super) fn json(&self) -> Result<Vec<u8>, BodyError> {
        let mut out = Vec::new();
        self.write(self.root, DEPTH, &mut out)?;
        Ok(out)
    }

    /// Writes a value; the depth that is left bounds the recursion, also where a value
    /// holds itself.
    fn write(&self, id: Id, depth: usize, out: &mut Vec<u8>) -> Result<(), BodyError> {
        if out.len() as u64 > EXPANDED_BYTES && stands(Defence::Expansion) {
            return Err(BodyError::too_large(format!(
                "the body as JSON has more than {EXPANDED_BYTES} bytes, the most that are accepted (fixed)"
            )));
        }
        let deeper = || match stands(Defence::Depth) {
            true => depth.checked_sub(1).ok_or_else(too_deep),
            false => Ok(depth),
        };
        match self.get(id).unwrap_or(&Node::Null) {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Bool(true) => out.extend_from_slice(b"true"),
            Node::Bool(false) => out.extend_from_slice(b"false"),
            Node::Number(text) => out.extend_from_slice(text.as_bytes()),
            Node::Text(text) => quoted(text, out)?,
            Node::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => wrapped("bytes", text, out)?,
                Err(_) => wrapped("base64", &STANDARD.encode(bytes), out)?,
            },
            Node::Typed(typed) => typed.write(out)?,
            Node::List(items) => {
                let depth = deeper()?;
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.write(*item, depth, out)?;
                }
                out.push(b']');
            }
            Node::Dict(members) => {
                let depth = deeper()?;
                out.push(b'{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.key(*key, out)?;
                    out.push(b':');
                    self.write(*value, depth, out)?;
                }
                out.push(b'}');
            }
        }
        Ok(())
    }

    /// Writes the key of a member, turned into text where Python's `json.dumps` does.
    fn key(&self, id: Id, out: &mut Vec<u8>) -> Result<(), BodyError> {
        let kind = match self.get(id).unwrap_or(&Node::Null) {
            Node::Text(text) => return quoted(text, out),
            Node::Number(text) => return quoted(text, out),
            Node::Null => return quoted("null", out),
            Node::Bool(true) => return quoted("true", out),
            Node::Bool(false) => return quoted("false", out),
            Node::Bytes(_) => "bytes",
            Node::List(_) => "tuple",
            Node::Dict(_) => "dict",
            Node::Typed(typed) => typed.kind(),
        };
        Err(BodyError::no_json(format!(
            "keys must be str, int, float, bool or None, not {kind}"
        )))
    }
}

/// Writes a text as JSON.
pub(super) fn quoted(text: &str, out: &mut Vec<u8>) -> Result<(), BodyError> {
    serde_json::to_writer(out, text).map_err(|error| BodyError::malformed(error.to_string()))
}

/// Writes a value as kombu wraps what JSON lacks.
pub(super) fn wrapped(kind: &str, value: &str, out: &mut Vec<u8>) -> Result<(), BodyError> {
    out.extend_from_slice(b"{\"__type__\":");
    quoted(kind, out)?;
    out.extend_from_slice(b",\"__value__\":");
    quoted(value, out)?;
    out.push(b'}');
    Ok(())
}

/// Too many values.
pub(super) fn too_many() -> BodyError {
    BodyError::too_large(format!(
        "the body holds more than {NODES} values, the most that are accepted (fixed)"
    ))
}

/// Nested too deep.
pub(super) fn too_deep() -> BodyError {
    BodyError::too_large(format!(
        "the body is nested deeper than {DEPTH} (fixed), or holds itself"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defence::without;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    /// Tells the program of the tests that it is the one which ends.
    const WITHIN: &str = "CELERIAC_TEST_WITHIN";

    fn json(document: &Document) -> Result<String, BodyError> {
        document.json().map(|json| String::from_utf8(json).unwrap())
    }

    #[test]
    fn keys_become_text_as_in_python() {
        let mut document = Document::default();
        let value = document.add(Node::Null).unwrap();
        let keys = [
            document.text("a\"").unwrap(),
            document.number(1).unwrap(),
            document.float(1.5).unwrap(),
            document.add(Node::Bool(true)).unwrap(),
            value,
        ];
        let members = keys.map(|key| (key, value)).to_vec();
        let root = document.add(Node::Dict(members)).unwrap();
        let document = document.with_root(root);
        let expected = r#"{"a\"":null,"1":null,"1.5":null,"true":null,"null":null}"#;
        assert_eq!(json(&document).unwrap(), expected);
    }

    #[test]
    fn a_value_within_itself_is_refused() {
        let mut document = Document::default();
        let root = document.add(Node::List(vec![0])).unwrap();
        let error = json(&document.with_root(root)).unwrap_err();
        assert!(error.to_string().contains("deeper than 128"), "{error}");
    }

    #[test]
    fn a_value_that_multiplies_itself_ends_at_the_limit() {
        let mut document = Document::default();
        let mut last = document.text("lol").unwrap();
        for _ in 0..40 {
            last = document.add(Node::List(vec![last; 10])).unwrap();
        }
        let error = json(&document.with_root(last)).unwrap_err();
        assert!(error.to_string().contains("67108864"), "{error}");
    }

    #[test]
    fn without_a_largest_expansion_a_value_is_as_long_as_it_multiplies_itself() {
        let mut document = Document::default();
        let mut last = document.text(&"lol".repeat(30)).unwrap();
        for _ in 0..6 {
            last = document.add(Node::List(vec![last; 10])).unwrap();
        }
        let document = document.with_root(last);
        assert!(document.json().is_err());
        let _away = without(&[Defence::Expansion]);
        assert!(document.json().unwrap().len() as u64 > EXPANDED_BYTES);
    }

    #[test]
    fn without_a_depth_a_value_within_itself_ends_the_process() {
        let own =
            "celery::body::document::tests::without_a_depth_a_value_within_itself_ends_the_process";
        let mut document = Document::default();
        let root = document.add(Node::List(vec![0])).unwrap();
        let document = document.with_root(root);
        if std::env::var_os(WITHIN).is_some() {
            let _away = without(&[Defence::Depth]);
            let _never = document.json();
            return;
        }
        assert!(document.json().is_err());
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", own])
            .env(WITHIN, "1")
            .output()
            .unwrap();
        // Its stack is all, and that of other tasks with it.
        assert!(process.status.signal().is_some(), "{process:?}");
    }

    #[test]
    fn the_number_of_values_has_an_end() {
        let mut document = Document::default();
        let error = (0..=NODES).find_map(|_| document.add(Node::Null).err());
        assert_eq!(error, Some(too_many()));
        let _away = without(&[Defence::Values]);
        assert!(document.add(Node::Null).is_ok());
    }

    #[test]
    fn bytes_are_wrapped_as_kombu_wraps_them() {
        for (bytes, expected) in [
            (
                &b"h\xc3\xa9"[..],
                r#"{"__type__":"bytes","__value__":"hé"}"#,
            ),
            (b"\xff\x00", r#"{"__type__":"base64","__value__":"/wA="}"#),
        ] {
            let mut document = Document::default();
            document.add(Node::Bytes(bytes.into())).unwrap();
            assert_eq!(json(&document).unwrap(), expected);
        }
    }
}
