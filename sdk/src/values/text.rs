//! Values kept as the text they came as.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wrapped::{self, Wrapped};
use crate::borrowed::Text;

macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes a text of the form, or none.
            pub fn new(text: impl Into<String>) -> Option<Self> {
                let text = text.into();
                let accepts: fn(&str) -> bool = $accepts;
                accepts(&text).then_some(Self(text))
            }

            /// Returns the text as it came.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Wrapped<'de> for $name {
            type Value = Text<'de>;

            const EXPECTED: &'static str = $expected;

            fn unwrap(kind: &str, Text(value): Text<'de>) -> Result<Self, Option<String>> {
                if kind != $kind {
                    return Err(None);
                }
                Self::new(&*value).ok_or_else(|| Some(format!("bad value {value:?}")))
            }

            fn from_text(text: &str) -> Option<Self> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                wrapped::deserialize(deserializer)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                wrapped::serialize($kind, &self.0, serializer)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> Cow<'static, str> {
                concat!("celeriac_sdk::", stringify!($name)).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let text = json_schema!({ "type": "string" });
                let wrapped = wrapped::schema(&[$kind], &text);
                if generator.contract().is_serialize() { wrapped } else { json_schema!({ "anyOf": [wrapped, text] }) }
            }
        }
    };
}

text_value!(
    /// A moment as Python's `datetime.isoformat()` writes it, such as `2026-01-31T09:30:00+00:00`.
    ///
    /// Kept as text; a bare string of that form is read too. A time without an offset is UTC, as
    /// for Celery.
    DateTime,
    "datetime",
    r#"a moment as {"__type__": "datetime", "__value__": "2026-01-31T09:30:00+00:00"}"#,
    is_date_time
);

text_value!(
    /// A day as Python's `date.isoformat()` writes it, such as `2026-01-31`.
    ///
    /// Kept as text; a bare string of that form is read too.
    Date,
    "date",
    r#"a day as {"__type__": "date", "__value__": "2026-01-31"}"#,
    is_date
);

text_value!(
    /// A time of day as Python's `time.isoformat()` writes it, such as `09:30:00`.
    ///
    /// Kept as text; a bare string of that form is read too.
    Time,
    "time",
    r#"a time of day as {"__type__": "time", "__value__": "09:30:00"}"#,
    is_time
);

text_value!(
    /// A decimal number, kept as the text it came as: no digit is lost.
    ///
    /// A bare string is read too.
    Decimal,
    "decimal",
    r#"a decimal number as {"__type__": "decimal", "__value__": "12.50"}"#,
    is_decimal
);

/// `YYYY-MM-DD`, a `T` or blank, `HH:MM`, and what may follow; a calendar is not consulted.
fn is_date_time(text: &str) -> bool {
    after(text, b"0000-00-00T00:00").is_some_and(is_rest_of_time)
}

/// `YYYY-MM-DD`; a calendar is not consulted.
fn is_date(text: &str) -> bool {
    after(text, b"0000-00-00").is_some_and(str::is_empty)
}

/// `HH:MM`, and what may follow.
fn is_time(text: &str) -> bool {
    after(text, b"00:00").is_some_and(is_rest_of_time)
}

/// Seconds, a fraction, an offset.
fn is_rest_of_time(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'+' | b'-' | b'Z'))
}

/// Returns what follows a text of this shape: `0` stands for a digit, `T` for a `T` or a blank.
fn after<'a>(text: &'a str, shape: &[u8]) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(shape.len())?;
    let fits = start.bytes().zip(shape).all(|(byte, wanted)| match wanted {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b' '),
        other => byte == *other,
    });
    fits.then_some(rest)
}

/// What Python's `Decimal` prints: a sign, digits with a point, an exponent, or a name.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, "Infinity" | "NaN" | "sNaN") {
        return true;
    }
    let (number, exponent) = unsigned.split_once(['E', 'e']).unwrap_or((unsigned, "0"));
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    !(whole.is_empty() && part.is_empty())
        && digits(whole)
        && digits(part)
        && !exponent.is_empty()
        && digits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_and_a_decimal_keep_their_text() {
        let json = r#"{"__type__":"datetime","__value__":"2026-01-31T09:30:00.000001+00:00"}"#;
        let moment: DateTime = serde_json::from_str(json).expect("kombu's form");
        assert_eq!(moment.as_str(), "2026-01-31T09:30:00.000001+00:00");
        assert_eq!(
            serde_json::to_string(&moment).expect("it has a JSON form"),
            json
        );

        let json = r#"{"__type__":"decimal","__value__":"12.50"}"#;
        let price: Decimal = serde_json::from_str(json).expect("kombu's form");
        assert_eq!(price.to_string(), "12.50");
        assert_eq!(
            serde_json::to_string(&price).expect("it has a JSON form"),
            json
        );
        assert_eq!(
            serde_json::from_str::<Decimal>(r#""-1.5E+3""#)
                .expect("a bare string")
                .as_str(),
            "-1.5E+3"
        );
    }

    #[test]
    fn a_day_and_a_time_of_day_keep_their_text() {
        let json = r#"{"__type__":"date","__value__":"2026-01-31"}"#;
        let day: Date = serde_json::from_str(json).expect("kombu's form");
        assert_eq!(day.as_str(), "2026-01-31");
        assert_eq!(
            serde_json::to_string(&day).expect("it has a JSON form"),
            json
        );

        let json = r#"{"__type__":"time","__value__":"09:30:00.000001+00:00"}"#;
        let time: Time = serde_json::from_str(json).expect("kombu's form");
        assert_eq!(time.as_str(), "09:30:00.000001+00:00");
        assert_eq!(
            serde_json::to_string(&time).expect("it has a JSON form"),
            json
        );

        for text in [
            "",
            "2026-1-31",
            "2026-01-31T09:30:00",
            "31.01.2026",
            "2026-01-3é",
        ] {
            assert_eq!(Date::new(text), None, "{text}");
        }
        for text in ["", "9:30", "09-30", "09:30 Uhr", "noon"] {
            assert_eq!(Time::new(text), None, "{text}");
        }
    }

    #[test]
    fn texts_of_another_form_are_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T9:30",
            "2026-01-31T09:30:00+00:00<script>",
            "yesterday",
        ] {
            assert_eq!(DateTime::new(text), None, "{text}");
        }
        for text in ["", ".", "-", "1,5", "1E", "0x1", "inf"] {
            assert_eq!(Decimal::new(text), None, "{text}");
        }
        let error =
            serde_json::from_str::<Decimal>("1.5").expect_err("a float has lost digits already");
        assert!(
            error
                .to_string()
                .starts_with("invalid type: floating point `1.5`, expected a decimal number as"),
            "{error}"
        );
    }
}
