//! Tenants.

use crate::task::{Ceiling, Quota, TenantName, Weight};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantView {
    /// Its name.
    pub name: TenantName,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Whether its tasks wait, and its own tokens only look and stop.
    pub suspended: bool,
    /// Its share of the cores.
    pub weight: Weight,
    /// How much it may use.
    pub quota: Quota,
    /// The most that one attempt may have.
    pub ceiling: Ceiling,
    /// What its modules may reach at most.
    pub may: Vec<String>,
    /// Where its messages are, without the password; operators alone see it.
    pub broker: Option<String>,
    /// Where its results are, likewise.
    pub result_backend: Option<String>,
}

/// A page of tenants, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenants {
    /// The tenants.
    pub tenants: Vec<TenantView>,
    /// What `after` must be for the next page; null at the end.
    pub next: Option<String>,
}

/// A tenant that shall be made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantWish {
    /// Its name.
    pub name: TenantName,
    /// What it is to be, which can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<TenantChange>,
}

/// What is to be changed of a tenant; what is left out stays.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    /// Its share of the cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// How much it may use, all of it: what is left out there has no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// The most that one attempt may have, all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Ceiling>,
    /// What its modules may reach at most: `submit:PATTERN`, `http:HOST`, `config:NAME`,
    /// `secret:NAME`, `key_value:SIZE`, `scratch:SIZE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may: Option<Vec<String>>,
    /// Where its messages are, with the password; null: where the configuration says.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub broker: Option<Option<String>>,
    /// Where its results are, likewise.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub result_backend: Option<Option<String>>,
}

/// What may be said when a tenant is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TenantEnd {
    /// Delete it though it is not suspended or has modules.
    #[serde(default)]
    #[param(required = false)]
    pub force: bool,
}

/// Tells null from what is left out.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

// Addresses have passwords in them.
impl std::fmt::Debug for TenantChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantChange")
            .field("weight", &self.weight)
            .field("quota", &self.quota)
            .field("ceiling", &self.ceiling)
            .field("may", &self.may)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TenantWish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantWish")
            .field("name", &self.name)
            .field("terms", &self.terms)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_told_from_what_is_left_out_and_no_password_is_shown() {
        let change = |text| serde_json::from_str::<TenantChange>(text).unwrap();
        assert_eq!(change("{}").broker, None);
        assert_eq!(change("{\"broker\":null}").broker, Some(None));
        let set = change("{\"broker\":\"amqp://a:s3cret@h/a\"}");
        assert!(!format!("{set:?}").contains("s3cret"));
        assert!(serde_json::from_str::<TenantChange>("{\"wieght\":1}").is_err());
        assert_eq!(serde_json::to_string(&change("{}")).unwrap(), "{}");
    }
}
