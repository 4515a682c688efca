//! Versions beside each other: what a new one changes and breaks, pins and canaries.

use super::Live;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The version that a push was compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BeforeView {
    /// Its number.
    pub version: u32,
    /// What its author calls it.
    pub release: Option<String>,
    /// The size of its component, bytes.
    pub bytes: u64,
}

/// What a version changes: names of tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangesView {
    /// Tasks that were not there.
    pub added: Vec<String>,
    /// Tasks that are not there any more.
    pub removed: Vec<String>,
    /// Tasks that say something else about themselves than before.
    pub changed: Vec<String>,
}

/// What callers of a task would see of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// The task.
    pub task: String,
    /// The parameter, where it is about one.
    pub parameter: Option<String>,
    /// The kind of break, such as `parameter_gone`; there may come new ones.
    #[schema(pattern = "^[a-z_]+$", example = "parameter_gone")]
    pub breaks: String,
    /// One line for people.
    pub seen: String,
}

/// How runs of a version ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndsView {
    /// All of them.
    pub ended: u64,
    /// Those that failed.
    pub failed: u64,
}

/// A version that gets, or got, a share of a module's tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CanaryView {
    /// The version.
    pub version: u32,
    /// The share.
    #[schema(example = "5%")]
    pub share: String,
    /// `runs`, `promoted` or `aborted`.
    #[schema(pattern = "^[a-z]+$")]
    pub state: String,
    /// Why it was aborted; empty where it was not.
    pub reason: String,
    /// When it began.
    #[schema(format = DateTime)]
    pub began_at: String,
    /// Runs of it.
    pub canary: EndsView,
    /// Runs of the current version since it began.
    pub current: EndsView,
}

/// What is to become of a canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryWish {
    /// It gets another share, is promoted to the current version, or ends.
    pub order: CanaryOrder,
    /// The share, for `to`: 0% to 100%, with two digits after the point at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "25%", max_length = 16)]
    pub share: Option<String>,
}

/// What can become of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CanaryOrder {
    /// It gets another share.
    To,
    /// It becomes the current version.
    Promote,
    /// It ends.
    Abort,
}

/// The canary of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Canary {
    /// The module.
    pub module: String,
    /// Its last canary; null where it had none.
    pub canary: Option<CanaryView>,
    /// Where a change of it is known already; null where nothing was changed.
    pub live: Option<Live>,
}

/// Which version is to stay the current one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinWish {
    /// The version, by its number or its name; without it the pin is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "1.4.0", max_length = 64)]
    pub version: Option<String>,
}

/// A module that was pinned, or whose pin was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pinned {
    /// The module.
    pub module: String,
    /// The version that runs.
    pub version: u32,
    /// Whether it stays.
    pub pinned: bool,
    /// Where it runs already.
    pub live: Live,
}
