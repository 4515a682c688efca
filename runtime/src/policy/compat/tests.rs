use super::*;
use celeriac_sandbox::{AskedLimits, Param, ParamKind};
use serde_json::{Value, json};

pub(super) fn task(name: &str, params: &[Param]) -> TaskInfo {
    TaskInfo {
        name: name.to_owned(),
        doc: String::new(),
        params: params.to_vec(),
        result_schema: None,
        limits: AskedLimits::default(),
        retry: None,
        at_most_once: false,
        wants: Vec::new(),
        extra: Vec::new(),
    }
}

pub(super) fn param(name: &str) -> Param {
    Param {
        name: name.to_owned(),
        kind: ParamKind::PositionalOrKeyword,
        required: true,
        default: None,
        schema: None,
    }
}

pub(super) fn optional(name: &str) -> Param {
    Param {
        required: false,
        default: Some("1".to_owned()),
        ..param(name)
    }
}

fn of_kind(kind: ParamKind, param: Param) -> Param {
    Param { kind, ..param }
}

fn rest(name: &str) -> Param {
    of_kind(ParamKind::VarPositional, optional(name))
}

fn named_rest(name: &str) -> Param {
    of_kind(ParamKind::VarKeyword, optional(name))
}

pub(super) fn keyword(param: Param) -> Param {
    of_kind(ParamKind::KeywordOnly, param)
}

fn schemed(name: &str, schema: &Value) -> Param {
    Param {
        schema: Some(schema.to_string()),
        ..param(name)
    }
}

pub(super) fn seen(before: &[TaskInfo], after: &[TaskInfo]) -> Vec<String> {
    let found = breaks(before, after);
    found.into_iter().map(|finding| finding.seen).collect()
}

pub(super) fn of_params(before: &[Param], after: &[Param]) -> Vec<String> {
    seen(&[task("f", before)], &[task("f", after)])
}

pub(super) fn of_schema(before: &Value, after: &Value) -> Vec<String> {
    let found = of_params(&[schemed("p", before)], &[schemed("p", after)]);
    let bare = found
        .iter()
        .map(|line| line.strip_prefix("f: p ").unwrap().to_owned());
    bare.collect()
}

pub(super) fn of_result(before: &Value, after: &Value) -> Vec<String> {
    let with = |schema: &Value| TaskInfo {
        result_schema: Some(schema.to_string()),
        ..task("f", &[])
    };
    seen(&[with(before)], &[with(after)])
}

#[test]
fn a_task_that_is_gone_breaks_its_callers_and_a_new_one_nobody() {
    let (one, two) = (task("one", &[]), task("two", &[param("a")]));
    let gone = "one is gone; calls of it fail with NotRegistered";
    assert_eq!(
        seen(&[one.clone(), two.clone()], std::slice::from_ref(&two)),
        [gone]
    );
    assert!(seen(std::slice::from_ref(&two), &[one, two.clone()]).is_empty());
}

#[test]
fn each_change_of_parameters_that_callers_would_meet_is_found() {
    let gone = "f: b is gone; calls with it fail with TypeError";
    let cases: Vec<(Vec<Param>, Vec<Param>, Vec<&str>)> = vec![
        (
            vec![param("a"), optional("b")],
            vec![param("a")],
            vec![gone],
        ),
        (
            vec![param("a"), keyword(param("b"))],
            vec![param("a")],
            vec![gone],
        ),
        (
            vec![param("a"), param("b")],
            vec![param("a"), param("c")],
            vec!["f: b is called c now; calls with b=… fail with TypeError"],
        ),
        (
            vec![param("a")],
            vec![param("a"), param("b")],
            vec!["f: b is new and required; calls without it fail with TypeError"],
        ),
        (
            vec![param("a")],
            vec![param("a"), keyword(param("b"))],
            vec!["f: b is new and required; calls without it fail with TypeError"],
        ),
        (
            vec![param("a"), optional("b")],
            vec![param("a"), param("b")],
            vec!["f: b is required now; calls without it fail with TypeError"],
        ),
        (
            vec![param("a"), param("b")],
            vec![param("b"), param("a")],
            vec!["f: a is argument 2 now, was 1; calls by position mean something else"],
        ),
        (
            vec![optional("a")],
            vec![optional("b"), optional("a")],
            vec!["f: a is argument 2 now, was 1; calls by position mean something else"],
        ),
        (
            vec![param("a"), optional("b")],
            vec![param("a"), keyword(optional("b"))],
            vec!["f: b is taken by name only now; calls by position fail with TypeError"],
        ),
        (
            vec![param("a"), rest("others")],
            vec![param("a")],
            vec!["f: others is gone; calls with further arguments fail with TypeError"],
        ),
        (
            vec![param("a"), rest("others")],
            vec![param("a"), optional("b"), rest("others")],
            vec!["f: b is new and takes an argument by position that was one of the rest"],
        ),
        (
            vec![param("a"), optional("b"), named_rest("more")],
            vec![param("a"), named_rest("more")],
            vec![gone],
        ),
    ];
    for (before, after, expected) in cases {
        assert_eq!(
            of_params(&before, &after),
            expected,
            "{before:?}\n{after:?}"
        );
    }
}

