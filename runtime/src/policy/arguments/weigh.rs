//! Weighs what comparing a value with a schema takes, before it is done.
//!
//! References can make a small schema endless, or double the work at each step. So this
//! goes the way that a validator would go at most, every branch of it, and counts.

use super::survey::target;
use serde_json::{Map, Value};

/// Most steps of comparing all arguments of a call with their schemas (2,000,000): a
/// fraction of a second. A step is a keyword at a place of the value.
pub const STEPS: u64 = 2_000_000;
/// Deepest way through schema and value, in schemas (200): each takes some of the stack.
pub const DEPTH: usize = 200;
/// What matching a byte of text with a pattern counts: patterns are small and linear.
const PATTERN_STEPS: u64 = 4;

/// Steps that are left for a call.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Default for Budget {
    fn default() -> Self {
        Self(STEPS)
    }
}

impl Budget {
    fn take(&mut self, steps: usize) -> Option<()> {
        let steps = u64::try_from(steps).ok()?;
        self.0 = self.0.checked_sub(steps)?;
        Some(())
    }
}

/// Weighs values against one schema; everywhere `None` is too much.
pub(super) struct Scale<'a> {
    root: &'a Value,
    budget: &'a mut Budget,
}

impl<'a> Scale<'a> {
    pub(super) fn new(root: &'a Value, budget: &'a mut Budget) -> Self {
        Self { root, budget }
    }

    pub(super) fn weigh(&mut self, value: &Value) -> Option<()> {
        let root = self.root;
        self.visit(root, value, DEPTH)
    }

    fn visit(&mut self, schema: &'a Value, value: &Value, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.budget.take(1)?;
        let Value::Object(keywords) = schema else {
            return Some(());
        };
        // Whoever asks what the others left unevaluated asks them once more, for all.
        let again = ["unevaluatedItems", "unevaluatedProperties"]
            .into_iter()
            .filter(|keyword| keywords.contains_key(*keyword))
            .count();
        for _ in 0..=again {
            for (keyword, of) in keywords {
                self.budget.take(1)?;
                self.keyword((keyword, of), keywords, value, depth)?;
            }
        }
        Some(())
    }

    fn keyword(
        &mut self,
        (keyword, of): (&str, &'a Value),
        beside: &'a Map<String, Value>,
        value: &Value,
        depth: usize,
    ) -> Option<()> {
        match keyword {
            "$ref" => {
                let target = target(self.root, of).ok()?;
                self.visit(target, value, depth)
            }
            "allOf" | "anyOf" | "oneOf" => {
                let schemas = of.as_array().into_iter().flatten();
                schemas
                    .into_iter()
                    .try_for_each(|schema| self.visit(schema, value, depth))
            }
            "not" | "if" | "then" | "else" => self.visit(of, value, depth),
            "dependentSchemas" => {
                let schemas = of.as_object().into_iter().flat_map(Map::values);
                schemas
                    .into_iter()
                    .try_for_each(|schema| self.visit(schema, value, depth))
            }
            "prefixItems" => {
                let schemas = of.as_array().into_iter().flatten();
                let mut pairs = schemas.zip(items(value));
                pairs.try_for_each(|(schema, item)| self.visit(schema, item, depth))
            }
            "items" | "contains" | "unevaluatedItems" => {
                items(value).try_for_each(|item| self.visit(of, item, depth))
            }
            "properties" => self.properties(of, value, depth),
            "additionalProperties" | "unevaluatedProperties" => {
                self.others(value, beside)?;
                members(value).try_for_each(|(_, member)| self.visit(of, member, depth))
            }
            "patternProperties" => self.by_pattern(of, value, depth),
            "propertyNames" => members(value).try_for_each(|(name, _)| {
                let name = Value::String(name.clone());
                self.visit(of, &name, depth)
            }),
            "pattern" => self.matched(value.as_str().unwrap_or_default()),
            "required" | "dependentRequired" => self.budget.take(size(of)),
            // Equality looks at the smaller of both, for each that may be equal.
            "enum" => self.budget.take(size(of).saturating_add(size(value))),
            "const" => self.budget.take(size(of).min(size(value))),
            "uniqueItems" => self.budget.take(size(value).saturating_mul(4)),
            "minLength" | "maxLength" => {
                let text = value.as_str().map_or(0, str::len);
                self.budget.take(text / 64)
            }
            _ => Some(()),
        }
    }

    fn properties(&mut self, of: &'a Value, value: &Value, depth: usize) -> Option<()> {
        let Value::Object(schemas) = of else {
            return Some(());
        };
        self.budget.take(schemas.len())?;
        for (name, schema) in schemas {
            if let Some(member) = value.get(name) {
                self.visit(schema, member, depth)?;
            }
        }
        Some(())
    }

    fn by_pattern(&mut self, of: &'a Value, value: &Value, depth: usize) -> Option<()> {
        let schemas = of.as_object().into_iter().flat_map(Map::values);
        for schema in schemas {
            for (name, member) in members(value) {
                self.matched(name)?;
                self.visit(schema, member, depth)?;
            }
        }
        Some(())
    }

    /// Every name is looked for in what stands beside, and matched with its patterns.
    fn others(&mut self, value: &Value, beside: &Map<String, Value>) -> Option<()> {
        let patterns = beside.get("patternProperties").and_then(Value::as_object);
        let patterns = patterns.map_or(0, Map::len);
        members(value).try_for_each(|(name, _)| {
            self.budget.take(1)?;
            (0..patterns).try_for_each(|_| self.matched(name))
        })
    }

    fn matched(&mut self, text: &str) -> Option<()> {
        let steps = u64::try_from(text.len()).ok()?.checked_mul(PATTERN_STEPS)?;
        self.budget.take(usize::try_from(steps).ok()?)
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Counts the values within a value; readers nest them at most 128 deep.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 1 + text.len() / 64,
        Value::Array(items) => items.iter().map(size).sum::<usize>() + 1,
        Value::Object(members) => members.values().map(size).sum::<usize>() + 1,
    }
}
