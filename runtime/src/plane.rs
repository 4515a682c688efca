//! The words of the control plane's HTTP API: what is sent and answered, and the codes of
//! what goes wrong. The server, the command line and workers share them; no I/O.
//!
//! Names and codes stay: what is here once is only added to.

mod audit;
mod error;
mod health;
mod kills;
mod modules;
mod page;
mod schemas;
mod tasks;
mod tenants;
mod tokens;
mod usage;
mod versions;
mod worker;

pub use audit::{Audit, AuditEntry};
pub use error::{Code, Failure, Fault};
pub use health::{Alive, Look, Ready};
pub use kills::{KillEnd, KillKind, KillView, KillWish, Killed, Kills};
pub use modules::{
    Component, Live, ModuleView, Modules, Pushed, Removed, RollbackWish, RolledBack, VersionView,
    Versions, WantView,
};
pub use page::{PAGE, PAGE_DEFAULT};
pub use tasks::{
    CallLinks, CallRequest, Called, GrantUse, Raised, RevokeRequest, RunCost, TaskRecord,
    TaskRevoked, TaskStatus, WAIT_SECONDS,
};
pub use tenants::{TenantChange, TenantEnd, TenantView, TenantWish, Tenants};
pub use tokens::{NewTokenView, RotateWish, TokenView, TokenWish, Tokens};
pub use usage::{
    BATCH_ROWS, REST, UsageBatch, UsageBy, UsageEntry, UsagePage, UsagePlace, UsageRow, UsageSums,
    UsageTold, csv, usage_days,
};
pub use versions::{
    BeforeView, Canary, CanaryOrder, CanaryView, CanaryWish, ChangesView, EndsView, FindingView,
    PinWish, Pinned,
};
pub use worker::{
    CanaryReport, ComingKnown, ComingView, ComponentView, DESCRIBED, DescribeWish, Described, ENDS,
    ModulesKnown, NEWS_SECONDS, Noted, OrdersKnown, WORKER_BYTES, WorkerCanary, WorkerComing,
    WorkerEnds, WorkerModule, WorkerModules, WorkerOrders, WorkerPresence, WorkerTenant,
    WorkerVersion,
};