#[test]
fn what_callers_do_not_meet_is_no_break() {
    let cases: Vec<(Vec<Param>, Vec<Param>)> = vec![
        (vec![param("a")], vec![optional("a")]),
        (vec![param("a")], vec![param("a"), optional("b")]),
        (vec![param("a")], vec![param("a"), keyword(optional("b"))]),
        (
            vec![param("a")],
            vec![param("a"), rest("b"), named_rest("c")],
        ),
        (
            vec![param("a"), keyword(param("b"))],
            vec![param("a"), param("b")],
        ),
        (vec![rest("others")], vec![rest("further")]),
        (
            vec![keyword(optional("b")), keyword(optional("a"))],
            vec![keyword(optional("a")), keyword(optional("b"))],
        ),
        (vec![keyword(param("b"))], vec![named_rest("more")]),
        (
            vec![param("a"), param("b")],
            vec![param("a"), rest("others"), named_rest("more")],
        ),
    ];
    for (before, after) in cases {
        assert_eq!(of_params(&before, &after), [""; 0], "{before:?}\n{after:?}");
    }
    let documented = TaskInfo {
        doc: "does it".to_owned(),
        wants: vec!["http:x".to_owned()],
        ..task("f", &[])
    };
    assert!(seen(&[task("f", &[])], &[documented]).is_empty());
}

#[test]
fn each_way_to_take_less_is_told() {
    for (before, after, expected) in [
        (
            json!({"type": ["string", "null"]}),
            json!({"type": "string"}),
            vec!["no longer takes null"],
        ),
        (
            json!({"type": "number"}),
            json!({"type": "integer"}),
            vec!["takes only whole numbers now"],
        ),
        (
            json!({"type": "string"}),
            json!({"type": "integer"}),
            vec!["no longer takes strings"],
        ),
        (
            json!({"enum": ["a", "b"]}),
            json!({"enum": ["b", "c"]}),
            vec!["no longer takes \"a\""],
        ),
        (
            json!({"type": "string"}),
            json!({"enum": ["b", "c"]}),
            vec!["takes only \"b\", \"c\" now"],
        ),
        (
            json!({"type": "integer"}),
            json!({"type": "integer", "minimum": 1}),
            vec!["has minimum 1 now, was none"],
        ),
        (
            json!({"type": "integer", "format": "uint32"}),
            json!({"type": "integer", "format": "uint8"}),
            vec!["has maximum 255 now, was 4294967295"],
        ),
    ] {
        assert_eq!(of_schema(&before, &after), expected, "{before} {after}");
    }
}

#[test]
fn what_is_taken_less_within_a_value_is_told_with_its_path() {
    let of_tree = |kind: &str| {
        json!({"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "object", "properties": {
            "name": {"type": kind}, "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}}})
    };
    for (before, after, expected) in [
        (
            json!({"type": "string", "maxLength": 9}),
            json!({"type": "string", "maxLength": 8}),
            vec!["has maxLength 8 now, was 9"],
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "pattern": "^a"}),
            vec!["has pattern \"^a\" now, was none"],
        ),
        (
            json!({"type": "array", "items": {"type": ["null", "integer"]}}),
            json!({"type": "array", "items": {"type": "integer"}}),
            vec!["at [] no longer takes null"],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}}),
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}),
            vec!["needs the property a now"],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": ["string", "null"]}}}}}),
            json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}}}}),
            vec!["at .a.b no longer takes null"],
        ),
        (
            json!({"type": "object", "properties": {"a": true}, "additionalProperties": false}),
            json!({"type": "object", "additionalProperties": false}),
            vec!["no longer takes the property a"],
        ),
        (
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": false}),
            vec!["no longer takes other properties"],
        ),
        (
            json!({"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}], "$defs": {"A": {"type": "string"}}}),
            json!({"type": "string"}),
            vec!["no longer takes null"],
        ),
        (
            of_tree("string"),
            of_tree("integer"),
            vec![
                "at .children[].name no longer takes strings",
                "at .name no longer takes strings",
            ],
        ),
        (
            json!(true),
            json!({"type": ["string", "null", "boolean", "array", "object"]}),
            vec!["no longer takes numbers"],
        ),
        (
            json!({"type": "boolean"}),
            json!(false),
            vec!["no longer takes anything"],
        ),
    ] {
        assert_eq!(of_schema(&before, &after), expected, "{before} {after}");
    }
}

