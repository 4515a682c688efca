//! The object with exactly two members in which kombu wraps a value.

use std::fmt;
use std::marker::PhantomData;

use schemars::{Schema, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::borrowed::Text;

/// The member that names the type.
const TYPE: &str = "__type__";

/// The member that holds the value.
const VALUE: &str = "__value__";

/// Writes a wrapped value.
pub(super) fn serialize<S: Serializer>(
    kind: &'static str,
    value: &impl Serialize,
    to: S,
) -> Result<S::Ok, S::Error> {
    let mut wrapped = to.serialize_struct("Wrapped", 2)?;
    wrapped.serialize_field(TYPE, kind)?;
    wrapped.serialize_field(VALUE, value)?;
    wrapped.end()
}

/// Describes a wrapped value.
pub(super) fn schema(kinds: &[&str], value: &Schema) -> Schema {
    json_schema!({
        "type": "object",
        "properties": { TYPE: { "enum": kinds }, VALUE: value },
        "required": [TYPE, VALUE],
    })
}

/// A type that comes wrapped.
pub(super) trait Wrapped<'de>: Sized {
    /// What `__value__` holds.
    type Value: Deserialize<'de>;

    /// Says what is expected, for messages: "bytes as {...}".
    const EXPECTED: &'static str;

    /// Makes the value; `Err(None)` where the type is none of its own.
    fn unwrap(kind: &str, value: Self::Value) -> Result<Self, Option<String>>;

    /// Makes the value from a bare text, for callers whose language has no kombu; by default there
    /// is no such form.
    fn from_text(_: &str) -> Option<Self> {
        None
    }
}

/// Reads a wrapped value.
pub(super) fn deserialize<'de, T: Wrapped<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    from.deserialize_any(WrappedVisitor(PhantomData))
}

struct WrappedVisitor<T>(PhantomData<T>);

impl<'de, T: Wrapped<'de>> Visitor<'de> for WrappedVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).ok_or_else(|| E::invalid_type(Unexpected::Str(text), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let (mut kind, mut value) = (None::<Text<'de>>, None::<T::Value>);
        while let Some(Text(member)) = map.next_key::<Text<'de>>()? {
            match &*member {
                TYPE => kind = Some(map.next_value()?),
                VALUE => value = Some(map.next_value()?),
                other => {
                    return Err(A::Error::custom(format_args!(
                        "unexpected member {other:?}, expected {}",
                        T::EXPECTED
                    )));
                }
            }
        }
        let (Some(Text(kind)), Some(value)) = (kind, value) else {
            return Err(A::Error::custom(format_args!("expected {}", T::EXPECTED)));
        };
        T::unwrap(&kind, value).map_err(|cause| match cause {
            Some(cause) => A::Error::custom(format_args!("{cause}, expected {}", T::EXPECTED)),
            None => A::Error::custom(format_args!("{TYPE} {kind:?}, expected {}", T::EXPECTED)),
        })
    }
}
