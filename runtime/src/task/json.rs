//! A JSON value as the text it came as.

use serde::de::{Deserializer as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;

/// A JSON value, not looked into: its digits and the order of its members stay as they
/// were written. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Arc<str>);

impl Json {
    /// Reads exactly one value; `None` where the text is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let value: &RawValue = serde_json::from_str(text).ok()?;
        Some(Self::from(value))
    }

    /// Returns `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// Writes a text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string().into())
    }

    /// Writes an array.
    #[must_use]
    pub fn array<'a>(items: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut text = String::from("[");
        for item in items {
            if text.len() > 1 {
                text.push_str(", ");
            }
            text.push_str(&item.0);
        }
        text.push(']');
        Self(text.into())
    }

    /// Returns the JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }

    /// Reads it as a type; `None` where it is not of that type.
    #[must_use]
    pub fn parse<'a, T: serde::Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_str(&self.0).ok()
    }

    /// Returns its items, where it is an array.
    #[must_use]
    pub fn items(&self) -> Option<Vec<Self>> {
        let items: Vec<&RawValue> = self.parse()?;
        Some(items.into_iter().map(Self::from).collect())
    }

    /// Tells whether it is nested at most 128 deep, as every result is.
    #[must_use]
    pub fn is_result(&self) -> bool {
        let (mut depth, mut deepest) = (0_usize, 0);
        let (mut in_text, mut escaped) = (false, false);
        for byte in self.0.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = in_text,
                b'"' => in_text = !in_text,
                b'[' | b'{' if !in_text => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        deepest <= RESULT_DEPTH
    }

    /// Returns its first `count` items, where it is an array: who takes one more than is
    /// allowed knows whether there are too many, and holds no more than that.
    #[must_use]
    pub fn first_items(&self, count: usize) -> Option<Vec<Self>> {
        let mut reader = serde_json::Deserializer::from_str(&self.0);
        let items = reader.deserialize_seq(First(count)).ok()?;
        reader.end().ok().map(|()| items)
    }
}

/// Deepest nesting of a result: what the sandbox lets a guest return, and readers take.
const RESULT_DEPTH: usize = 128;

/// Keeps the first items of an array.
struct First(usize);

impl<'de> Visitor<'de> for First {
    type Value = Vec<Json>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Vec<Json>, A::Error> {
        let mut items = Vec::new();
        while items.len() < self.0 {
            match array.next_element::<&RawValue>()? {
                Some(item) => items.push(Json::from(item)),
                None => return Ok(items),
            }
        }
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}

impl From<&RawValue> for Json {
    fn from(value: &RawValue) -> Self {
        Self(value.get().into())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Self(number.to_string().into())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_as_it_was_written() {
        for text in [
            "1.00",
            "12345678901234567890123",
            r#"{"b":1, "a":2}"#,
            "null",
        ] {
            assert_eq!(Json::read(text).unwrap().as_str(), text);
        }
        for text in ["", "1 2", "{", "NaN"] {
            assert_eq!(Json::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_result_is_nested_at_most_128_deep() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::read(&deep(128)).unwrap().is_result());
        assert!(!Json::read(&deep(129)).unwrap().is_result());
        let text = Json::text(&format!("\"\\{}", deep(200)));
        assert!(text.is_result());
        assert!(Json::array(&vec![Json::array([]); 200]).is_result());
    }

    #[test]
    fn an_array_is_made_and_taken_apart() {
        let items = [
            Json::from(1_u64),
            Json::text("ä\""),
            Json::read("[ ]").unwrap(),
        ];
        let array = Json::array(&items);
        assert_eq!(array.as_str(), r#"[1, "ä\"", [ ]]"#);
        assert_eq!(array.items().unwrap(), items);
        assert_eq!(Json::array([]).items().unwrap(), []);
        assert_eq!(Json::text("x").items(), None);
        for (count, kept) in [(0, 0), (2, 2), (3, 3), (4, 3)] {
            assert_eq!(array.first_items(count).unwrap(), items[..kept]);
        }
        assert_eq!(Json::text("x").first_items(1), None);
    }
}
