//! What workers ask a control plane for, and what they tell it.

use super::{EndsView, KillView};
use crate::task::{Ceiling, Quota, TenantName, Weight};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use utoipa::{IntoParams, ToSchema};

/// Longest time that a worker can ask to wait for news (30 s).
pub const NEWS_SECONDS: u64 = 30;
/// Most components that are described at once.
pub const DESCRIBED: usize = 256;
/// Most canaries that a worker tells of at once.
pub const ENDS: usize = 1_000;
/// Longest id and name of a worker, bytes.
pub const WORKER_BYTES: usize = 255;

/// What a worker knows of modules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ModulesKnown {
    /// Whose numbers it knows; without it nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 64)]
    pub installation: Option<String>,
    /// The generation that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Seconds to wait for another one at most, up to 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 0, maximum = 30)]
    pub wait: Option<u64>,
}

/// What a worker knows of kills and tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrdersKnown {
    /// Whose numbers it knows; without it nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 64)]
    pub installation: Option<String>,
    /// How many changes of kills it obeys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kills: Option<u64>,
    /// How many changes of tenants it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<u64>,
    /// Seconds to wait for more at most, up to 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 0, maximum = 30)]
    pub wait: Option<u64>,
}

/// What a worker has heard of components that are being pushed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ComingKnown {
    /// The number that it heard last; without it all are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Seconds to wait for another one at most, up to 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 0, maximum = 30)]
    pub wait: Option<u64>,
}

/// Components that are being pushed, and may be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerComing {
    /// Moves with every component that is announced; begins anew with the server.
    pub number: u64,
    /// All that are being pushed now, at most 8.
    pub components: Vec<ComingView>,
}

/// A component that is being pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ComingView {
    /// By whom.
    pub tenant: TenantName,
    /// The component, `sha256:` and 64 digits.
    pub digest: String,
    /// Its size, bytes.
    pub bytes: u64,
}

/// Where all modules of all tenants point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerModules {
    /// Names the installation: numbers of another mean nothing.
    pub installation: String,
    /// Moves with every change.
    pub generation: u64,
    /// All modules; null where the worker has this generation.
    pub modules: Option<Vec<WorkerModule>>,
}

/// Where a module points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerModule {
    /// Whose it is.
    pub tenant: TenantName,
    /// Its name.
    pub name: String,
    /// Whether it stays where it is, whatever is pushed.
    pub pinned: bool,
    /// The version that runs.
    pub current: WorkerVersion,
    /// The version that gets a share of the tasks.
    pub canary: Option<WorkerCanary>,
}

/// A version that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerVersion {
    /// Its number.
    pub version: u32,
    /// What its author calls it.
    pub release: Option<String>,
    /// The component, `sha256:` and 64 digits.
    pub digest: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// When it was pushed, milliseconds since 1970.
    pub pushed_at_ms: i64,
}

/// A version that gets a share of the tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerCanary {
    /// The version.
    pub version: WorkerVersion,
    /// The share, hundredths of a percent.
    pub share_parts: u16,
    /// Runs that end before it is judged.
    pub runs: u64,
    /// How much worse it may be, hundredths of a percent.
    pub points_parts: u16,
    /// When it began, milliseconds since 1970.
    pub began_at_ms: i64,
}

/// What must not run, and whom to serve how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerOrders {
    /// Names the installation: numbers of another mean nothing.
    pub installation: String,
    /// Moves with every kill and every end of one.
    pub kills_number: u64,
    /// Moves with every change of a tenant; null where the worker knows another one and
    /// tenants are told with the next answer.
    pub tenants_number: Option<u64>,
    /// All kills; null where the worker obeys them.
    pub kills: Option<Vec<KillView>>,
    /// All tenants; null where the worker knows them.
    pub tenants: Option<Vec<WorkerTenant>>,
}

/// A tenant as workers serve it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerTenant {
    /// Its name.
    pub name: TenantName,
    /// When it was made, milliseconds since 1970.
    pub created_at_ms: i64,
    /// Whether its tasks wait.
    pub suspended: bool,
    /// Its share of the cores.
    pub weight: Weight,
    /// How much it may use.
    pub quota: Quota,
    /// The most that one attempt may have.
    pub ceiling: Ceiling,
    /// What its modules may reach at most.
    pub may: Vec<String>,
    /// Where its messages are, with the password; null: where the worker's configuration says.
    pub broker: Option<String>,
    /// Where its results are, likewise.
    pub result_backend: Option<String>,
}

// Addresses have passwords in them.
impl fmt::Debug for WorkerTenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerTenant")
            .field("name", &self.name)
            .field("suspended", &self.suspended)
            .finish_non_exhaustive()
    }
}

/// Components that shall be described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DescribeWish {
    /// The components, each 64 digits with or without `sha256:`.
    #[schema(max_items = 256)]
    pub digests: Vec<String>,
}

/// What components say about themselves; those that nobody has are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Described {
    /// The components.
    pub components: Vec<ComponentView>,
}

/// What a component says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ComponentView {
    /// The component, `sha256:` and 64 digits.
    pub digest: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// What it says about its tasks.
    #[schema(value_type = Vec<Object>)]
    pub tasks: Vec<Value>,
    /// Names of the interfaces it imports.
    pub imports: Vec<String>,
}

/// A worker that runs, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerPresence {
    /// Its id: a UUID that it made.
    #[schema(min_length = 1, max_length = 255)]
    pub id: String,
    /// Its name for people.
    #[schema(max_length = 255)]
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// When it started, milliseconds since 1970.
    pub started_at_ms: i64,
    /// The generation of modules that it has loaded.
    pub generation: u64,
    /// How many changes of kills it obeys.
    pub kills: u64,
    /// Whether one of the two is new: somebody may wait for it.
    #[serde(default)]
    pub news: bool,
}

/// Runs beside canaries that ended in a worker since it told last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryReport {
    /// Each canary.
    #[schema(max_items = 1_000)]
    pub canaries: Vec<WorkerEnds>,
}

/// Runs beside one canary that ended in a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerEnds {
    /// Whose module it is.
    pub tenant: TenantName,
    /// The module.
    #[schema(max_length = 255)]
    pub module: String,
    /// The version that is the canary.
    pub version: u32,
    /// Runs of it.
    pub canary: EndsView,
    /// Runs of the current version.
    pub current: EndsView,
    /// Why this worker cannot load it, where it cannot: then it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512)]
    pub unfit: Option<String>,
}

/// What a worker told was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Noted {
    /// It always is.
    pub noted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_of_a_worker_shows_no_password() {
        let tenant = WorkerTenant {
            name: "acme".parse().unwrap(),
            created_at_ms: 0,
            suspended: false,
            weight: Weight::default(),
            quota: Quota::default(),
            ceiling: Ceiling::default(),
            may: Vec::new(),
            broker: Some("amqp://acme:s3cret@h/acme".to_owned()),
            result_backend: None,
        };
        assert!(!format!("{tenant:?}").contains("s3cret"));
        let text = serde_json::to_string(&tenant).unwrap();
        assert_eq!(serde_json::from_str::<WorkerTenant>(&text).unwrap(), tenant);
    }
}
