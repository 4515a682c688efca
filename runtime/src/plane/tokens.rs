//! Tokens.

use crate::task::{Scope, TenantName};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its id, which is the beginning of it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub scope: Scope,
    /// Whose it is; null for operators' and workers'.
    pub tenant: Option<TenantName>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it ends; null: when it is revoked.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// When it was last used, to about a minute.
    #[schema(format = DateTime)]
    pub used_at: Option<String>,
}

/// A page of tokens, by age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// The tokens.
    pub tokens: Vec<TokenView>,
    /// What `after` must be for the next page; null at the end.
    pub next: Option<String>,
}

/// A token that shall be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenWish {
    /// What people call it: one line.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    pub name: String,
    /// What it is for; under a tenant one of a tenant's, else `operator` or `worker`.
    pub scope: Scope,
    /// When it ends, RFC 3339; without it when it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// How a token is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateWish {
    /// How long the old one goes on beside the new one, seconds: 0 unless told otherwise,
    /// at most 30 days.
    #[serde(default)]
    #[schema(maximum = 2_592_000)]
    pub grace_seconds: u64,
}

/// A token that was made just now.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewTokenView {
    /// What is kept of it.
    pub token: TokenView,
    /// The whole of it. It is shown this once.
    pub secret: String,
}

impl fmt::Debug for NewTokenView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewTokenView")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
