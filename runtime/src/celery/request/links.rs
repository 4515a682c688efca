//! What a caller has follow its call.

use super::CallError;
use crate::task::Json;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// What follows a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links {
    pub(super) callbacks: Vec<Json>,
    pub(super) errbacks: Vec<Json>,
}

impl Links {
    /// Writes the third part of a body.
    pub(super) fn embed(&self) -> String {
        let [callbacks, errbacks] =
            [&self.callbacks, &self.errbacks].map(|links| match &links[..] {
                [] => Json::null(),
                some => Json::array(some),
            });
        let (callbacks, errbacks) = (callbacks.as_str(), errbacks.as_str());
        format!(r#"{{"callbacks":{callbacks},"errbacks":{errbacks},"chain":null,"chord":null}}"#)
    }
}

/// Reads what is to follow a call.
pub(super) fn linked(signature: &str) -> Result<Json, CallError> {
    let wrong = |reason: String| CallError::Signature { reason };
    serde_json::from_str::<Linked>(signature).map_err(|error| wrong(error.to_string()))?;
    Json::read(signature).ok_or_else(|| wrong("it is no JSON".to_owned()))
}

/// The members without which Celery's workers call nothing.
#[derive(serde::Deserialize)]
struct Linked {
    #[serde(rename = "task")]
    _task: String,
    #[serde(rename = "args")]
    _args: Vec<IgnoredAny>,
    #[serde(rename = "kwargs")]
    _kwargs: BTreeMap<String, IgnoredAny>,
    #[serde(rename = "options")]
    _options: BTreeMap<String, IgnoredAny>,
}
