//! Values as Python would write them, for people: `(2, 'a')`, `{'k': None}`.

use serde::de::IgnoredAny;

/// Longest text, characters, as Celery cuts it.
const CHARACTERS: usize = 1_024;

/// Writes a JSON array as Python's tuple.
#[must_use]
pub fn tuple(json: &[u8]) -> String {
    let list = value(json);
    let Some(inner) = list
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'))
    else {
        return list;
    };
    // A tuple of one has a comma: what follows the first value tells.
    let single = serde_json::from_slice::<(IgnoredAny,)>(json).is_ok();
    let comma = if single { "," } else { "" };
    format!("({inner}{comma})")
}

/// Writes any JSON value. No number is read: digits stay as they are.
#[must_use]
pub fn value(json: &[u8]) -> String {
    let text = String::from_utf8_lossy(json);
    let mut out = Out::default();
    let mut rest = text.as_ref();
    while let Some(first) = rest.chars().next() {
        if out.is_full() {
            break;
        }
        let taken = match first {
            '"' => string(rest, &mut out),
            ',' => out.put(", ", 1),
            ':' => out.put(": ", 1),
            _ if first.is_ascii_whitespace() => 1,
            _ => word(rest, &mut out),
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    out.end()
}

/// Writes a text as Python's literal.
#[must_use]
pub fn text(text: &str) -> String {
    let mut out = Out::default();
    // As Python, the other quotes where that saves escaping.
    let double = text.contains('\'') && !text.contains('"');
    out.quoted(text, if double { '"' } else { '\'' });
    out.end()
}

/// Writes an exception as Python's `repr` does.
#[must_use]
pub fn exception(class: &str, message: &str) -> String {
    let class: String = class.chars().take(CHARACTERS).collect();
    format!("{class}({})", text(message))
}

#[derive(Default)]
struct Out {
    text: String,
    characters: usize,
}

impl Out {
    fn is_full(&self) -> bool {
        self.characters > CHARACTERS
    }

    fn push(&mut self, letter: char) {
        if !self.is_full() {
            self.text.push(letter);
            self.characters += 1;
        }
    }

    fn put(&mut self, text: &str, taken: usize) -> usize {
        text.chars().for_each(|letter| self.push(letter));
        taken
    }

    fn quoted(&mut self, text: &str, quote: char) {
        self.push(quote);
        for letter in text.chars() {
            if self.is_full() {
                return;
            }
            match letter {
                _ if letter == quote || letter == '\\' => {
                    self.push('\\');
                    self.push(letter);
                }
                '\n' => drop(self.put("\\n", 0)),
                '\r' => drop(self.put("\\r", 0)),
                '\t' => drop(self.put("\\t", 0)),
                _ if letter.is_control() => {
                    let code = format!("\\x{:02x}", u32::from(letter));
                    self.put(&code, 0);
                }
                _ => self.push(letter),
            }
        }
        self.push(quote);
    }

    fn end(self) -> String {
        if !self.is_full() {
            return self.text;
        }
        let kept = CHARACTERS.saturating_sub(3);
        let kept: String = self.text.chars().take(kept).collect();
        format!("{kept}...")
    }
}

/// Writes the string at the start of `rest`, and returns its length there.
fn string(rest: &str, out: &mut Out) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, letter)| {
        let ends = *letter == '"' && !escaped;
        escaped = *letter == '\\' && !escaped;
        ends
    });
    let length = end.map_or(rest.len(), |(at, _)| at + 1);
    let literal = rest.get(..length).unwrap_or_default();
    match serde_json::from_str::<String>(literal) {
        Ok(text) => out.quoted(&text, '\''),
        // Half a string, or a lone surrogate.
        Err(_) => out.quoted(literal.trim_matches('"'), '\''),
    }
    length
}

/// Writes what is neither a string nor a separator.
fn word(rest: &str, out: &mut Out) -> usize {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    let length = rest.find(|letter| !is_letter(letter)).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(1, char::len_utf8);
    let length = length.max(first);
    let word = rest.get(..length).unwrap_or_default();
    let word = match word {
        "null" => "None",
        "true" => "True",
        "false" => "False",
        other => other,
    };
    out.put(word, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_look_as_in_python() {
        for (json, python) in [
            ("5", "5"),
            ("1.50", "1.50"),
            ("null", "None"),
            ("true", "True"),
            (r#""late""#, "'late'"),
            (r#""it's \"x\"\n\u0007""#, r#"'it\'s "x"\n\x07'"#),
            (r#"[1,"a",[false]]"#, "[1, 'a', [False]]"),
            (r#"{"k":null, "l" : {}}"#, "{'k': None, 'l': {}}"),
            (r#""\ud800""#, r"'\\ud800'"),
        ] {
            assert_eq!(value(json.as_bytes()), python, "{json}");
        }
    }

    #[test]
    fn arguments_are_tuples() {
        for (json, python) in [
            ("[]", "()"),
            ("[6]", "(6,)"),
            ("[2, 3]", "(2, 3)"),
            (r#"["a, b"]"#, "('a, b',)"),
            ("[[1, 2]]", "([1, 2],)"),
        ] {
            assert_eq!(tuple(json.as_bytes()), python, "{json}");
        }
    }

    #[test]
    fn exceptions_are_calls() {
        assert_eq!(exception("ValueError", "boom"), "ValueError('boom')");
        assert_eq!(exception("E", "Can't"), "E(\"Can't\")");
        assert_eq!(exception("E", "'\""), "E('\\'\"')");
    }

    #[test]
    fn a_long_or_deep_value_is_cut() {
        let long = format!("[{}1]", "1,".repeat(100_000));
        assert_eq!(value(long.as_bytes()).chars().count(), CHARACTERS);
        assert!(value(long.as_bytes()).ends_with("..."));
        let deep = "[".repeat(1_000_000);
        assert_eq!(value(deep.as_bytes()).chars().count(), CHARACTERS);
        let text = format!("{:?}", "\u{e9}".repeat(5_000));
        assert_eq!(value(text.as_bytes()).chars().count(), CHARACTERS);
    }
}
