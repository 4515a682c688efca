//! Whose a task is: tenants, their shares and their bounds.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest name of a tenant, bytes: it becomes the name of a virtual host and a user.
const TENANT_NAME_BYTES: usize = 63;
/// The tenant of whatever belongs to nobody else.
const DEFAULT: &str = "default";

/// A tenant's name: a lower-case letter, then lower-case letters, digits and `-`, at most
/// 63 bytes, so that it can be the name of a virtual host, a user or a prefix anywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantName(String);

/// A text that cannot be a tenant's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a tenant's name; use a lower-case letter, then lower-case letters, digits and -, at most {TENANT_NAME_BYTES} bytes"
)]
pub struct TenantNameError(String);

impl TenantName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text before all of its keys and channels in a Redis that it shares with
    /// others, kombu's `global_keyprefix`.
    #[must_use]
    pub fn key_prefix(&self) -> String {
        format!("celeriac:{}:", self.0)
    }

    /// Tells whether it is the tenant that owns whatever belongs to nobody else.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT
    }
}

impl Default for TenantName {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl FromStr for TenantName {
    type Err = TenantNameError;

    fn from_str(text: &str) -> Result<Self, TenantNameError> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        if begins && text.len() <= TENANT_NAME_BYTES && text.chars().all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TenantNameError(
                text.chars().take(TENANT_NAME_BYTES).collect(),
            ))
        }
    }
}

impl TryFrom<String> for TenantName {
    type Error = TenantNameError;

    fn try_from(text: String) -> Result<Self, TenantNameError> {
        text.parse()
    }
}

impl From<TenantName> for String {
    fn from(name: TenantName) -> Self {
        name.0
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much of the cores a tenant gets beside others who want them: 100 unless told
/// otherwise, 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u32);

/// A number that cannot be a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a weight; use 1 to 10000, where 100 is usual")]
pub struct WeightError(u32);

impl Weight {
    /// Returns it as a number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<u32> for Weight {
    type Error = WeightError;

    fn try_from(weight: u32) -> Result<Self, WeightError> {
        if (1..=10_000).contains(&weight) {
            Ok(Self(weight))
        } else {
            Err(WeightError(weight))
        }
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

/// How much a tenant may use; what is `None` has no bound of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Most attempts in flight in one worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Most attempts that start in a minute in one worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_per_minute: Option<u32>,
    /// Most messages that wait in a queue before calls over HTTP are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_depth: Option<u64>,
    /// Most bytes of all kept versions of its modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_bytes: Option<u64>,
    /// Most bytes of results that are kept for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u64>,
    /// Most CPU time in an hour, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_per_hour_seconds: Option<u64>,
    /// Most CPU time in a day, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_per_day_seconds: Option<u64>,
}

/// The most an attempt of a tenant may have, within what the operator's configuration
/// allows anybody; what is `None` is bounded by that alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ceiling {
    /// Time of one attempt, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// CPU time of one attempt, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Memory of one attempt, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Retries of one task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_the_name_of_a_virtual_host_or_it_is_refused() {
        for good in ["default", "acme", "a", "acme-2", &"a".repeat(63)] {
            assert_eq!(good.parse::<TenantName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "Acme",
            "2acme",
            "-a",
            "a_b",
            "a.b",
            "a/b",
            "a\n",
            "ä",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<TenantName>().is_err(), "{bad:?}");
            let json = serde_json::to_string(bad).unwrap();
            assert!(serde_json::from_str::<TenantName>(&json).is_err());
        }
        assert!(TenantName::default().is_default());
    }

    #[test]
    fn a_weight_is_from_1_to_10000() {
        for (text, good) in [("0", false), ("1", true), ("10000", true), ("10001", false)] {
            assert_eq!(serde_json::from_str::<Weight>(text).is_ok(), good, "{text}");
        }
        assert_eq!(Weight::default().get(), 100);
    }

    #[test]
    fn a_quota_that_is_not_known_is_refused_and_one_that_is_left_out_has_no_bound() {
        let quota: Quota = serde_json::from_str(r#"{"cpu_per_day_seconds":7200}"#).unwrap();
        assert_eq!(quota.cpu_per_day_seconds, Some(7_200));
        assert_eq!(quota.concurrency, None);
        assert_eq!(
            serde_json::to_string(&quota).unwrap(),
            r#"{"cpu_per_day_seconds":7200}"#
        );
        assert!(serde_json::from_str::<Quota>(r#"{"cpu":1}"#).is_err());
        assert!(serde_json::from_str::<Ceiling>(r#"{"fuel":1}"#).is_err());
    }
}
