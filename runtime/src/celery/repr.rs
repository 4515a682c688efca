//! How Python shows a value: for `argsrepr` and `kwargsrepr`, which people read.

use serde_json::Value;

/// Longest text, characters, as Celery cuts it.
const LENGTH: usize = 1_024;
/// Deepest nesting that is shown, as in Celery's `saferepr`.
const DEPTH: usize = 3;

/// Shows a JSON array as a tuple, such as `(2, 'x')`.
#[must_use]
pub fn tuple(items: &[&str]) -> String {
    let mut text = Text::default();
    text.push("(");
    for (place, item) in items.iter().enumerate() {
        if text.is_full {
            break;
        }
        text.push(if place > 0 { ", " } else { "" });
        match serde_json::from_str(item) {
            Ok(value) => text.show(&value, 1),
            // Too deep for a tree, and so for people.
            Err(_) => text.push("..."),
        }
    }
    text.push(if items.len() == 1 { ",)" } else { ")" });
    text.done()
}

/// Shows a JSON value, such as `{'a': None}`.
#[must_use]
pub fn value(json: &str) -> String {
    let mut text = Text::default();
    match serde_json::from_str(json) {
        Ok(value) => text.show(&value, 0),
        Err(_) => text.push("..."),
    }
    text.done()
}

#[derive(Default)]
struct Text {
    text: String,
    length: usize,
    is_full: bool,
}

impl Text {
    fn push(&mut self, more: &str) {
        for letter in more.chars() {
            if self.length >= LENGTH {
                self.is_full = true;
                return;
            }
            self.text.push(letter);
            self.length += 1;
        }
    }

    fn show(&mut self, value: &Value, depth: usize) {
        if self.is_full {
            return;
        }
        match value {
            Value::Null => self.push("None"),
            Value::Bool(true) => self.push("True"),
            Value::Bool(false) => self.push("False"),
            Value::Number(number) => self.push(&number.to_string()),
            Value::String(text) => self.quote(text),
            Value::Array(_) | Value::Object(_) if depth >= DEPTH => self.push("..."),
            Value::Array(items) => {
                self.push("[");
                for (place, item) in items.iter().enumerate() {
                    self.push(if place > 0 { ", " } else { "" });
                    self.show(item, depth + 1);
                }
                self.push("]");
            }
            Value::Object(members) => {
                self.push("{");
                for (place, (name, member)) in members.iter().enumerate() {
                    self.push(if place > 0 { ", " } else { "" });
                    self.quote(name);
                    self.push(": ");
                    self.show(member, depth + 1);
                }
                self.push("}");
            }
        }
    }

    fn quote(&mut self, text: &str) {
        self.push("'");
        for letter in text.chars() {
            if self.is_full {
                return;
            }
            match letter {
                '\'' => self.push("\\'"),
                _ => self.push(letter.encode_utf8(&mut [0; 4])),
            }
        }
        self.push("'");
    }

    fn done(self) -> String {
        if !self.is_full {
            return self.text;
        }
        let kept: String = self.text.chars().take(LENGTH - 3).collect();
        kept + "..."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_python_shows_them() {
        assert_eq!(tuple(&["2", "3"]), "(2, 3)");
        assert_eq!(tuple(&["1"]), "(1,)");
        assert_eq!(tuple(&[]), "()");
        assert_eq!(value(r#"{"k": "v"}"#), "{'k': 'v'}");
        assert_eq!(
            value(r#"[null, true, "it's", 1.5]"#),
            r"[None, True, 'it\'s', 1.5]"
        );
        assert_eq!(
            value(r#"{"a": {"b": {"c": {"d": 1}}}}"#),
            "{'a': {'b': {'c': ...}}}"
        );
    }

    #[test]
    fn what_is_long_or_deep_is_cut() {
        let long = format!("[{}]", "1, ".repeat(5_000) + "1");
        let shown = value(&long);
        assert_eq!(shown.chars().count(), LENGTH);
        assert!(shown.ends_with("..."));
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(tuple(&[&deep]), "(...,)");
    }
}
