//! The shapes a JSON Schema has: each is one kind of value, or one value.
//!
//! References, `allOf` of one, `anyOf`, `oneOf`, lists of types and enumerations are all
//! brought into this form. A schema with a rule that does not fit it is not taken apart.

use serde_json::{Map, Value};

/// Most parts that say something of one shape.
const LAYERS: usize = 8;
/// Most shapes of one schema.
const SHAPES: usize = 512;
/// Deepest nesting of alternatives.
const DEPTH: u32 = 8;
/// Most parts that are looked at for one schema.
const PARTS: u32 = 4_096;
/// Rules that are more than shapes.
const OPAQUE: [&str; 15] = [
    "not",
    "if",
    "then",
    "else",
    "patternProperties",
    "dependencies",
    "dependentSchemas",
    "dependentRequired",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contains",
    "propertyNames",
    "additionalItems",
    "$dynamicRef",
    "$recursiveRef",
];

/// The kinds of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

/// All kinds; a number is any, whole or not.
const ALL: [Kind; 6] = [
    Kind::Null,
    Kind::Boolean,
    Kind::Number,
    Kind::String,
    Kind::Array,
    Kind::Object,
];

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "true and false",
            Self::Integer => "whole numbers",
            Self::Number => "numbers",
            Self::String => "strings",
            Self::Array => "arrays",
            Self::Object => "objects",
        }
    }

    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "string" => Self::String,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_f64() => Self::Number,
            Value::Number(_) => Self::Integer,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }

    /// Tells whether every value of this kind is one of the other.
    pub(super) fn is_in(self, other: Self) -> bool {
        self == other || (self == Self::Integer && other == Self::Number)
    }

    /// Tells whether some value of this kind is one of the other.
    pub(super) fn meets(self, other: Self) -> bool {
        self.is_in(other) || other.is_in(self)
    }
}

/// One kind of value, with all that is said of it, or one value.
#[derive(Debug, Clone)]
pub(super) struct Shape<'a> {
    pub(super) kind: Kind,
    pub(super) value: Option<&'a Value>,
    layers: Vec<&'a Map<String, Value>>,
}

impl<'a> Shape<'a> {
    /// Returns what the first part says that says something under a name.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.all(key).next()
    }

    /// Returns what all parts say under a name.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = &'a Value> {
        self.layers.iter().filter_map(move |layer| layer.get(key))
    }

    /// Returns the schema of a property.
    pub(super) fn property(&self, name: &str) -> Option<&'a Value> {
        self.all("properties").find_map(|all| all.get(name))
    }
}

/// Takes a schema apart; `None` where it says more than shapes can.
pub(super) fn shapes<'a>(root: &'a Value, schema: &'a Value) -> Option<Vec<Shape<'a>>> {
    let mut taken = Taken {
        root,
        parts: PARTS,
        found: Vec::new(),
    };
    expand(&mut taken, schema, &[], DEPTH)?;
    Some(taken.found)
}

/// A schema that is being taken apart.
struct Taken<'a> {
    root: &'a Value,
    parts: u32,
    found: Vec<Shape<'a>>,
}

fn expand<'a>(
    taken: &mut Taken<'a>,
    schema: &'a Value,
    base: &[&'a Map<String, Value>],
    depth: u32,
) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    taken.parts = taken.parts.checked_sub(1)?;
    let mut layers = base.to_vec();
    let mut next = Some(schema);
    let mut alternatives = None;
    while let Some(part) = next.take() {
        let map = match part {
            Value::Bool(true) => continue,
            Value::Bool(false) => return Some(()),
            Value::Object(map) => map,
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
        };
        if layers.len() >= LAYERS || OPAQUE.iter().any(|rule| map.contains_key(*rule)) {
            return None;
        }
        layers.push(map);
        let either = map.get("anyOf").or(map.get("oneOf"));
        if map.contains_key("anyOf") && map.contains_key("oneOf") {
            return None;
        }
        if let Some(either) = either
            && alternatives.replace(either.as_array()?).is_some()
        {
            return None;
        }
        next = match (map.get("$ref"), map.get("allOf")) {
            (None, None) => None,
            (Some(to), None) => Some(resolve(taken.root, to.as_str()?)?),
            (None, Some(all)) => match all.as_array()?.as_slice() {
                [one] => Some(one),
                _ => return None,
            },
            (Some(_), Some(_)) => return None,
        };
    }
    match alternatives {
        Some(either) => either
            .iter()
            .try_for_each(|one| expand(taken, one, &layers, depth)),
        None => split(&layers, &mut taken.found),
    }
}

/// Returns what a reference within the same document names.
fn resolve<'a>(root: &'a Value, to: &str) -> Option<&'a Value> {
    root.pointer(to.strip_prefix('#')?)
}

/// Splits what is said into one shape for each kind or value.
fn split<'a>(layers: &[&'a Map<String, Value>], found: &mut Vec<Shape<'a>>) -> Option<()> {
    let mut kinds = ALL.to_vec();
    for said in layers.iter().filter_map(|layer| layer.get("type")) {
        let said: Vec<Kind> = match said {
            Value::String(one) => vec![Kind::read(one)?],
            Value::Array(many) => many
                .iter()
                .map(|one| Kind::read(one.as_str()?))
                .collect::<Option<_>>()?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
        };
        let both = |kind: &Kind| {
            let narrower = said.iter().find(|one| one.is_in(*kind));
            let same = said.iter().find(|one| kind.is_in(**one));
            same.map(|_| *kind).or(narrower.copied())
        };
        kinds = kinds.iter().filter_map(both).collect();
    }
    let lists = layers
        .iter()
        .filter_map(|layer| layer.get("enum")?.as_array());
    if lists.into_iter().any(|list| list.len() > SHAPES) {
        return None;
    }
    let values = values(layers);
    for kind in kinds {
        let shape = |value: Option<&'a Value>| Shape {
            kind: value.map_or(kind, Kind::of),
            value,
            layers: layers.to_vec(),
        };
        let own: &[Value] = match kind {
            Kind::Null => &NULL,
            Kind::Boolean => &BOOLEANS,
            Kind::Integer | Kind::Number | Kind::String | Kind::Array | Kind::Object => &[],
        };
        match &values {
            Some(values) => {
                let fit = values.iter().filter(|value| Kind::of(value).is_in(kind));
                found.extend(fit.map(|value| shape(Some(*value))));
            }
            None if own.is_empty() => found.push(shape(None)),
            None => found.extend(own.iter().map(|value| shape(Some(value)))),
        }
    }
    (found.len() <= SHAPES).then_some(())
}

static NULL: [Value; 1] = [Value::Null];
static BOOLEANS: [Value; 2] = [Value::Bool(true), Value::Bool(false)];

/// Returns the only values that all parts take, if one part lists them.
fn values<'a>(layers: &[&'a Map<String, Value>]) -> Option<Vec<&'a Value>> {
    let mut lists = layers.iter().filter_map(|layer| {
        let one = layer.get("const").map(|one| vec![one]);
        one.or_else(|| Some(layer.get("enum")?.as_array()?.iter().collect()))
    });
    let first: Vec<&Value> = lists.next()?;
    Some(lists.fold(first, |kept, list| {
        let both = kept.into_iter().filter(|one| list.contains(one));
        both.collect()
    }))
}