#[test]
fn schemas_that_say_the_same_in_other_words_are_the_same() {
    for (one, other) in [
        (
            json!({"type": ["string", "null"]}),
            json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
        ),
        (
            json!({"enum": ["a", "b"]}),
            json!({"oneOf": [{"const": "b"}, {"const": "a"}]}),
        ),
        (
            json!({"type": "string", "description": "x"}),
            json!({"$ref": "#/$defs/S", "$defs": {"S": {"type": "string"}}}),
        ),
        (
            json!({"allOf": [{"type": "string"}]}),
            json!({"type": "string"}),
        ),
        (json!({"type": "boolean"}), json!({"enum": [true, false]})),
        (
            json!({"type": "array"}),
            json!({"type": "array", "items": true, "minItems": 0}),
        ),
        (json!(true), json!({})),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}], "maxItems": 1, "minItems": 1}),
            json!({"type": "array", "prefixItems": [{"type": "string"}], "items": false, "maxItems": 1, "minItems": 1}),
        ),
    ] {
        assert_eq!(of_schema(&one, &other), [""; 0], "{one} {other}");
        assert_eq!(of_schema(&other, &one), [""; 0], "{other} {one}");
    }
}

#[test]
fn what_cannot_be_told_is_no_finding() {
    for (before, after) in [
        (json!({"not": {"type": "null"}}), json!({"type": "string"})),
        (
            json!({"type": "string", "pattern": "a"}),
            json!({"type": "string", "pattern": "b"}),
        ),
        (
            json!({"$ref": "https://elsewhere/x"}),
            json!({"type": "string"}),
        ),
        (
            json!({"allOf": [{"type": "string"}, {"maxLength": 3}]}),
            json!({"type": "integer"}),
        ),
        (json!("nonsense"), json!({"type": "integer"})),
        (json!({"type": "decimal"}), json!({"type": "integer"})),
    ] {
        assert_eq!(of_schema(&before, &after), [""; 0], "{before} {after}");
    }
    let told = [schemed("p", &json!({"type": "string"}))];
    assert!(of_params(&[param("p")], &told).is_empty());
    assert!(of_params(&told, &[param("p")]).is_empty());
}

#[test]
fn a_result_that_promises_less_is_found() {
    let object = |required: Value| json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": required});
    for (before, after, expected) in [
        (
            json!({"type": "string"}),
            json!({"type": ["string", "null"]}),
            vec!["f result may be null now"],
        ),
        (
            json!({"type": ["string", "null"]}),
            json!({"type": "string"}),
            vec![],
        ),
        (
            object(json!(["a"])),
            object(json!([])),
            vec!["f result may lack the property a now"],
        ),
        (object(json!([])), object(json!(["a"])), vec![]),
        (
            json!({"type": "integer", "maximum": 5}),
            json!({"type": "integer", "maximum": 9}),
            vec!["f result has maximum 9 now, was 5"],
        ),
        (
            json!({"type": "object", "additionalProperties": false}),
            json!({"type": "object", "properties": {"b": true}, "additionalProperties": false}),
            vec![],
        ),
    ] {
        assert_eq!(of_result(&before, &after), expected, "{before} {after}");
    }
    let told = TaskInfo {
        result_schema: Some("true".to_owned()),
        ..task("f", &[])
    };
    let expected = ["f says nothing of its result any more"];
    assert_eq!(
        seen(std::slice::from_ref(&told), &[task("f", &[])]),
        expected
    );
    assert!(seen(&[task("f", &[])], &[told]).is_empty());
}

#[test]
fn bytes_that_are_no_longer_taken_are_found() {
    let takes = |content_type: &str| TaskInfo {
        extra: vec![("accept".to_owned(), content_type.to_owned())],
        ..task("f", &[])
    };
    let expected = ["f takes no bytes of \"image/png\" any more"];
    assert_eq!(
        seen(&[takes("image/png")], &[takes("image/jpeg")]),
        expected
    );
}

#[test]
fn more_findings_than_people_read_are_cut() {
    let many: Vec<_> = (0..200).map(|at| task(&format!("t{at}"), &[])).collect();
    assert_eq!(breaks(&many, &[]).len(), FINDINGS);
}

#[test]
fn schemas_made_to_take_long_are_given_up() {
    let mut defs = serde_json::Map::new();
    for level in 0..20 {
        let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
        let properties: serde_json::Map<_, _> =
            (0..40).map(|at| (format!("p{at}"), next.clone())).collect();
        let alternatives: Vec<_> = (0..40).map(|_| next.clone()).collect();
        let kind = match level % 2 {
            0 => json!({"type": "object", "properties": properties}),
            _ => json!({"anyOf": alternatives}),
        };
        defs.insert(format!("l{level}"), kind);
    }
    defs.insert("l20".to_owned(), json!(false));
    let schema = |extra: &str| json!({"$ref": "#/$defs/l0", "$defs": defs, "title": extra});
    let mut nested = json!({"type": "string"});
    for _ in 0..60 {
        nested = json!({"type": "array", "items": nested});
    }
    let mut found = of_schema(&schema("a"), &schema("b"));
    found.extend(of_schema(
        &nested,
        &json!({"type": "array", "items": nested}),
    ));
    assert_eq!(found, [""; 0]);
}
