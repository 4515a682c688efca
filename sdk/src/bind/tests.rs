//! Every row of Python's wording was printed by CPython 3.11 for the same call.

use std::collections::BTreeMap;

use super::ParamKind::{KeywordOnly, PositionalOrKeyword, VarKeyword, VarPositional};
use super::*;

const fn param(name: &'static str, kind: ParamKind, required: bool) -> Parameter {
    Parameter {
        name,
        kind,
        required,
    }
}

const fn named(name: &'static str) -> Parameter {
    param(name, PositionalOrKeyword, true)
}

const fn defaulted(name: &'static str) -> Parameter {
    param(name, PositionalOrKeyword, false)
}

const REST: Parameter = param("rest", VarPositional, false);
const OPTIONS: Parameter = param("options", VarKeyword, false);

/// `def f(a, b)` and so on, by the name the rows use.
const SIGNATURES: &[Signature] = &[
    Signature {
        name: "word_count",
        params: &[named("text"), defaulted("unique")],
    },
    Signature {
        name: "none",
        params: &[],
    },
    Signature {
        name: "one",
        params: &[named("a")],
    },
    Signature {
        name: "two",
        params: &[named("a"), named("b")],
    },
    Signature {
        name: "three",
        params: &[named("a"), named("b"), named("c")],
    },
    Signature {
        name: "alldef",
        params: &[defaulted("a"), defaulted("b")],
    },
    Signature {
        name: "kw",
        params: &[named("a"), param("k", KeywordOnly, true)],
    },
    Signature {
        name: "kw3",
        params: &[
            named("a"),
            param("k", KeywordOnly, true),
            param("l", KeywordOnly, true),
            param("m", KeywordOnly, true),
        ],
    },
    Signature {
        name: "kwd",
        params: &[
            named("a"),
            param("k", KeywordOnly, false),
            param("l", KeywordOnly, false),
        ],
    },
    Signature {
        name: "va",
        params: &[named("a"), REST, param("sep", KeywordOnly, false)],
    },
    Signature {
        name: "vk",
        params: &[named("a"), OPTIONS],
    },
];

