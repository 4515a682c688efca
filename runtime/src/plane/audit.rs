//! The audit.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number: later ones have higher ones.
    pub number: i64,
    /// When it happened.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who did it.
    pub who: String,
    /// The id of the request.
    pub request_id: Option<String>,
    /// What was done, such as `tenant.suspend`.
    pub action: String,
    /// Whose it was; null where it was the operator's.
    pub tenant: Option<String>,
    /// What was changed.
    pub subject: String,
    /// What it was, without secrets.
    #[schema(value_type = Value)]
    pub was: Option<Value>,
    /// What it became, without secrets.
    #[schema(value_type = Value)]
    pub became: Option<Value>,
}

/// A page of the audit, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Audit {
    /// The changes.
    pub entries: Vec<AuditEntry>,
    /// What `after` must be for the next page; null at the end.
    pub next: Option<String>,
}
