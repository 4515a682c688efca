//! The arguments of a call, taken apart and not looked into.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// Most positional, and most keyword arguments of a call (10,000): each is compared by
/// itself.
pub const GIVEN: usize = 10_000;

/// Positional arguments.
pub(super) struct Given<'a>(pub(super) Vec<&'a RawValue>);

/// Keyword arguments, each name once: readers differ in which of two they take.
pub(super) struct Named<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Given<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Values).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Named<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members).map(Self)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = array.next_element()? {
            if values.len() == GIVEN {
                return Err(de::Error::custom("there are more"));
            }
            values.push(value);
        }
        Ok(values)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut names) = (Vec::new(), BTreeSet::new());
        while let Some(Name(name)) = object.next_key()? {
            if members.len() == GIVEN {
                return Err(de::Error::custom("there are more"));
            }
            if !names.insert(name.clone()) {
                let name = super::shown(&name);
                return Err(de::Error::custom(format!("{name:?} is there twice")));
            }
            members.push((name, object.next_value()?));
        }
        Ok(members)
    }
}

/// A name, copied only where it is escaped.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
