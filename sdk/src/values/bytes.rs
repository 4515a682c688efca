//! Bytes.

use std::borrow::Cow;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wrapped::{self, Wrapped};
use crate::borrowed::Text;

/// Bytes, which a Python caller sends and receives as `bytes`.
///
/// In JSON `{"__type__": "base64", "__value__": "…"}`. kombu also wraps bytes that are text as
/// `{"__type__": "bytes", "__value__": "text"}`, so both are read. A bare string is refused: it
/// could mean either.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// Gives up the wrapper.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<'de> Wrapped<'de> for Bytes {
    type Value = Text<'de>;

    const EXPECTED: &'static str = r#"bytes as {"__type__": "base64", "__value__": "…"}"#;

    fn unwrap(kind: &str, Text(value): Text<'de>) -> Result<Self, Option<String>> {
        match kind {
            "base64" => STANDARD
                .decode(value.as_bytes())
                .map(Self)
                .map_err(|error| Some(format!("bad base64: {error}"))),
            "bytes" => Ok(Self(value.into_owned().into_bytes())),
            _ => Err(None),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        wrapped::deserialize(deserializer)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        wrapped::serialize("base64", &STANDARD.encode(&self.0), serializer)
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn schema_id() -> Cow<'static, str> {
        "celeriac_sdk::Bytes".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds: &[&str] = if generator.contract().is_serialize() {
            &["base64"]
        } else {
            &["base64", "bytes"]
        };
        wrapped::schema(kinds, &json_schema!({ "type": "string" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_out_as_base64_and_come_back() {
        let bytes = Bytes::from(vec![0xff, 0, 1]);
        let json = serde_json::to_string(&bytes).expect("it has a JSON form");
        assert_eq!(json, r#"{"__type__":"base64","__value__":"/wAB"}"#);
        assert_eq!(
            serde_json::from_str::<Bytes>(&json).expect("it reads its own"),
            bytes
        );
    }

    #[test]
    fn bytes_that_are_text_and_members_in_any_order_are_read() {
        let bytes: Bytes = serde_json::from_str(r#"{"__value__":"h\u00e9","__type__":"bytes"}"#)
            .expect("kombu's form");
        assert_eq!(&*bytes, "hé".as_bytes());
        assert_eq!(bytes.into_vec().len(), 3);
    }

    #[test]
    fn anything_else_is_told_what_is_expected() {
        for (json, message) in [
            (
                r#""abc""#,
                r#"invalid type: string "abc", expected bytes as"#,
            ),
            ("3", "invalid type: integer `3`, expected bytes as"),
            (
                r#"{"__type__":"decimal","__value__":"3"}"#,
                r#"__type__ "decimal", expected bytes as"#,
            ),
            (r#"{"__type__":"base64","__value__":"?"}"#, "bad base64"),
            (r#"{"__type__":"base64"}"#, "expected bytes as"),
            (
                r#"{"__type__":"base64","__value__":"","x":1}"#,
                r#"unexpected member "x", expected bytes as"#,
            ),
        ] {
            let error = serde_json::from_str::<Bytes>(json)
                .expect_err("it is not bytes")
                .to_string();
            assert!(error.starts_with(message), "{json}: {error}");
        }
    }

    #[test]
    fn bytes_are_read_inside_buffered_shapes_too() {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u8),
            Bytes(Bytes),
        }
        let either = serde_json::from_str(r#"{"__type__":"base64","__value__":"AA=="}"#)
            .expect("it is bytes");
        assert!(matches!(either, Either::Bytes(bytes) if *bytes == [0]));
        assert!(matches!(serde_json::from_str("3"), Ok(Either::Number(3))));
    }
}
