//! Looks a schema over before anything is made of it: only what is known, only so much of
//! it, and no reference to anywhere else.

use super::SchemaError;
use super::shown;
use serde_json::{Map, Value};

/// Most parts of a schema that are schemas themselves.
pub const SUBSCHEMAS: usize = 4_096;

/// Keywords of which the value is a schema.
pub(super) const ONE: [&str; 11] = [
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
/// Keywords of which the value is an array of schemas.
pub(super) const SEVERAL: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords of which the value is an object of schemas.
pub(super) const BY_NAME: [&str; 5] = [
    "$defs",
    "definitions",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
/// Keywords that change what references and keywords mean, so that weighing would not know
/// what is compared.
const REFUSED: [&str; 8] = [
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$schema",
    "$vocabulary",
];
/// The one dialect there is.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Returns how many patterns a schema has.
pub(super) fn survey(schema: &Value) -> Result<usize, SchemaError> {
    let (mut seen, mut patterns) = (0_usize, 0_usize);
    let mut waiting = vec![schema];
    while let Some(next) = waiting.pop() {
        seen += 1;
        if seen > SUBSCHEMAS || waiting.len() > SUBSCHEMAS {
            return Err(SchemaError::TooMany);
        }
        let Value::Object(members) = next else {
            continue;
        };
        refuse(members)?;
        if let Some(reference) = members.get("$ref") {
            target(schema, reference)?;
        }
        patterns += usize::from(members.contains_key("pattern"));
        if let Some(Value::Object(by_pattern)) = members.get("patternProperties") {
            patterns += by_pattern.len();
        }
        waiting.extend(parts(members));
    }
    Ok(patterns)
}

fn refuse(members: &Map<String, Value>) -> Result<(), SchemaError> {
    let refused = REFUSED.into_iter().find(|keyword| {
        let value = members.get(*keyword);
        let is_usual = *keyword == "$schema" && value.and_then(Value::as_str) == Some(DIALECT);
        value.is_some() && !is_usual
    });
    match refused {
        None => Ok(()),
        Some(keyword) => Err(SchemaError::Keyword {
            keyword: keyword.to_owned(),
        }),
    }
}

/// Returns the schemas within a schema.
fn parts(members: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let one = ONE.into_iter().filter_map(|keyword| members.get(keyword));
    let several = SEVERAL
        .into_iter()
        .filter_map(|keyword| members.get(keyword)?.as_array());
    let by_name = BY_NAME
        .into_iter()
        .filter_map(|keyword| members.get(keyword)?.as_object());
    one.chain(several.flatten())
        .chain(by_name.flat_map(Map::values))
}

/// Returns what a reference within a schema leads to: a schema that is surveyed.
pub(super) fn target<'a>(schema: &'a Value, reference: &Value) -> Result<&'a Value, SchemaError> {
    let nowhere = || SchemaError::Reference {
        reference: shown(&reference.to_string()),
    };
    let pointer = reference
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'))
        .ok_or_else(nowhere)?;
    // Escaped otherwise than as a pointer, it could be read in two ways.
    if pointer.contains('%') || !leads_to_a_schema(pointer) {
        return Err(nowhere());
    }
    schema.pointer(pointer).ok_or_else(nowhere)
}

/// Tells whether a pointer goes from schema to schema only.
fn leads_to_a_schema(pointer: &str) -> bool {
    let mut steps = pointer.split('/').skip(1);
    while let Some(keyword) = steps.next() {
        let has_more = SEVERAL.contains(&keyword) || BY_NAME.contains(&keyword);
        if has_more && steps.next().is_none() || !has_more && !ONE.contains(&keyword) {
            return false;
        }
    }
    pointer.is_empty() || pointer.starts_with('/')
}
