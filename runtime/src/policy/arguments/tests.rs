use super::*;
use celeriac_sandbox::AskedLimits;
use serde_json::json;

fn param(name: &str, kind: ParamKind, required: bool, schema: &str) -> Param {
    Param {
        name: name.to_owned(),
        kind,
        required,
        default: None,
        schema: Some(schema.to_owned()).filter(|schema| !schema.is_empty()),
    }
}

fn task(params: Vec<Param>) -> Arguments {
    Arguments::of(&TaskInfo {
        name: "resize".to_owned(),
        doc: String::new(),
        params,
        result_schema: None,
        limits: AskedLimits::default(),
        retry: None,
        at_most_once: false,
        wants: Vec::new(),
        extra: Vec::new(),
    })
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn check(task: &Arguments, args: &str, kwargs: &str) -> Result<(), String> {
    let checked = task.check(&raw(args), &raw(kwargs));
    checked.map_err(|unfit| unfit.to_string())
}

/// A task with one parameter of any kind of schema.
fn one(schema: &serde_json::Value) -> Arguments {
    let text = schema.to_string();
    task(vec![param(
        "a",
        ParamKind::PositionalOrKeyword,
        true,
        &text,
    )])
}

fn refused(schema: &serde_json::Value) -> String {
    check(&one(schema), "[1]", "{}").unwrap_err()
}

fn resize() -> Arguments {
    use ParamKind::{KeywordOnly, PositionalOrKeyword};
    task(vec![
        param("bytes", PositionalOrKeyword, true, ""),
        param(
            "width",
            PositionalOrKeyword,
            false,
            r#"{"type":"integer","minimum":1}"#,
        ),
        param(
            "mode",
            KeywordOnly,
            true,
            r#"{"enum":["fit","fill"],"type":"string"}"#,
        ),
    ])
}

#[test]
fn a_call_that_fits_is_taken_whichever_way_its_arguments_come() {
    let task = resize();
    for (args, kwargs) in [
        (r#"["x", 64]"#, r#"{"mode":"fit"}"#),
        (
            r#"[null]"#,
            r#"{"mode":"fill","width":123456789012345678901}"#,
        ),
        ("[]", r#"{"bytes":[{}],"mode":"fit"}"#),
        (" [ 1 ] ", r#"{"m\u006fde":"fit"}"#),
    ] {
        assert_eq!(check(&task, args, kwargs), Ok(()), "{args} {kwargs}");
    }
}

#[test]
fn what_does_not_fit_names_the_parameter_the_value_and_what_is_expected() {
    let task = resize();
    let takes = "resize(bytes, width, *, mode)";
    for (args, kwargs, parameter, text) in [
        (
            "[]",
            r#"{"mode":"fit"}"#,
            Some("bytes"),
            format!("{takes} needs \"bytes\", which is not given"),
        ),
        (
            "[1]",
            "{}",
            Some("mode"),
            format!("{takes} needs \"mode\", which is not given"),
        ),
        (
            "[1,2,3]",
            "{}",
            None,
            format!("{takes} takes at most 2 positional arguments, and 3 were given"),
        ),
        (
            "[1]",
            r#"{"mode":"fit","depth":1}"#,
            Some("depth"),
            format!("{takes} has no parameter \"depth\""),
        ),
        (
            "[1]",
            r#"{"bytes":1,"mode":"fit"}"#,
            Some("bytes"),
            "\"bytes\" is given by position and by name".to_owned(),
        ),
        (
            "[1,0]",
            r#"{"mode":"fit"}"#,
            Some("width"),
            "\"width\" is 0, but it is less than the minimum of 1".to_owned(),
        ),
        (
            "[1,\"x\"]",
            r#"{"mode":"fit"}"#,
            Some("width"),
            "\"width\" is \"x\", but it is not of type \"integer\"".to_owned(),
        ),
        (
            "[1]",
            r#"{"mode":"tile"}"#,
            Some("mode"),
            "\"mode\" is \"tile\", but it is not one of \"fit\" or \"fill\"".to_owned(),
        ),
    ] {
        let unfit = task.check(&raw(args), &raw(kwargs)).unwrap_err();
        assert_eq!((unfit.to_string(), unfit.parameter()), (text, parameter));
    }
    for (args, kwargs, text) in [
        ("{}", "{}", "args is not a JSON array"),
        ("[1]", "[]", "kwargs is not a JSON object"),
        (
            "[1]",
            r#"{"mode":"fit","m\u006fde":"fit"}"#,
            "\"mode\" is there twice",
        ),
    ] {
        let unfit = check(&task, args, kwargs).unwrap_err();
        assert!(unfit.contains(text), "{unfit}");
    }
}

#[test]
fn what_takes_all_the_rest_checks_each_of_it() {
    let number = r#"{"type":"number"}"#;
    let task = task(vec![
        param("first", ParamKind::PositionalOrKeyword, true, ""),
        param("rest", ParamKind::VarPositional, false, number),
        param("more", ParamKind::VarKeyword, false, number),
    ]);
    assert_eq!(check(&task, "[1,2,3.5]", r#"{"b":7}"#), Ok(()));
    let unfit = check(&task, r#"[1,2,"x"]"#, "{}").unwrap_err();
    assert!(unfit.starts_with("\"rest[1]\" is \"x\""), "{unfit}");
    let unfit = check(&task, "[1]", r#"{"b":null}"#).unwrap_err();
    assert!(unfit.starts_with("\"b\" is null"), "{unfit}");
}

#[test]
fn a_wrong_value_deep_inside_is_told_by_its_place() {
    let schema = json!({"type": "array", "items": {"$ref": "#/$defs/P"},
        "$defs": {"P": {"type": "object", "properties": {"x": {"type": "integer"}}}}});
    let unfit = check(&one(&schema), r#"[[{"x":1},{"x":"no"}]]"#, "{}");
    let text = "\"a\" at /1/x is \"no\", but it is not of type \"integer\"";
    assert_eq!(unfit, Err(text.to_owned()));
}

#[test]
fn a_tree_of_the_same_kind_is_checked_as_deep_as_it_is() {
    let schema = json!({"$ref": "#/$defs/T", "$defs": {"T": {"type": "object",
        "properties": {"next": {"$ref": "#/$defs/T"}}, "additionalProperties": false}}});
    let deep = |levels: usize| {
        format!(
            "[{}{{}}{}]",
            "{\"next\":".repeat(levels),
            "}".repeat(levels)
        )
    };
    assert_eq!(check(&one(&schema), &deep(60), "{}"), Ok(()));
    let unfit = check(&one(&schema), &deep(110), "{}").unwrap_err();
    assert!(unfit.contains("200 levels"), "{unfit}");
    // Deeper than values are read at all.
    let unfit = check(&one(&schema), &deep(130), "{}").unwrap_err();
    assert!(unfit.contains("recursion limit"), "{unfit}");
}

#[test]
fn a_schema_that_refers_to_itself_without_end_ends() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
    ] {
        let unfit = refused(&schema);
        assert!(
            unfit.contains("is too much for its schema"),
            "{schema}: {unfit}"
        );
    }
}

#[test]
fn a_schema_that_doubles_the_work_at_each_step_is_stopped() {
    let mut defs = serde_json::Map::new();
    for step in 0..40 {
        let next = json!({"$ref": format!("#/$defs/s{}", step + 1)});
        defs.insert(format!("s{step}"), json!({"anyOf": [next, next]}));
    }
    defs.insert("s40".to_owned(), json!({"type": "string"}));
    let unfit = refused(&json!({"$ref": "#/$defs/s0", "$defs": defs}));
    assert!(unfit.contains("over 2000000 steps"), "{unfit}");
    // And one that does so at each level of the value.
    let twice = json!({"items": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}});
    let deep = format!("[{}{}]", "[".repeat(40), "]".repeat(40));
    let unfit = check(&one(&twice), &deep, "{}").unwrap_err();
    assert!(unfit.contains("over 2000000 steps"), "{unfit}");
}

#[test]
fn a_reference_out_of_the_schema_or_to_what_is_no_schema_is_refused() {
    for reference in [
        "#/$defs/none",
        "http://127.0.0.1:1/schema.json",
        "file:///etc/passwd",
        "other.json",
        "#/enum/0",
        "#/$defs",
        "#anchor",
        "#/properties/%61",
    ] {
        let schema = json!({"$ref": reference, "enum": [{}], "$defs": {}, "properties": {"a": {}}});
        let unfit = refused(&schema);
        assert!(unfit.contains("leads nowhere"), "{unfit}");
    }
    for keyword in ["$id", "$dynamicRef", "$anchor", "$schema"] {
        let unfit = refused(&json!({"items": {keyword: "#x"}}));
        assert!(
            unfit.contains(keyword) && unfit.contains("not supported"),
            "{unfit}"
        );
    }
    let usual = json!({"$schema": "https://json-schema.org/draft/2020-12/schema"});
    assert_eq!(check(&one(&usual), "[1]", "{}"), Ok(()));
    // A property may have any name.
    let named = json!({"properties": {"$id": {"type": "integer"}}});
    assert_eq!(check(&one(&named), r#"[{"$id": 1}]"#, "{}"), Ok(()));
}

#[test]
fn a_pattern_takes_linear_time_or_is_refused() {
    let pattern = |pattern: &str| one(&json!({"type": "string", "pattern": pattern}));
    let long = format!("[\"{}!\"]", "a".repeat(60_000));
    let unfit = check(&pattern("^(a+)+$"), &long, "{}").unwrap_err();
    assert!(unfit.contains("does not match"), "{unfit}");
    for bomb in [
        "(?:a{1000}){1000}",
        "^(?=a)b$",
        "(a)\\1",
        "(((((a{30}){30}){30}){30}){30})",
        "(",
    ] {
        let unfit = check(&pattern(bomb), r#"["a"]"#, "{}").unwrap_err();
        assert!(unfit.contains("no JSON Schema"), "{bomb}: {unfit}");
    }
    // A text that is too long for it.
    let long = format!("[\"{}\"]", "a".repeat(1 << 20));
    let unfit = check(&pattern("a"), &long, "{}").unwrap_err();
    assert!(unfit.contains("is too much for its schema"), "{unfit}");
}

#[test]
fn a_schema_has_a_size_and_only_so_many_parts_and_patterns() {
    let large = json!({"description": "x".repeat(SCHEMA_BYTES)});
    assert!(refused(&large).contains("at most 65536 are checked"));
    let many = json!({"allOf": vec![json!({}); SUBSCHEMAS + 1]});
    assert!(refused(&many).contains("over 4096 parts"));
    let patterns = |count: usize| json!({"allOf": vec![json!({"pattern": "a"}); count]});
    assert_eq!(check(&one(&patterns(PATTERNS)), r#"["a"]"#, "{}"), Ok(()));
    assert!(refused(&patterns(PATTERNS + 1)).contains("over 16 patterns"));
    let text = patterns(PATTERNS / 2 + 1).to_string();
    let two = task(vec![
        param("a", ParamKind::PositionalOrKeyword, true, &text),
        param("b", ParamKind::PositionalOrKeyword, true, &text),
    ]);
    let unfit = check(&two, r#"["a", "a"]"#, "{}").unwrap_err();
    assert!(unfit.starts_with("the schema of \"b\""), "{unfit}");
    for malformed in [
        json!([]),
        json!(7),
        json!({"type": "strange"}),
        json!({"minimum": "x"}),
    ] {
        assert!(
            refused(&malformed).contains("no JSON Schema"),
            "{malformed}"
        );
    }
}

#[test]
fn arguments_are_counted_and_long_texts_of_others_are_cut() {
    let anything = task(vec![
        param("rest", ParamKind::VarPositional, false, ""),
        param("more", ParamKind::VarKeyword, false, ""),
    ]);
    let many = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
    assert_eq!(check(&anything, &many(GIVEN), "{}"), Ok(()));
    let unfit = check(&anything, &many(GIVEN + 1), "{}").unwrap_err();
    assert!(unfit.contains("at most 10000 values"), "{unfit}");
    let named = |count: usize| {
        let members: Vec<_> = (0..count).map(|at| format!("\"k{at}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(check(&anything, "[]", &named(GIVEN)), Ok(()));
    assert!(check(&anything, "[]", &named(GIVEN + 1)).is_err());
    let name = "x".repeat(10_000);
    let unfit = check(&resize(), "[1]", &format!("{{\"{name}\":1}}")).unwrap_err();
    assert!(unfit.len() < 400, "{unfit}");
    let unfit = check(&resize(), &format!("[1,\"{name}\"]"), "{}").unwrap_err();
    assert!(unfit.len() < 400, "{unfit}");
}
