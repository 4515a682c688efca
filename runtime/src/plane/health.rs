//! Whether a control plane lives, and whether it can take requests.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A process that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alive {
    /// Always true: a process that does not live does not answer.
    pub live: bool,
}

/// Whether requests can be done, and what is in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// Whether all that follows is good.
    pub ready: bool,
    /// The database of tenants and modules answers.
    pub database: Look,
    /// No stop has begun.
    pub running: Look,
}

/// One look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Look {
    /// Whether it is good.
    pub ok: bool,
    /// What is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Look {
    /// Makes one that is good where nothing is in the way.
    #[must_use]
    pub fn new(detail: Option<&str>) -> Self {
        Self {
            ok: detail.is_none(),
            detail: detail.map(str::to_owned),
        }
    }
}