fn signature(name: &str) -> Signature {
    *SIGNATURES
        .iter()
        .find(|signature| signature.name == name)
        .expect("the row names a signature")
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a table, a row for each of Python's messages"
)]
fn a_call_that_does_not_fit_is_refused_in_pythons_words() {
    let rows = [
        (
            "word_count",
            "[]",
            "{}",
            "word_count() missing 1 required positional argument: 'text'",
        ),
        (
            "word_count",
            "[1,2,3]",
            "{}",
            "word_count() takes from 1 to 2 positional arguments but 3 were given",
        ),
        (
            "word_count",
            "[1]",
            r#"{"x":3}"#,
            "word_count() got an unexpected keyword argument 'x'",
        ),
        (
            "word_count",
            "[1]",
            r#"{"text":3}"#,
            "word_count() got multiple values for argument 'text'",
        ),
        (
            "word_count",
            "[1]",
            r#"{"x":2,"text":3}"#,
            "word_count() got an unexpected keyword argument 'x'",
        ),
        (
            "two",
            "[]",
            "{}",
            "two() missing 2 required positional arguments: 'a' and 'b'",
        ),
        (
            "three",
            "[]",
            "{}",
            "three() missing 3 required positional arguments: 'a', 'b', and 'c'",
        ),
        (
            "three",
            "[1]",
            "{}",
            "three() missing 2 required positional arguments: 'b' and 'c'",
        ),
        (
            "three",
            "[1,2,3,4]",
            "{}",
            "three() takes 3 positional arguments but 4 were given",
        ),
        (
            "none",
            "[1]",
            "{}",
            "none() takes 0 positional arguments but 1 was given",
        ),
        (
            "none",
            "[1,2]",
            "{}",
            "none() takes 0 positional arguments but 2 were given",
        ),
        (
            "none",
            "[]",
            r#"{"x":1}"#,
            "none() got an unexpected keyword argument 'x'",
        ),
        (
            "one",
            "[1,2]",
            "{}",
            "one() takes 1 positional argument but 2 were given",
        ),
        (
            "one",
            "[1,2,3]",
            r#"{"b":3}"#,
            "one() got an unexpected keyword argument 'b'",
        ),
        (
            "alldef",
            "[1,2,3]",
            "{}",
            "alldef() takes from 0 to 2 positional arguments but 3 were given",
        ),
        (
            "alldef",
            "[1,2,3]",
            r#"{"a":1}"#,
            "alldef() got multiple values for argument 'a'",
        ),
        (
            "kw",
            "[1]",
            "{}",
            "kw() missing 1 required keyword-only argument: 'k'",
        ),
        (
            "kw",
            "[]",
            "{}",
            "kw() missing 1 required positional argument: 'a'",
        ),
        (
            "kw",
            "[]",
            r#"{"k":2}"#,
            "kw() missing 1 required positional argument: 'a'",
        ),
        (
            "kw",
            "[1,2]",
            "{}",
            "kw() takes 1 positional argument but 2 were given",
        ),
        (
            "kw",
            "[1,2]",
            r#"{"k":3}"#,
            "kw() takes 1 positional argument but 2 positional arguments (and 1 keyword-only argument) were given",
        ),
        (
            "kw3",
            "[1]",
            "{}",
            "kw3() missing 3 required keyword-only arguments: 'k', 'l', and 'm'",
        ),
        (
            "kw3",
            "[1]",
            r#"{"k":2}"#,
            "kw3() missing 2 required keyword-only arguments: 'l' and 'm'",
        ),
        (
            "kwd",
            "[1,2]",
            r#"{"k":1,"l":2}"#,
            "kwd() takes 1 positional argument but 2 positional arguments (and 2 keyword-only arguments) were given",
        ),
        (
            "va",
            "[]",
            "{}",
            "va() missing 1 required positional argument: 'a'",
        ),
        (
            "va",
            "[1,2,3]",
            r#"{"a":3}"#,
            "va() got multiple values for argument 'a'",
        ),
        (
            "vk",
            "[1,2]",
            "{}",
            "vk() takes 1 positional argument but 2 were given",
        ),
        (
            "vk",
            "[]",
            r#"{"b":2}"#,
            "vk() missing 1 required positional argument: 'a'",
        ),
        (
            "vk",
            "[1]",
            r#"{"a":2}"#,
            "vk() got multiple values for argument 'a'",
        ),
        (
            "two",
            "[1,2,3]",
            r#"{"a":1}"#,
            "two() got multiple values for argument 'a'",
        ),
        (
            "two",
            "[]",
            r#"{"b":1}"#,
            "two() missing 1 required positional argument: 'a'",
        ),
    ];
    for (name, args, kwargs, words) in rows {
        let refusal = signature(name)
            .bind(args.as_bytes(), kwargs.as_bytes())
            .map(|_| ());
        assert_eq!(
            refusal,
            Err(TaskError::fail("TypeError", words).retryable(false)),
            "{name}(*{args}, **{kwargs})"
        );
    }
}

