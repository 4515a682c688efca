//! Tasks over texts, and every way a parameter can take its argument.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use celeriac_sdk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts the words of a text; with `unique`, each word once.
#[task(time_limit = "10s", memory = "16MiB", result = "1KiB")]
fn word_count(text: String, #[task(default = false)] unique: bool) -> u64 {
    let words = text.split_whitespace();
    let count = if unique {
        words.collect::<BTreeSet<_>>().len()
    } else {
        words.count()
    };
    count as u64
}

/// Makes a title fit for a URL: ASCII letters and digits, lower case, joined by `separator`.
#[task(time_limit = "5s", memory = "16MiB")]
fn slugify(
    title: String,
    #[task(keyword_only, default = "-")] separator: String,
) -> Result<String, TaskError> {
    if separator
        .chars()
        .any(|letter| letter.is_whitespace() || letter == '/')
    {
        let message = format_args!("separator {separator:?} would break the URL: use '-' or '_'");
        return Err(TaskError::fail("ValueError", message));
    }
    let words = title
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    Ok(words
        .map(str::to_ascii_lowercase)
        .collect::<Vec<_>>()
        .join(&separator))
}

/// A word and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
struct Frequency {
    /// The word in lower case.
    word: String,
    /// How often it occurs.
    count: u64,
}

/// Lists the most frequent words, the most frequent first.
#[task(time_limit = "10s", cpu = "5s", memory = "32MiB")]
fn top_words(
    text: String,
    #[task(default = 10)] limit: usize,
    #[task(default = Vec::new())] ignore: Vec<String>,
) -> Vec<Frequency> {
    let mut counts = BTreeMap::new();
    for word in text
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        *counts.entry(word.to_lowercase()).or_insert(0) += 1;
    }
    let kept = counts
        .into_iter()
        .filter(|(word, _)| !ignore.contains(word));
    let mut frequencies: Vec<_> = kept
        .map(|(word, count)| Frequency { word, count })
        .collect();
    frequencies.sort_by_key(|frequency| Reverse(frequency.count));
    frequencies.truncate(limit);
    frequencies
}

/// Joins its arguments, as Python's `def join(*parts, separator=" ")` would.
#[task(memory = "16MiB")]
fn join(#[task(args)] parts: Vec<String>, #[task(default = " ")] separator: String) -> String {
    parts.join(&separator)
}

/// A value to put into a template.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Value {
    /// Printed as it is.
    Text(String),
    /// Printed with its digits.
    Number(f64),
}

/// Fills the `{name}` places of a template from its keyword arguments.
#[task(memory = "16MiB")]
fn render(
    template: String,
    #[task(kwargs)] values: BTreeMap<String, Value>,
) -> Result<String, TaskError> {
    let mut rendered = String::with_capacity(template.len());
    let mut rest = template.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Err(TaskError::fail(
                "ValueError",
                format_args!("no '}}' follows {:?}", format!("{{{after}")),
            ));
        };
        rendered.push_str(before);
        match values.get(name) {
            Some(Value::Text(text)) => rendered.push_str(text),
            Some(Value::Number(number)) => rendered.push_str(&number.to_string()),
            None => return Err(TaskError::fail("KeyError", name)),
        }
        rest = after;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

/// Returns its argument, whatever it is.
#[task]
fn echo(value: serde_json::Value) -> serde_json::Value {
    value
}

celeriac_sdk::export!(word_count, slugify, top_words, join, render, echo);

#[cfg(test)]
mod tests {
    use celeriac_sdk::testing::{call, describe};
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_counted_all_or_once() {
        assert_eq!(word_count("to be or not to be".to_owned(), false), 6);
        assert_eq!(word_count("to be or not to be".to_owned(), true), 4);
        assert_eq!(word_count(String::new(), false), 0);
    }

    #[test]
    fn a_title_becomes_a_slug() {
        assert_eq!(
            slugify("  Hello, World! 2x".to_owned(), "-".to_owned()),
            Ok("hello-world-2x".to_owned())
        );
        let refusal =
            slugify("a b".to_owned(), "/".to_owned()).expect_err("it would break the URL");
        assert_eq!(
            refusal.to_string(),
            "ValueError: separator \"/\" would break the URL: use '-' or '_'"
        );
    }

    #[test]
    fn the_most_frequent_words_come_first() {
        let frequencies = top_words(
            "The cat, the dog; THE END. A dog".to_owned(),
            2,
            vec!["a".to_owned()],
        );
        let pairs: Vec<_> = frequencies
            .iter()
            .map(|frequency| (frequency.word.as_str(), frequency.count))
            .collect();
        assert_eq!(pairs, [("the", 3), ("dog", 2)]);
    }

    #[test]
    fn arguments_reach_the_tasks_as_python_would_pass_them() {
        let ctx = Context::test().build();
        assert_eq!(
            call::<word_count>(&ctx, r#"["a b a"]"#, r#"{"unique":true}"#),
            Ok(json!(2))
        );
        assert_eq!(
            call::<slugify>(&ctx, r#"["A b"]"#, r#"{"separator":"_"}"#),
            Ok(json!("a_b"))
        );
        assert_eq!(
            call::<join>(&ctx, r#"["a","b","c"]"#, r#"{"separator":"+"}"#),
            Ok(json!("a+b+c"))
        );
        assert_eq!(
            call::<render>(&ctx, r#"["{x} is {y}"]"#, r#"{"x":"pi","y":3.14}"#),
            Ok(json!("pi is 3.14"))
        );
        assert_eq!(
            call::<top_words>(&ctx, r#"["b a b",1]"#, "{}"),
            Ok(json!([{"word": "b", "count": 2}]))
        );
        assert_eq!(
            call::<echo>(&ctx, r#"[{"any":[1,null]}]"#, "{}"),
            Ok(json!({"any": [1, null]}))
        );
    }

    #[test]
    fn a_call_that_does_not_fit_is_a_type_error() {
        let ctx = Context::test().build();
        for (result, message) in [
            (
                call::<word_count>(&ctx, "[]", "{}"),
                "word_count() missing 1 required positional argument: 'text'",
            ),
            (
                call::<slugify>(&ctx, r#"["a","_"]"#, "{}"),
                "slugify() takes 1 positional argument but 2 were given",
            ),
            (
                call::<word_count>(&ctx, "[3]", "{}"),
                "word_count() argument 'text': invalid type: integer `3`, expected a string",
            ),
        ] {
            assert_eq!(
                result.map_err(|error| error.to_string()),
                Err(format!("TypeError: {message}"))
            );
        }
    }

    #[test]
    fn a_template_with_a_missing_value_is_a_key_error() {
        let missing = render("{x}".to_owned(), BTreeMap::new()).expect_err("x is missing");
        assert_eq!(missing.to_string(), "KeyError: x");
        let open = render("{x".to_owned(), BTreeMap::new()).expect_err("the place is open");
        assert_eq!(open.to_string(), r#"ValueError: no '}' follows "{x""#);
    }

    #[test]
    fn the_description_says_what_a_caller_may_pass() {
        let told = describe::<slugify>();
        assert_eq!(
            told.doc,
            "Makes a title fit for a URL: ASCII letters and digits, lower case, joined by `separator`."
        );
        let params: Vec<_> = told
            .params
            .iter()
            .map(|param| {
                (
                    param.name.as_str(),
                    param.required,
                    param.default.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            params,
            [("title", true, None), ("separator", false, Some("\"-\""))]
        );
        assert_eq!(told.limits.memory_bytes, Some(16 << 20));
    }
}
