//! What a run did with its grants, as it is kept with its result.

use serde::{Deserialize, Serialize};

/// How one grant was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsedGrant {
    /// Times it was used.
    pub calls: u64,
    /// Times it was missing.
    pub denied: u64,
    /// Bytes that came in by it.
    pub bytes_in: u64,
    /// Bytes that went out by it.
    pub bytes_out: u64,
}

/// The grants that a run used or missed. What was not touched is not written; a grant
/// that only a later version knows is passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsedGrants {
    /// Sending other tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submit: Option<UsedGrant>,
    /// Outgoing HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<UsedGrant>,
    /// Values of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<UsedGrant>,
    /// Secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<UsedGrant>,
    /// The store of keys and values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_value: Option<UsedGrant>,
    /// Scratch space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch: Option<UsedGrant>,
}

impl UsedGrants {
    /// Tells whether none was touched.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what was touched, by its name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, UsedGrant)> {
        let all = [
            ("submit", self.submit),
            ("http", self.http),
            ("config", self.config),
            ("secrets", self.secrets),
            ("key_value", self.key_value),
            ("scratch", self.scratch),
        ];
        all.into_iter()
            .filter_map(|(name, used)| Some((name, used?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_touched_is_written_and_what_is_unknown_is_passed_over() {
        let used = UsedGrants {
            http: Some(UsedGrant {
                calls: 2,
                ..UsedGrant::default()
            }),
            ..UsedGrants::default()
        };
        let text = serde_json::to_string(&used).unwrap();
        assert_eq!(
            text,
            r#"{"http":{"calls":2,"denied":0,"bytes_in":0,"bytes_out":0}}"#
        );
        assert_eq!(serde_json::from_str::<UsedGrants>(&text).unwrap(), used);
        let later = r#"{"http":{"calls":2,"more":1},"teleport":{"calls":1}}"#;
        assert_eq!(serde_json::from_str::<UsedGrants>(later).unwrap(), used);
        assert_eq!(used.iter().count(), 1);
        assert!(serde_json::from_str::<UsedGrants>("{}").unwrap().is_none());
    }
}
