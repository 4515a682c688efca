//! What a token is for.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a token is for; what it may do is in [`crate::policy::access`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything that people do, for every tenant.
    Operator,
    /// Everything of one tenant but its own bounds.
    TenantAdmin,
    /// The modules of one tenant.
    Deploy,
    /// Calling the tasks of one tenant.
    Call,
    /// Looking at what one tenant has and did.
    ReadOnly,
    /// What a worker needs, for every tenant.
    Worker,
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope; use operator, tenant_admin, deploy, call, read_only or worker")]
pub struct ScopeError(String);

impl Scope {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Operator,
        Self::TenantAdmin,
        Self::Deploy,
        Self::Call,
        Self::ReadOnly,
        Self::Worker,
    ];

    /// Returns its name, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::TenantAdmin => "tenant_admin",
            Self::Deploy => "deploy",
            Self::Call => "call",
            Self::ReadOnly => "read_only",
            Self::Worker => "worker",
        }
    }

    /// Tells whether a token of it belongs to one tenant; the others belong to the
    /// operator.
    #[must_use]
    pub fn is_of_a_tenant(self) -> bool {
        match self {
            Self::Operator | Self::Worker => false,
            Self::TenantAdmin | Self::Deploy | Self::Call | Self::ReadOnly => true,
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    /// Reads its name, with `-` for `_` as people type it.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let name = text.replace('-', "_");
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == name);
        found.ok_or_else(|| ScopeError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_as_it_is_written_and_as_people_type_it() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(scope.as_str().replace('_', "-").parse(), Ok(scope));
            let json = format!("\"{scope}\"");
            assert_eq!(serde_json::to_string(&scope).unwrap(), json);
        }
        for bad in ["", "admin", "Operator", "operator "] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
        }
    }
}
