//! Cuts keyword arguments out of a JSON object without parsing their values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::borrowed::Text;

/// One keyword argument.
#[derive(Debug)]
pub(crate) struct Keyword<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: &'a RawValue,
}

/// The members of an object in order. Of a name that comes twice the last value counts, as in
/// Python, but the place is the first's.
pub(crate) struct Keywords<'a>(pub(crate) Vec<Keyword<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Keywords<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeywordsVisitor;

        impl<'de> Visitor<'de> for KeywordsVisitor {
            type Value = Keywords<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<Keyword<'de>> = Vec::new();
                // A tree, because a hash map would ask the host for random numbers.
                let mut places = BTreeMap::new();
                while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &RawValue>()? {
                    let place = *places.entry(name.clone()).or_insert(members.len());
                    match members.get_mut(place) {
                        Some(member) => member.value = value,
                        None => members.push(Keyword { name, value }),
                    }
                }
                Ok(Keywords(members))
            }
        }

        deserializer.deserialize_map(KeywordsVisitor)
    }
}
