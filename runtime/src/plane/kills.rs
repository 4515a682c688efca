//! Kills.

use super::Live;
use crate::task::TenantName;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What a kill is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KillKind {
    /// One task.
    Task,
    /// All tasks of a module.
    Module,
    /// All tasks of the tenant.
    Tenant,
    /// All tasks of a component, of whichever tenant: operators alone.
    Digest,
}

/// Something that shall not run any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KillWish {
    /// What it is about.
    pub kind: KillKind,
    /// The name: `MODULE.TASK`, `MODULE`, the tenant's, or 64 digits of a component.
    #[schema(max_length = 1024)]
    pub name: String,
    /// Why, one line, for whoever calls it.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub reason: String,
    /// Whether calls wait until it is allowed again, instead of failing.
    #[serde(default)]
    pub hold: bool,
}

/// Which kill is to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KillEnd {
    /// What it is about.
    pub kind: KillKind,
    /// The name, as it was killed.
    pub name: String,
}

/// Something that does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KillView {
    /// Whose it is; null for a component, which is killed for all.
    pub tenant: Option<TenantName>,
    /// What it is about.
    pub kind: KillKind,
    /// The name.
    pub name: String,
    /// Why; empty where nobody said.
    pub reason: String,
    /// Whether calls wait.
    pub hold: bool,
    /// Since when.
    #[schema(format = DateTime)]
    pub killed_at: String,
}

/// A page of what does not run, by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kills {
    /// What does not run.
    pub kills: Vec<KillView>,
    /// What `after` must be for the next page; null at the end.
    pub next: Option<String>,
}

/// A kill that began or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Killed {
    /// What it is about.
    pub kind: KillKind,
    /// The name.
    pub name: String,
    /// Whether it ended.
    pub undone: bool,
    /// Where it is obeyed already.
    pub live: Live,
}
