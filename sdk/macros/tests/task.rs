//! What `#[task]` makes of a function, through the SDK.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use celeriac_sdk::prelude::*;
use celeriac_sdk::testing::{TaskInfo, call, describe};
use serde_json::{Value, json};

/// Adds numbers up.
///
/// Slowly.
#[task(
    time_limit = "30s",
    soft_time_limit = "25s",
    cpu = "10s",
    memory = "32MiB",
    result = "1MiB",
    max_retries = 5,
    backoff = "1s..10m",
    retry_on = ["ConnectionError"],
    jitter = false,
    at_most_once,
    wants = ["http"],
    accept = ["application/x-shop"]
)]
fn sum(
    ctx: &Context,
    first: i64,
    #[task(default = 0)] second: i64,
    #[task(args)] rest: Vec<i64>,
    negate: bool,
    #[task(default = None)] r#type: Option<String>,
    #[task(kwargs)] named: BTreeMap<String, i64>,
) -> Result<i64, TaskError> {
    ctx.info("adding");
    if let Some(name) = r#type {
        return Err(TaskError::fail("TypeError", name));
    }
    let sum = first + second + rest.iter().sum::<i64>() + named.values().sum::<i64>();
    Ok(if negate { -sum } else { sum })
}

/// A function's own error, by an alias of its own.
#[derive(Debug)]
struct NoStock;

impl fmt::Display for NoStock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no stock")
    }
}

impl std::error::Error for NoStock {}

type Result2<T> = Result<T, NoStock>;

mod aliased {
    pub(super) type Result<T> = super::Result2<T>;
}

#[task]
fn buys(mut count: u32) -> aliased::Result<u32> {
    count += 1;
    if count > 3 { Err(NoStock) } else { Ok(count) }
}

#[task]
fn nothing() {}

#[task]
fn shout(
    #[task(default = "hey", keyword_only)] word: String,
    #[task(kwargs)] more: HashMap<String, Value>,
) -> String {
    format!("{}!{}", word.to_uppercase(), more.len())
}

mod nested {
    use celeriac_sdk::prelude::*;

    #[task]
    pub(super) fn inner() -> &'static str {
        "inner"
    }
}

celeriac_sdk::export!(sum, buys, nothing, shout, nested::inner);

fn told<T: fmt::Debug>(result: Result<T, TaskError>) -> String {
    result.expect_err("it fails").to_string()
}

#[test]
fn the_function_stays_a_function() {
    let ctx = Context::test().build();
    assert_eq!(
        sum(&ctx, 1, 2, vec![3], false, None, BTreeMap::new()),
        Ok(6)
    );
    assert_eq!(ctx.recording().log.len(), 1);
    assert_eq!(nested::inner(), "inner");
}

#[test]
fn arguments_are_bound_as_python_binds_them() {
    let ctx = Context::test().build();
    assert_eq!(
        call::<sum>(&ctx, "[1,2,3,4]", r#"{"negate":true,"x":5}"#),
        Ok(json!(-15))
    );
    assert_eq!(
        call::<sum>(&ctx, "[1]", r#"{"negate":false}"#),
        Ok(json!(1))
    );
    assert_eq!(
        told(call::<sum>(&ctx, "[1]", "{}")),
        "TypeError: sum() missing 1 required keyword-only argument: 'negate'"
    );
    assert_eq!(
        told(call::<sum>(&ctx, "[1]", r#"{"negate":true,"type":"raw"}"#)),
        "TypeError: raw"
    );
    assert_eq!(call::<shout>(&ctx, "[]", "{}"), Ok(json!("HEY!0")));
    assert_eq!(
        call::<shout>(&ctx, "[]", r#"{"word":"a","b":null}"#),
        Ok(json!("A!1"))
    );
    assert_eq!(call::<nothing>(&ctx, "[]", "{}"), Ok(Value::Null));
    assert_eq!(call::<nested::inner>(&ctx, "[]", "{}"), Ok(json!("inner")));
}

#[test]
fn any_error_ends_a_task_as_a_failure_named_after_it() {
    let ctx = Context::test().build();
    assert_eq!(call::<buys>(&ctx, "[2]", "{}"), Ok(json!(3)));
    assert_eq!(told(call::<buys>(&ctx, "[3]", "{}")), "NoStock: no stock");
}

#[test]
fn the_description_tells_all_that_the_attribute_says() {
    let TaskInfo {
        name,
        doc,
        params,
        result_schema,
        limits,
        retry,
        at_most_once,
        wants,
        extra,
    } = describe::<sum>();
    assert_eq!(
        (name.as_str(), doc.as_str()),
        ("sum", "Adds numbers up.\n\nSlowly.")
    );
    let params: Vec<_> = params
        .iter()
        .map(|param| {
            (
                param.name.as_str(),
                format!("{:?}", param.kind),
                param.required,
                param.default.as_deref(),
            )
        })
        .collect();
    let kind = |name: &str| format!("ParamKind::{name}");
    assert_eq!(
        params,
        [
            ("first", kind("PositionalOrKeyword"), true, None),
            ("second", kind("PositionalOrKeyword"), false, Some("0")),
            ("rest", kind("VarPositional"), false, None),
            ("negate", kind("KeywordOnly"), true, None),
            ("type", kind("KeywordOnly"), false, Some("null")),
            ("named", kind("VarKeyword"), false, None),
        ]
    );
    assert_eq!(
        result_schema.as_deref(),
        Some(r#"{"title":"int64","type":"integer","format":"int64"}"#)
    );
    assert_eq!(
        (limits.wall_ms, limits.soft_wall_ms, limits.cpu_ms),
        (Some(30_000), Some(25_000), Some(10_000))
    );
    assert_eq!(
        (limits.memory_bytes, limits.result_bytes),
        (Some(32 << 20), Some(1 << 20))
    );
    let retry = retry.expect("it has a policy");
    assert_eq!(
        (retry.max_retries, retry.first_delay_ms, retry.max_delay_ms),
        (Some(5), Some(1_000), 600_000)
    );
    assert_eq!(
        (retry.factor_milli, retry.jitter, retry.retry_kinds),
        (2_000, false, vec!["ConnectionError".to_owned()])
    );
    assert_eq!(
        (at_most_once, wants, extra),
        (
            true,
            vec!["http".to_owned()],
            vec![("accept".to_owned(), "application/x-shop".to_owned())]
        )
    );
}

#[test]
fn a_task_without_keys_asks_for_nothing() {
    let told = describe::<nothing>();
    assert!(
        told.retry.is_none()
            && !told.at_most_once
            && told.wants.is_empty()
            && told.limits.wall_ms.is_none()
    );
    assert_eq!(
        told.result_schema.as_deref(),
        Some(r#"{"title":"null","type":"null"}"#)
    );
    assert_eq!(
        describe::<shout>().params[0].default.as_deref(),
        Some("\"hey\"")
    );
}
