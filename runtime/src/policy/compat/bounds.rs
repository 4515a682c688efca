//! Bounds of numbers and lengths, of which the tighter takes less.

use super::schema::What;
use super::shape::{Kind, Shape};
use serde_json::Value;

/// Whole numbers by the names that schema generators give them, with their bounds.
const FORMATS: [(&str, f64, f64); 8] = [
    ("int8", -128.0, 127.0),
    ("int16", -32_768.0, 32_767.0),
    ("int32", -2_147_483_648.0, 2_147_483_647.0),
    (
        "int64",
        -9_223_372_036_854_775_808.0,
        9_223_372_036_854_775_807.0,
    ),
    ("uint8", 0.0, 255.0),
    ("uint16", 0.0, 65_535.0),
    ("uint32", 0.0, 4_294_967_295.0),
    ("uint64", 0.0, 18_446_744_073_709_551_615.0),
];

/// A bound: the rule's name, and whether the larger number is the tighter one.
type Rule = (&'static str, bool);

const OF_NUMBERS: [Rule; 4] = [
    ("minimum", true),
    ("exclusiveMinimum", true),
    ("maximum", false),
    ("exclusiveMaximum", false),
];
const OF_STRINGS: [Rule; 2] = [("minLength", true), ("maxLength", false)];
const OF_ARRAYS: [Rule; 2] = [("minItems", true), ("maxItems", false)];
const OF_OBJECTS: [Rule; 2] = [("minProperties", true), ("maxProperties", false)];

/// Returns the bounds in which `narrow` is tighter than `wide`.
pub(super) fn tighter(wide: &Shape<'_>, narrow: &Shape<'_>) -> Vec<What> {
    let rules: &[Rule] = match narrow.kind {
        Kind::Integer | Kind::Number => &OF_NUMBERS,
        Kind::String => &OF_STRINGS,
        Kind::Array => &OF_ARRAYS,
        Kind::Object => &OF_OBJECTS,
        Kind::Null | Kind::Boolean => &[],
    };
    let mut found = Vec::new();
    for (rule, from_below) in rules {
        let (was, now) = (
            bound(wide, rule, *from_below),
            bound(narrow, rule, *from_below),
        );
        let Some(now) = now else { continue };
        let is_tighter = match was {
            Some(was) if *from_below => now > was,
            Some(was) => now < was,
            // A length has the bound 0 anyway, and either of two rules may bound a number.
            None if *from_below && !rule.ends_with("inimum") => now > 0.0,
            None => !is_bound(wide, rule, now),
        };
        if is_tighter {
            let wide = was.map(|was| was.to_string());
            let narrow = now.to_string();
            found.push(What::Bound { rule, wide, narrow });
        }
    }
    found.extend(rules_added(wide, narrow));
    found
}

/// Tells whether a value lies within the bounds of a shape.
pub(super) fn holds(shape: &Shape<'_>, value: &Value) -> bool {
    let Some(number) = value.as_f64() else {
        return true;
    };
    OF_NUMBERS.iter().all(|(rule, from_below)| {
        let bound = bound(shape, rule, *from_below);
        bound.is_none_or(|bound| match (*rule, *from_below) {
            ("minimum", _) => number >= bound,
            ("maximum", _) => number <= bound,
            (_, true) => number > bound,
            (_, false) => number < bound,
        })
    })
}

/// Tells whether a number is bounded as tightly by the rule's neighbour.
fn is_bound(shape: &Shape<'_>, rule: &str, now: f64) -> bool {
    match rule {
        "minimum" => bound(shape, "exclusiveMinimum", true).is_some_and(|was| was >= now),
        "exclusiveMinimum" => bound(shape, "minimum", true).is_some_and(|was| was > now),
        "maximum" => bound(shape, "exclusiveMaximum", false).is_some_and(|was| was <= now),
        "exclusiveMaximum" => bound(shape, "maximum", false).is_some_and(|was| was < now),
        _ => false,
    }
}

/// Returns the tightest bound that a shape has under a rule.
fn bound(shape: &Shape<'_>, rule: &str, from_below: bool) -> Option<f64> {
    let said = shape.all(rule).filter_map(Value::as_f64);
    let implied = shape.all("format").filter_map(|format| {
        let (_, lowest, highest) = FORMATS
            .iter()
            .find(|(name, ..)| Some(*name) == format.as_str())?;
        match rule {
            "minimum" => Some(*lowest),
            "maximum" => Some(*highest),
            _ => None,
        }
    });
    said.chain(implied).reduce(match from_below {
        true => f64::max,
        false => f64::min,
    })
}

/// Returns other rules that `narrow` has, and `wide` has not.
fn rules_added(wide: &Shape<'_>, narrow: &Shape<'_>) -> Vec<What> {
    let rules: &[&'static str] = match narrow.kind {
        Kind::Integer | Kind::Number => &["multipleOf"],
        Kind::String => &["pattern"],
        Kind::Array => &["uniqueItems"],
        Kind::Null | Kind::Boolean | Kind::Object => &[],
    };
    let says_something = |value: &Value| *value != Value::Bool(false);
    let mut found = Vec::new();
    for rule in rules.iter().copied() {
        let now = narrow.get(rule).filter(|value| says_something(value));
        let was = wide.get(rule).filter(|value| says_something(value));
        if let (Some(now), None) = (now, was)
            && !(rule == "multipleOf" && now.as_f64() == Some(1.0) && wide.kind == Kind::Integer)
        {
            let narrow = now.to_string();
            found.push(What::Bound {
                rule,
                wide: None,
                narrow,
            });
        }
    }
    found
}
