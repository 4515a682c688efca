//! How a task ended, as it is stored.

use serde_json::Value;

/// Returns the class of a stored exception, as Python imports it.
pub(crate) fn class(stored: &Value) -> String {
    let part = |name: &str| stored["exception"][name].as_str().unwrap_or_default();
    format!("{}.{}", part("module"), part("class"))
}

/// Returns the message of a stored exception.
pub(crate) fn message(stored: &Value) -> &str {
    stored["exception"]["message"].as_str().unwrap_or_default()
}

/// Checks that a task ended in a failure of a class, and returns its message.
pub(crate) fn failure<'a>(stored: &'a Value, expected: &str) -> &'a str {
    assert_eq!(stored["state"], "FAILURE", "{stored}");
    assert_eq!(class(stored), expected, "{stored}");
    message(stored)
}

/// Checks that a task succeeded, and returns its result.
pub(crate) fn success(stored: &Value) -> &Value {
    assert_eq!(stored["state"], "SUCCESS", "{stored}");
    &stored["result"]
}
