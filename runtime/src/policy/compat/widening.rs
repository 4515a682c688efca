//! Properties of the comparison, over drawn signatures and schemas.

use super::tests::{keyword, of_params, of_result, of_schema, optional, param, task};
use super::{Changes, breaks, changes};
use celeriac_sandbox::{Param, ParamKind, TaskInfo};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::slice::from_ref;

/// Schemas of a few shapes, nested a little.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!({"type": "null"})),
        Just(json!({"type": "boolean"})),
        (0..5, 5..9).prop_map(
            |(least, most)| json!({"type": "integer", "minimum": least, "maximum": most})
        ),
        (1..9).prop_map(|most| json!({"type": "string", "maxLength": most})),
        proptest::collection::btree_set("[a-c]", 1..4).prop_map(|values| json!({"enum": values})),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|items| json!({"type": "array", "items": items})),
            proptest::collection::btree_map("[a-c]", inner.clone(), 0..3).prop_map(|all| {
                let first: Vec<_> = all.keys().take(1).cloned().collect();
                json!({"type": "object", "properties": all, "required": first})
            }),
            proptest::collection::vec(inner, 1..3).prop_map(|all| json!({"anyOf": all})),
        ]
    })
}

/// Makes a schema take more.
fn wider(schema: &Value, by: u8, other: &Value) -> Value {
    let mut wide = schema.clone();
    match (by % 4, wide.as_object_mut()) {
        (0, Some(map)) => {
            for rule in ["minimum", "maximum", "maxLength", "required"] {
                map.remove(rule);
            }
            wide
        }
        (1, Some(map)) => {
            if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
                for one in properties.values_mut() {
                    *one = wider(one, by / 4, other);
                }
            }
            if let Some(items) = map.get_mut("items") {
                *items = wider(items, by / 4, other);
            }
            wide
        }
        (2, _) => json!({"anyOf": [other, schema]}),
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

fn lists() -> impl Strategy<Value = Vec<Param>> {
    let one = (
        "[a-f]",
        0..3u8,
        any::<bool>(),
        proptest::option::of(schemas()),
    );
    proptest::collection::vec(one, 0..5).prop_map(|drawn| {
        let mut params: Vec<Param> = Vec::new();
        for (name, kind, required, schema) in drawn {
            if params.iter().any(|param| param.name == name) {
                continue;
            }
            let kind = match kind {
                0 | 1 => ParamKind::PositionalOrKeyword,
                _ => ParamKind::KeywordOnly,
            };
            let schema = schema.map(|schema| schema.to_string());
            params.push(Param {
                required,
                kind,
                schema,
                ..param(&name)
            });
        }
        params.sort_by_key(|param| (param.kind == ParamKind::KeywordOnly, !param.required));
        params
    })
}

/// Makes a list take more calls.
fn more(params: &[Param], by: u8, other: &Value) -> Vec<Param> {
    let mut params = params.to_vec();
    for param in &mut params {
        if by & 1 == 0 {
            param.required = false;
        }
        if let Some(schema) = param.schema.as_deref().filter(|_| by & 2 == 0) {
            let schema: Value = serde_json::from_str(schema).unwrap();
            param.schema = Some(wider(&schema, by / 4, other).to_string());
        }
    }
    if by & 4 == 0 {
        params.push(keyword(optional(&format!("new_{by}"))));
    }
    params
}

proptest! {
    #[test]
    fn whatever_a_component_says_it_is_compatible_with_itself(params in lists(), result in schemas()) {
        let one = TaskInfo { result_schema: Some(result.to_string()), ..task("f", &params) };
        prop_assert_eq!(breaks(from_ref(&one), from_ref(&one)), vec![]);
        prop_assert_eq!(changes(from_ref(&one), from_ref(&one)), Changes::default());
    }

    #[test]
    fn a_schema_said_again_in_other_words_is_compatible(schema in schemas()) {
        let other = json!({"anyOf": [{"$ref": "#/$defs/It"}], "$defs": {"It": schema}});
        prop_assert_eq!(of_schema(&schema, &other), Vec::<String>::new());
        prop_assert_eq!(of_schema(&other, &schema), Vec::<String>::new());
    }

    #[test]
    fn widening_is_compatible_however_often_it_is_done(
        params in lists(), steps in proptest::collection::vec((any::<u8>(), schemas()), 1..4),
    ) {
        let mut wide = params.clone();
        for (by, other) in &steps {
            let next = more(&wide, *by, other);
            prop_assert_eq!(of_params(&wide, &next), Vec::<String>::new());
            wide = next;
        }
        prop_assert_eq!(of_params(&params, &wide), Vec::<String>::new());
    }

    #[test]
    fn a_result_may_promise_more_however_often(
        schema in schemas(), steps in proptest::collection::vec((any::<u8>(), schemas()), 1..4),
    ) {
        let mut wide = schema.clone();
        for (by, other) in &steps {
            wide = wider(&wide, *by, other);
        }
        prop_assert_eq!(of_result(&wide, &schema), Vec::<String>::new());
    }

    #[test]
    fn no_text_of_a_guest_makes_it_panic(old in ".{0,40}", new in any::<String>(), schema in schemas()) {
        let params = |text: &str| [Param { schema: Some(text.to_owned()), ..param("p") }];
        of_params(&params(&old), &params(&new));
        of_params(&params(&schema.to_string()), &params(&new));
    }
}