#[test]
fn arguments_come_by_position_or_by_name() {
    let calls = [
        ("[1,2]", "{}"),
        ("[1]", r#"{"b":2}"#),
        ("[]", r#"{"b":2,"a":1}"#),
    ];
    for (args, kwargs) in calls {
        let bound = signature("two")
            .bind(args.as_bytes(), kwargs.as_bytes())
            .expect("it fits");
        assert_eq!(
            (bound.required::<u8>(0), bound.required::<u8>(1)),
            (Ok(1), Ok(2)),
            "{args} {kwargs}"
        );
    }
}

#[test]
fn a_default_fills_what_is_missing_and_null_is_a_value() {
    let bound = signature("alldef")
        .bind(b"[]", br#"{"b":null}"#)
        .expect("it fits");
    assert_eq!(bound.optional(0, || Some(7)), Ok(Some(7)));
    assert_eq!(bound.optional(1, || Some(7)), Ok(None));
}

#[test]
fn variadic_parameters_collect_the_rest() {
    let bound = signature("va")
        .bind(br#"[1,"x","y"]"#, br#"{"sep":"-"}"#)
        .expect("it fits");
    assert_eq!(
        bound.var_positional::<String>(1),
        Ok(vec!["x".to_owned(), "y".to_owned()])
    );
    assert_eq!(bound.optional(2, String::new), Ok("-".to_owned()));

    let bound = signature("vk")
        .bind(b"[1]", br#"{"\u0078":1,"y":2,"x":3}"#)
        .expect("it fits");
    let options: BTreeMap<String, u8> = bound.var_keyword().expect("they are numbers");
    assert_eq!(
        options,
        BTreeMap::from([("x".to_owned(), 3), ("y".to_owned(), 2)])
    );
}

#[test]
fn of_a_keyword_that_comes_twice_the_last_counts() {
    let bound = signature("one")
        .bind(b"[]", br#"{"a":1,"a":2}"#)
        .expect("it fits");
    assert_eq!(bound.required::<u8>(0), Ok(2));
}

#[test]
fn a_value_of_another_type_is_a_type_error_that_names_the_parameter() {
    let message = |error: TaskError| error.to_string();
    let bound = signature("word_count")
        .bind(b"[3]", b"{}")
        .expect("it fits");
    assert_eq!(
        bound.required::<String>(0).map_err(message),
        Err(
            "TypeError: word_count() argument 'text': invalid type: integer `3`, expected a string"
                .to_owned()
        )
    );
    let bound = signature("va")
        .bind(br#"[1,"x",3]"#, b"{}")
        .expect("it fits");
    assert_eq!(
        bound.var_positional::<String>(1).map_err(message),
        Err(
            "TypeError: va() argument 'rest[1]': invalid type: integer `3`, expected a string"
                .to_owned()
        )
    );
    let bound = signature("vk")
        .bind(b"[1]", br#"{"x":"y"}"#)
        .expect("it fits");
    assert_eq!(
        bound.var_keyword::<u8, BTreeMap<_, _>>().map_err(message),
        Err("TypeError: vk() argument 'x': invalid type: string \"y\", expected u8".to_owned())
    );
}

#[test]
fn arguments_that_are_no_array_or_no_object_are_refused() {
    for (args, kwargs) in [
        ("{}", "{}"),
        ("[]", "[]"),
        ("[1", "{}"),
        ("[\"\u{1}\"]", "{}"),
        ("[]", "{\"a\"}"),
    ] {
        let refusal = signature("none")
            .bind(args.as_bytes(), kwargs.as_bytes())
            .expect_err("it is not JSON of that shape");
        assert!(
            refusal.to_string().starts_with("TypeError: none() takes a"),
            "{refusal}"
        );
    }
    assert!(
        signature("one").bind(b"[\"\xff\"]", b"{}").is_err(),
        "not UTF-8"
    );
}

#[test]
fn a_text_with_an_endless_name_or_value_is_cut() {
    let long = "ä".repeat(4_000);
    let kwargs = format!(r#"{{"{long}":1}}"#);
    let name = signature("none")
        .bind(b"[]", kwargs.as_bytes())
        .expect_err("there is no such name");
    let args = format!(r#"["{long}"]"#);
    let bound = signature("one")
        .bind(args.as_bytes(), b"{}")
        .expect("it fits");
    let value = bound.required::<u8>(0).expect_err("it is no number");
    for error in [name, value] {
        let text = error.to_string();
        assert!(
            text.len() < 2_100 && text.ends_with('…'),
            "{} bytes",
            text.len()
        );
    }
}
