//! A UUID.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wrapped::{self, Wrapped};

/// A UUID, which a Python caller sends and receives as `uuid.UUID`.
///
/// In JSON `{"__type__": "uuid", "__value__": {"hex": "32 digits"}}`; a bare string, with or
/// without hyphens, is read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(u128);

/// The text is no UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadUuid(String);

impl Uuid {
    /// Makes a UUID of its 128 bits.
    pub fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Returns its 128 bits.
    pub fn as_u128(self) -> u128 {
        self.0
    }
}

impl FromStr for Uuid {
    type Err = BadUuid;

    fn from_str(text: &str) -> Result<Self, BadUuid> {
        let bad = || BadUuid(text.chars().take(64).collect());
        let hyphens_fit = match text.len() {
            32 => !text.contains('-'),
            36 => text
                .bytes()
                .enumerate()
                .all(|(at, byte)| (byte == b'-') == matches!(at, 8 | 13 | 18 | 23)),
            _ => false,
        };
        if !hyphens_fit || text.contains('+') {
            return Err(bad());
        }
        u128::from_str_radix(&text.replace('-', ""), 16)
            .map(Self)
            .map_err(|_| bad())
    }
}

impl fmt::Display for BadUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a uuid: write 32 hexadecimal digits, with or without hyphens",
            self.0
        )
    }
}

impl std::error::Error for BadUuid {}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = ((self.0 >> 64), self.0 & u128::from(u64::MAX));
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

/// What `__value__` holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Hex<'a> {
    #[serde(borrow)]
    hex: Cow<'a, str>,
}

impl<'de> Wrapped<'de> for Uuid {
    type Value = Hex<'de>;

    const EXPECTED: &'static str = r#"a uuid as {"__type__": "uuid", "__value__": {"hex": "…"}}"#;

    fn unwrap(kind: &str, value: Hex<'de>) -> Result<Self, Option<String>> {
        if kind != "uuid" {
            return Err(None);
        }
        value
            .hex
            .parse()
            .map_err(|error: BadUuid| Some(error.to_string()))
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        wrapped::deserialize(deserializer)
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        wrapped::serialize(
            "uuid",
            &Hex {
                hex: format!("{:032x}", self.0).into(),
            },
            serializer,
        )
    }
}

impl JsonSchema for Uuid {
    fn schema_name() -> Cow<'static, str> {
        "Uuid".into()
    }

    fn schema_id() -> Cow<'static, str> {
        "celeriac_sdk::Uuid".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = json_schema!({ "type": "string" });
        let hex =
            json_schema!({ "type": "object", "properties": { "hex": text }, "required": ["hex"] });
        let wrapped = wrapped::schema(&["uuid"], &hex);
        if generator.contract().is_serialize() {
            wrapped
        } else {
            json_schema!({ "anyOf": [wrapped, text] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "12345678-9abc-def0-0123-456789abcdef";

    #[test]
    fn a_uuid_goes_out_as_kombu_writes_it_and_comes_back() {
        let uuid: Uuid = TEXT.parse().expect("it is one");
        let json = serde_json::to_string(&uuid).expect("it has a JSON form");
        assert_eq!(
            json,
            r#"{"__type__":"uuid","__value__":{"hex":"123456789abcdef00123456789abcdef"}}"#
        );
        assert_eq!(
            serde_json::from_str::<Uuid>(&json).expect("it reads its own"),
            uuid
        );
        assert_eq!(
            serde_json::from_str::<Uuid>(&format!("{TEXT:?}")).expect("a bare string"),
            uuid
        );
        assert_eq!(uuid.to_string(), TEXT);
        assert_eq!(Uuid::from_u128(uuid.as_u128()), uuid);
    }

    #[test]
    fn texts_that_are_no_uuid_are_refused() {
        for text in [
            "",
            "123",
            "1234567-89abc-def0-0123-456789abcdef1",
            "+2345678-9abc-def0-0123-456789abcdef",
        ] {
            assert_eq!(
                text.parse::<Uuid>()
                    .map_err(|error| error.to_string().starts_with('"')),
                Err(true),
                "{text}"
            );
        }
    }
}
