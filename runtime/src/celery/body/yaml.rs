//! YAML, the part of it that PyYAML calls safe.

use super::document::{Document, Id, Node, too_deep};
use super::{BodyError, DEPTH, construct, scalar};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use std::borrow::Cow;
use std::collections::HashMap;

/// Reads a body; it is one document.
pub(super) fn read(bytes: &[u8]) -> Result<Document, BodyError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| BodyError::malformed(format!("the YAML body is not UTF-8: {error}")))?;
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, _) = event.map_err(|error| not_yaml(&error))?;
        builder.take(event)?;
    }
    match builder.root {
        Some(root) => Ok(builder.document.with_root(root)),
        None => Err(BodyError::malformed("the YAML body is empty")),
    }
}

#[derive(Default)]
struct Builder {
    document: Document,
    root: Option<Id>,
    /// The collections that are open, outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Id>,
}

/// A collection, and the key that waits for its value.
struct Open {
    id: Id,
    key: Option<Id>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), BodyError> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => Err(BodyError::malformed(
                "the YAML body holds more than one document",
            )),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).copied();
                let id = known.ok_or_else(|| BodyError::malformed("a YAML alias has no anchor"))?;
                self.place(id)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = scalar(&text, style, tag.as_ref())?;
                let id = self.add(node, anchor)?;
                self.place(id)
            }
            Event::SequenceStart(anchor, tag) => {
                collection(tag.as_ref(), "seq")?;
                self.open(Node::List(Vec::new()), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                collection(tag.as_ref(), "map")?;
                self.open(Node::Dict(Vec::new()), anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                Ok(())
            }
        }
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<Id, BodyError> {
        let id = self.document.add(node)?;
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        Ok(id)
    }

    fn open(&mut self, node: Node, anchor: usize) -> Result<(), BodyError> {
        if self.open.len() >= DEPTH {
            return Err(too_deep());
        }
        let id = self.add(node, anchor)?;
        self.place(id)?;
        self.open.push(Open { id, key: None });
        Ok(())
    }

    /// Puts a value where it belongs: into the innermost collection, or at the top.
    fn place(&mut self, id: Id) -> Result<(), BodyError> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(id);
            return Ok(());
        };
        match self.document.get_mut(open.id) {
            Some(Node::Dict(members)) => match open.key.take() {
                Some(key) => members.push((key, id)),
                None => open.key = Some(id),
            },
            Some(Node::List(items)) => items.push(id),
            _ => return Err(BodyError::malformed("the YAML body is out of order")),
        }
        Ok(())
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Cow<'_, Tag>>) -> Result<Node, BodyError> {
    match tag {
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(Node::Text(text.into())),
        Some(tag) => scalar::tagged(own(tag)?, text),
        None if style == ScalarStyle::Plain && text == "<<" => {
            Err(BodyError::not_accepted("a YAML merge key is not read"))
        }
        None if style == ScalarStyle::Plain => scalar::plain(text),
        None => Ok(Node::Text(text.into())),
    }
}

/// Checks the tag of a collection.
fn collection(tag: Option<&Cow<'_, Tag>>, expected: &str) -> Result<(), BodyError> {
    match tag {
        None => Ok(()),
        Some(tag) => match own(tag)? {
            name if name == expected => Ok(()),
            "set" => Err(construct::no_set()),
            name => Err(scalar::not_safe(name)),
        },
    }
}

/// The name of a tag of YAML's own; every other is refused.
fn own(tag: &Tag) -> Result<&str, BodyError> {
    match tag.is_yaml_core_schema() {
        true => Ok(&tag.suffix),
        false => Err(scalar::not_safe(&format!("{}{}", tag.handle, tag.suffix))),
    }
}

fn not_yaml(error: &ScanError) -> BodyError {
    BodyError::malformed(format!("the body is not YAML: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> Result<String, BodyError> {
        let json = read(text.as_bytes())?.json()?;
        Ok(String::from_utf8(json).unwrap())
    }

    #[test]
    fn what_pyyaml_dumps_is_read() {
        let text = "- - 2\n  - !!binary |\n    /wA=\n  - 2030-01-02\n  - 'yes'\n  - &id001\n    a: 1.5\n  - *id001\n- z: \"\\xE9\"\n- callbacks: null\n";
        let expected = r#"[[2,{"__type__":"base64","__value__":"/wA="},{"__type__":"date","__value__":"2030-01-02"},"yes",{"a":1.5},{"a":1.5}],{"z":"é"},{"callbacks":null}]"#;
        assert_eq!(json(text).unwrap(), expected);
    }

    #[test]
    fn what_is_not_plain_data_is_refused() {
        let bomb = (1..40).fold("- &a0 [lol]\n".to_owned(), |mut text, n| {
            let items = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("- &a{n} [{items}]\n"));
            text
        });
        let deep = "[".repeat(200);
        let deeper = "[".repeat(100_000);
        for (text, words) in [
            ("", "empty"),
            ("--- 1\n--- 2\n", "more than one document"),
            (
                "!!python/object/apply:os.system ['id']",
                "python/object/apply",
            ),
            ("!!python/name:os.system ''", "python/name"),
            ("!local 1", "!local"),
            ("!!set {a, b}", "a set is not JSON"),
            ("!!omap [a: 1]", "omap"),
            ("{<<: {a: 1}}", "merge key"),
            ("&a [*a]", "holds itself"),
            ("*a", "not YAML"),
            ("[1", "not YAML"),
            ("? [1]\n: 2\n", "not tuple"),
            ("[.nan]", "NaN"),
            (&bomb, "67108864"),
            (&deep, "deeper than 128"),
            (&deeper, ""),
        ] {
            let error = json(text).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_no_harm(text in "[-\\[\\]{}:,&*!|>'\"%a1~ \n\t.#?\\\\é]{0,60}") {
            if let Ok(json) = json(&text) {
                serde_json::from_str::<serde_json::Value>(&json).unwrap();
            }
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(document) = read(&bytes) {
                drop(document.json());
            }
        }
    }
}
