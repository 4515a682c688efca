//! Modules, their versions, and what a push finds out.

use super::{BeforeView, CanaryView, ChangesView, FindingView};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A component as it is uploaded: its bytes.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Component(pub Vec<u8>);

/// A module and its current version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModuleView {
    /// Its name.
    pub name: String,
    /// The version that runs.
    pub version: u32,
    /// What its author calls it.
    pub release: Option<String>,
    /// Whether it stays the current one, whatever is pushed.
    pub pinned: bool,
    /// The last version that got a share of the tasks.
    pub canary: Option<CanaryView>,
    /// The component, `sha256:` and 64 digits.
    pub digest: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// When that version was pushed.
    #[schema(format = DateTime)]
    pub pushed_at: String,
    /// What the component says about its tasks.
    #[schema(value_type = Vec<Object>)]
    pub tasks: Vec<Value>,
    /// Names of the interfaces it imports.
    pub imports: Vec<String>,
}

/// A page of modules, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Modules {
    /// The modules.
    pub modules: Vec<ModuleView>,
    /// What `after` must be for the next page; null at the end.
    pub next: Option<String>,
}

/// A version of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// Its number.
    pub version: u32,
    /// What its author calls it.
    pub release: Option<String>,
    /// What it broke for callers of the version before, where that was allowed.
    pub breaks: Vec<FindingView>,
    /// The component.
    pub digest: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// When it was pushed.
    #[schema(format = DateTime)]
    pub pushed_at: String,
    /// What the component says about its tasks.
    #[schema(value_type = Vec<Object>)]
    pub tasks: Vec<Value>,
    /// Whether it is the one that runs.
    pub current: bool,
}

/// A page of the versions of a module, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Versions {
    /// The module.
    pub name: String,
    /// Its versions.
    pub versions: Vec<VersionView>,
    /// What `after` must be for the next page; null at the end.
    pub next: Option<String>,
}

/// A push that succeeded: what the module is, asks for and would reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pushed {
    /// The module.
    pub module: String,
    /// Its version; 0 where nothing was published.
    pub version: u32,
    /// What its author calls it.
    pub release: Option<String>,
    /// Whether it is the current version now: a canary is not, nor is what waits because
    /// another version is pinned.
    pub runs: bool,
    /// The version that was current before.
    pub before: Option<BeforeView>,
    /// What it changes, compared with that.
    pub changes: ChangesView,
    /// What it breaks for callers of that.
    pub breaks: Vec<FindingView>,
    /// The component.
    pub digest: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// What it says about its tasks.
    #[schema(value_type = Vec<Object>)]
    pub tasks: Vec<Value>,
    /// Names of the grants its tasks would like to have.
    pub asks_for: Vec<String>,
    /// The same, each with whether it is granted.
    pub wants: Vec<WantView>,
    /// All that is granted to its tasks.
    pub can_reach: Vec<String>,
    /// Names of the interfaces it imports.
    pub imports: Vec<String>,
    /// Whether the module ran this very component already; no version was made then.
    pub unchanged: bool,
    /// Where it runs already.
    pub live: Live,
}

/// Something that tasks want.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WantView {
    /// What.
    pub want: String,
    /// Whether all that want it have it.
    pub granted: bool,
    /// The line of the configuration that would grant it.
    pub line: Option<String>,
}

/// How many workers have a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Live {
    /// Workers that run.
    pub workers: u32,
    /// Those that have it.
    pub live: u32,
    /// How long that took, milliseconds.
    pub after_ms: u64,
}

/// Which version is to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackWish {
    /// The version; without it the one before the current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 4_294_967_295u64)]
    pub version: Option<u32>,
    /// The version by the name its author gave it; not beside `version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "1.4.0", max_length = 64)]
    pub release: Option<String>,
}

/// A version that runs in the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolledBack {
    /// The module.
    pub module: String,
    /// The version that ran before.
    pub from: u32,
    /// The version that runs now.
    pub version: u32,
    /// Its component.
    pub digest: String,
    /// Where it runs already.
    pub live: Live,
}

/// A module that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Removed {
    /// The module.
    pub module: String,
    /// Where it is gone already.
    pub live: Live,
}
