//! The stamps of a message, by which many tasks are revoked at once.

use serde_json::{Map, Value};

/// Most stamps of one message that are looked at; a list counts as many as it holds.
pub const STAMPS: usize = 64;

/// Returns names and values, these as JSON. Only what `stamped_headers` names is a stamp;
/// each item of a list is one.
#[must_use]
pub fn stamps(headers: &Map<String, Value>) -> Vec<(String, String)> {
    let names = headers.get("stamped_headers").and_then(Value::as_array);
    let all = headers.get("stamps").and_then(Value::as_object);
    let (Some(names), Some(all)) = (names, all) else {
        return Vec::new();
    };
    let names = names.iter().filter_map(Value::as_str).take(STAMPS);
    let values = names.filter_map(|name| Some((name, all.get(name)?)));
    values
        .flat_map(|(name, value)| {
            let one = std::slice::from_ref(value);
            let values = value.as_array().map_or(one, Vec::as_slice);
            let named = move |value: &Value| (name.to_owned(), value.to_string());
            values.iter().take(STAMPS).map(named)
        })
        .take(STAMPS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(headers: &Value) -> Vec<(String, String)> {
        stamps(headers.as_object().unwrap())
    }

    #[test]
    fn what_is_named_is_a_stamp_and_each_item_of_a_list_is() {
        let headers = json!({
            "stamped_headers": ["a", "b", "gone", 5],
            "stamps": {"a": "x", "b": [1, "y"], "unnamed": "z"},
        });
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("a", "\"x\""), pair("b", "1"), pair("b", "\"y\"")];
        assert_eq!(of(&headers), expected);
    }

    #[test]
    fn what_is_no_stamp_is_passed_over() {
        for headers in [
            json!({}),
            json!({"stamped_headers": null, "stamps": {"a": 1}}),
            json!({"stamped_headers": ["a"], "stamps": ["a"]}),
            json!({"stamped_headers": "a", "stamps": {"a": 1}}),
        ] {
            assert!(of(&headers).is_empty(), "{headers}");
        }
    }

    #[test]
    fn only_so_many_are_looked_at() {
        let many: Vec<usize> = (0..10_000).collect();
        let headers = json!({"stamped_headers": ["a"], "stamps": {"a": many}});
        assert_eq!(of(&headers).len(), STAMPS);
        let names: Vec<String> = many.iter().map(usize::to_string).collect();
        let all: Map<String, Value> = names.iter().map(|name| (name.clone(), json!(1))).collect();
        let headers = json!({"stamped_headers": names, "stamps": all});
        assert_eq!(of(&headers).len(), STAMPS);
    }
}
