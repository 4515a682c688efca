//! A JSON value as the text it came as.

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Most items of an array that is taken apart (2 Mi): an item costs some 48 bytes besides
/// its text, and no array of what a guest may be given, 4 MiB, has more.
const ITEMS: usize = 2 << 20;

/// A JSON value, not looked into: its digits and the order of its members stay as they
/// were written. Cheap to clone, and so are its parts: they share its text.
#[derive(Clone)]
pub struct Json {
    whole: Arc<str>,
    /// Its place there.
    at: Range<usize>,
}

impl Json {
    fn new(text: impl Into<Arc<str>>) -> Self {
        let whole = text.into();
        Self {
            at: 0..whole.len(),
            whole,
        }
    }

    /// Reads exactly one value; `None` where the text is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let value: &RawValue = serde_json::from_str(text).ok()?;
        Some(Self::from(value))
    }

    /// Takes a text for a value, to be read by [`Json::parse`], which refuses what is none:
    /// until then nobody knows.
    pub(crate) fn unread(text: &str) -> Self {
        Self::new(text)
    }

    /// Returns `null`.
    #[must_use]
    pub fn null() -> Self {
        Self::new("null")
    }

    /// Writes a text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(serde_json::Value::from(text).to_string())
    }

    /// Writes an array.
    #[must_use]
    pub fn array<'a>(items: impl IntoIterator<Item = &'a Self>) -> Self {
        let items: Vec<&str> = items.into_iter().map(Self::as_str).collect();
        Self::new(["[", &items.join(", "), "]"].concat())
    }

    /// Returns the JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Always a place of whole characters within it.
        self.whole.get(self.at.clone()).unwrap_or_default()
    }

    /// Returns a part of it that was read from its own text: without a copy.
    #[must_use]
    pub fn part(&self, value: &RawValue) -> Self {
        let text = value.get();
        let from = text
            .as_ptr()
            .addr()
            .wrapping_sub(self.whole.as_ptr().addr());
        let at = from..from.saturating_add(text.len());
        match self.whole.get(at.clone()) {
            Some(same) if same.len() == text.len() => Self {
                whole: Arc::clone(&self.whole),
                at,
            },
            _ => Self::from(value),
        }
    }

    /// Tells whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    /// Reads it as a type; `None` where it is not of that type.
    #[must_use]
    pub fn parse<'a, T: serde::Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_str(self.as_str()).ok()
    }

    /// Returns its items, where it is an array of at most 2,097,152.
    #[must_use]
    pub fn items(&self) -> Option<Vec<Self>> {
        let Items(items) = self.parse::<Items<'_, ITEMS>>()?;
        Some(items.into_iter().map(|item| self.part(item)).collect())
    }

    /// Tells whether it is nested at most 128 deep, as every result is.
    #[must_use]
    pub fn is_result(&self) -> bool {
        let (mut depth, mut deepest) = (0_usize, 0);
        let (mut in_text, mut escaped) = (false, false);
        for byte in self.as_str().bytes() {
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

    /// Tells whether the levels that bytes of a text stand deep, in arrays and objects, add
    /// up to more than `most`: whoever reads it level by level reads that many bytes. It
    /// need not be JSON.
    #[must_use]
    pub(crate) fn is_heavy(text: &str, most: u64) -> bool {
        let (mut depth, mut weight, mut at) = (0_u64, 0_u64, 0);
        let bytes = text.as_bytes();
        while let Some(byte) = bytes.get(at) {
            let (next, deeper) = match byte {
                b'"' => (after_text(bytes, at), depth),
                b'[' | b'{' => (at + 1, depth + 1),
                b']' | b'}' => (at + 1, depth.saturating_sub(1)),
                _ => (at + 1, depth),
            };
            weight = weight.saturating_add(depth.saturating_mul((next - at) as u64));
            if weight > most {
                return true;
            }
            (at, depth) = (next, deeper);
        }
        false
    }

    /// Returns its first `count` items, where it is an array: who takes one more than is
    /// allowed knows whether there are too many, and holds no more than that.
    #[must_use]
    pub fn first_items(&self, count: usize) -> Option<Vec<Self>> {
        let mut reader = serde_json::Deserializer::from_str(self.as_str());
        let items = reader.deserialize_seq(First(count)).ok()?;
        reader.end().ok().map(|()| items)
    }
}

/// Returns the place behind a text that begins at a quotation mark.
fn after_text(bytes: &[u8], from: usize) -> usize {
    let mut escaped = false;
    let inside = bytes.iter().skip(from + 1);
    let length = inside.take_while(|byte| {
        let goes_on = escaped || **byte != b'"';
        escaped = !escaped && **byte == b'\\';
        goes_on
    });
    (from + 2 + length.count()).min(bytes.len())
}

/// The items of an array, of which there may be so many.
#[derive(Debug)]
pub struct Items<'a, const MOST: usize>(pub Vec<&'a RawValue>);

impl<'de: 'a, 'a, const MOST: usize> Deserialize<'de> for Items<'a, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(AtMost::<MOST>).map(Self)
    }
}

/// Keeps the items of an array, unless they are too many.
struct AtMost<const MOST: usize>;

impl<'de, const MOST: usize> Visitor<'de> for AtMost<MOST> {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = array.next_element()? {
            if items.len() == MOST {
                return Err(de::Error::invalid_length(MOST + 1, &self));
            }
            items.push(item);
        }
        Ok(items)
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

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl From<&RawValue> for Json {
    fn from(value: &RawValue) -> Self {
        Self::new(value.get())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::new(number.to_string())
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Self::new(number.to_string())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
    fn a_part_shares_the_text_of_the_whole_and_nothing_else() {
        let whole = Json::read(r#"[1, ["a", "ä"]]"#).unwrap();
        let parts = whole.items().unwrap();
        let inner = parts[1].items().unwrap();
        assert_eq!(inner[1], Json::text("ä"));
        assert!(Arc::ptr_eq(&inner[1].whole, &whole.whole));
        // What was read elsewhere is copied.
        let other = Json::read(r#"{"b": 2}"#).unwrap();
        let value: &RawValue = other.parse().unwrap();
        assert_eq!(whole.part(value), other);
        assert!(!Arc::ptr_eq(&whole.part(value).whole, &whole.whole));
    }

    #[test]
    fn an_array_of_more_items_than_anybody_needs_is_not_taken_apart() {
        let zeros = |count: usize| Json::read(&format!("[{}0]", "0,".repeat(count - 1))).unwrap();
        assert_eq!(zeros(ITEMS).items().map(|items| items.len()), Some(ITEMS));
        assert_eq!(zeros(ITEMS + 1).items(), None);
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
