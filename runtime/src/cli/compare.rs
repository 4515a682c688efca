//! Where two JSON values differ, by path.

use serde_json::Value;

/// Differences that are told; more only repeat what is wrong.
const SHOWN: usize = 10;
/// Characters of a value in a difference.
const VALUE: usize = 80;

/// Lists where `got` differs from `wanted`, such as
/// `$.width: wanted 64, got 128`. With `part`, `got` may have more keys and be
/// longer than `wanted`.
pub(crate) fn differences(wanted: &Value, got: &Value, part: bool) -> Vec<String> {
    let mut found = Vec::new();
    walk("$", wanted, got, part, &mut found);
    let more = found.len().saturating_sub(SHOWN);
    found.truncate(SHOWN);
    if more > 0 {
        found.push(format!("and {more} more differences"));
    }
    found
}

fn walk(path: &str, wanted: &Value, got: &Value, part: bool, found: &mut Vec<String>) {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            for (key, value) in wanted {
                let path = format!("{path}.{key}");
                match got.get(key) {
                    Some(other) => walk(&path, value, other, part, found),
                    None => found.push(format!("{path}: wanted {}, got nothing", show(value))),
                }
            }
            let strange = got
                .iter()
                .filter(|(key, _)| !part && !wanted.contains_key(*key));
            for (key, value) in strange {
                found.push(format!("{path}.{key}: wanted nothing, got {}", show(value)));
            }
        }
        (Value::Array(wanted), Value::Array(got)) => {
            for (at, (value, other)) in wanted.iter().zip(got).enumerate() {
                walk(&format!("{path}[{at}]"), value, other, part, found);
            }
            if got.len() < wanted.len() || (!part && got.len() > wanted.len()) {
                found.push(format!(
                    "{path}: wanted {} items, got {}",
                    wanted.len(),
                    got.len()
                ));
            }
        }
        _ if wanted != got => {
            found.push(format!(
                "{path}: wanted {}, got {}",
                show(wanted),
                show(got)
            ));
        }
        _ => {}
    }
}

fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!(
            "{}… ({} bytes)",
            text.get(..end).unwrap_or_default(),
            text.len()
        ),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_values_have_no_difference() {
        let value = json!({ "a": [1, { "b": null }], "c": "x" });
        assert!(differences(&value, &value, false).is_empty());
    }

    #[test]
    fn a_difference_is_named_by_its_path() {
        let wanted = json!({ "a": [1, { "b": 2 }], "c": 1, "d": 1 });
        let got = json!({ "a": [1, { "b": 3 }, 4], "c": "1", "e": 0 });
        assert_eq!(
            differences(&wanted, &got, false),
            [
                "$.a[1].b: wanted 2, got 3",
                "$.a: wanted 2 items, got 3",
                "$.c: wanted 1, got \"1\"",
                "$.d: wanted 1, got nothing",
                "$.e: wanted nothing, got 0",
            ]
        );
    }

    #[test]
    fn a_part_may_be_of_something_larger() {
        let got = json!({ "a": [1, 2], "b": 1 });
        assert!(differences(&json!({ "a": [1] }), &got, true).is_empty());
        assert_eq!(differences(&json!({ "a": [1, 2, 3] }), &got, true).len(), 1);
    }

    #[test]
    fn many_differences_and_long_values_are_cut() {
        let list = |from: u64| Value::from((from..from + 50).collect::<Vec<_>>());
        let found = differences(&list(0), &list(1), false);
        assert_eq!(found.len(), SHOWN + 1);
        assert_eq!(
            found.last().map(String::as_str),
            Some("and 40 more differences")
        );
        let long = differences(&json!("x".repeat(500)), &json!(1), false);
        assert!(long.iter().all(|line| line.len() < 150), "{long:?}");
    }
}
