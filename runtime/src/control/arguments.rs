//! The arguments of a request, none of which can be trusted.

use crate::celery::repr;
use serde_json::{Map, Value};
use std::time::Duration;

pub(super) struct Arguments<'a> {
    pub(super) method: &'a str,
    pub(super) values: &'a Map<String, Value>,
}

impl Arguments<'_> {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str)
    }

    /// A text that must be there; else Python's words for it.
    pub(super) fn needed(&self, name: &str) -> Result<&str, String> {
        self.text(name).ok_or_else(|| self.missing(name))
    }

    pub(super) fn missing(&self, name: &str) -> String {
        let method = self.method;
        let words = format!("{method}() missing 1 required positional argument: '{name}'");
        repr::exception("TypeError", &words)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        match self.values.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
        }
    }

    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.values.get(name).and_then(Value::as_u64)
    }

    /// One text or a list of texts; what is neither is left out.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.values.get(name).map(texts).unwrap_or_default()
    }

    /// Seconds.
    pub(super) fn span(&self, name: &str) -> Option<Duration> {
        let seconds = self.values.get(name).and_then(Value::as_f64)?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

fn texts(value: &Value) -> Vec<String> {
    let own = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::Array(values) => values.iter().filter_map(own).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            own(value).into_iter().collect()
        }
    }
}
