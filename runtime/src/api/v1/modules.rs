//! `/v1/tenants/{tenant}/modules`: pushed, listed, rolled back and removed.

use super::caller::Caller;
use super::sent::{Asked, At, Page, Sent};
use super::versions::{self, PushWish};
use super::{Plane, Problem, trouble};
use crate::plane::{
    Failure, Live, ModuleView, Modules, Pushed, Removed, RollbackWish, RolledBack, VersionView,
    Versions, WantView,
};
use crate::platform::Tenant;
use crate::policy::access::Action;
use crate::registry::{self, Digest, LiveReport, ModuleInfo, VersionInfo};
use crate::task::ModuleName;
use axum::Json;
use axum::extract::State;
use celeriac_sandbox::{TaskInfo, UPLOAD_BYTES, Want};
use serde_json::{Value, json};
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The types of a component.
const WASM: [&str; 2] = ["application/wasm", "application/octet-stream"];

pub(super) fn router() -> OpenApiRouter<Plane> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(push, list_versions, remove))
        .routes(routes!(rollback))
}

/// Lists the modules of a tenant
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/modules",
    tag = "modules",
    operation_id = "list_modules",
    params(("tenant" = String, Path, description = "The tenant"), Page),
    responses((status = 200, description = "A page of them, by name", body = Modules)),
)]
async fn list(
    State(plane): State<Plane>,
    caller: Caller,
    At(tenant): At<String>,
    Asked(page): Asked<Page>,
) -> Result<Json<Modules>, Problem> {
    let tenant = caller.tenant(Action::ReadModules, &tenant).await?;
    let all = plane.registry.modules(&tenant.name).await;
    let mut all = all.map_err(trouble::registry)?;
    all.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    let (some, next) = page.cut(all, |module| module.name.to_string())?;
    let modules = some.iter().map(module_view).collect();
    Ok(Json(Modules { modules, next }))
}

/// Pushes a component as the newest version of a module
///
/// The answer tells what the component exports, asks for and would be able to reach. It is
/// compiled first, which may take a while.
#[utoipa::path(
    put,
    path = "/v1/tenants/{tenant}/modules/{module}",
    tag = "modules",
    operation_id = "push_module",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("module" = String, Path, description = "The module: its tasks are MODULE.TASK"),
        PushWish,
    ),
    request_body(
        content = crate::plane::Component,
        content_type = "application/wasm",
        description = "The component, at most 32 MiB",
    ),
    responses(
        (status = 200, description = "It is a version, and the current one where `runs` says so", body = Pushed),
        (status = 409, description = "`breaks_callers`, `killed`, `limit_reached`, `quota_exceeded`, `already_exists`, `conflict`", body = Failure),
        (status = 422, description = "`component_refused`", body = Failure),
        (status = 503, description = "`storage_full`", body = Failure),
    ),
)]
async fn push(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, module)): At<(String, String)>,
    Asked(wish): Asked<PushWish>,
    sent: Sent,
) -> Result<Json<Pushed>, Problem> {
    let tenant = caller.tenant(Action::ChangeModules, &tenant).await?;
    let name = named(&module)?;
    let wishes = wish.read()?;
    sent.is(&WASM)?;
    let _room = plane.0.uploads.room(caller.identity().tenant.as_ref())?;
    let component = sent.bytes(UPLOAD_BYTES).await?;
    let mut unheard = |_| {};
    let registry = plane.registry.changed_by(caller.actor());
    let pushed = registry.push_as(&tenant.name, &name, component, &wishes, &mut unheard);
    let pushed = pushed.await.map_err(trouble::registry)?;
    let live = plane.live(pushed.generation).await?;
    Ok(Json(report(&plane, &tenant, pushed, live)))
}

/// Lists the versions of a module
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/modules/{module}",
    tag = "modules",
    operation_id = "list_versions",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("module" = String, Path, description = "The module"),
        Page,
    ),
    responses((status = 200, description = "A page of them, the newest first", body = Versions)),
)]
async fn list_versions(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, module)): At<(String, String)>,
    Asked(page): Asked<Page>,
) -> Result<Json<Versions>, Problem> {
    let tenant = caller.tenant(Action::ReadModules, &tenant).await?;
    let name = known(&module)?;
    let all = plane.registry.versions(&tenant.name, &name).await;
    // Keys grow along the list, and so does what is left of the numbers.
    let key = |one: &VersionInfo| format!("{:010}", u32::MAX.saturating_sub(one.version));
    let (some, next) = page.cut(all.map_err(trouble::registry)?, key)?;
    Ok(Json(Versions {
        name: name.to_string(),
        versions: some.iter().map(version_view).collect(),
        next,
    }))
}

/// Makes an earlier version of a module the current one
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/modules/{module}/rollback",
    tag = "modules",
    operation_id = "rollback_module",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("module" = String, Path, description = "The module"),
    ),
    request_body = Option<RollbackWish>,
    responses(
        (status = 200, description = "It runs", body = RolledBack),
        (status = 409, description = "`conflict`", body = Failure),
    ),
)]
async fn rollback(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, module)): At<(String, String)>,
    sent: Sent,
) -> Result<Json<RolledBack>, Problem> {
    let tenant = caller.tenant(Action::ChangeModules, &tenant).await?;
    let name = known(&module)?;
    let wish: RollbackWish = sent.maybe_json().await?;
    let number = match (&wish.release, wish.version) {
        (Some(_), Some(_)) => {
            let what = "version and release name a version both";
            return Err(Problem::invalid(what, "send one of them"));
        }
        (Some(release), None) => {
            Some(versions::number(&plane, (&tenant.name, &name), release).await?)
        }
        (None, number) => number,
    };
    let registry = plane.registry.changed_by(caller.actor());
    let moved = registry.rollback(&tenant.name, &name, number).await;
    let moved = moved.map_err(trouble::registry)?;
    Ok(Json(RolledBack {
        module: name.to_string(),
        from: moved.from,
        version: moved.version,
        digest: digest(&moved.digest),
        live: plane.live(moved.generation).await?,
    }))
}

/// Takes a module away with all its versions
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}/modules/{module}",
    tag = "modules",
    operation_id = "remove_module",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("module" = String, Path, description = "The module"),
    ),
    responses((status = 200, description = "Calls of its tasks fail from now on", body = Removed)),
)]
async fn remove(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, module)): At<(String, String)>,
) -> Result<Json<Removed>, Problem> {
    let tenant = caller.tenant(Action::ChangeModules, &tenant).await?;
    let name = known(&module)?;
    let registry = plane.registry.changed_by(caller.actor());
    let generation = registry.remove(&tenant.name, &name).await;
    let generation = generation.map_err(trouble::registry)?;
    Ok(Json(Removed {
        module: name.to_string(),
        live: plane.live(generation).await?,
    }))
}

impl Plane {
    /// Waits until running workers have a generation, and tells how many do.
    pub(super) async fn live(&self, generation: u64) -> Result<Live, Problem> {
        let live = self.registry.wait_live(generation, LIVE).await;
        Ok(live_view(live.map_err(trouble::registry)?))
    }
}

/// How long a change waits for running workers to have it (20 s): those that follow from
/// elsewhere compile it themselves.
pub(super) const LIVE: Duration = Duration::from_secs(20);

pub(super) fn live_view(live: LiveReport) -> Live {
    Live {
        workers: live.workers,
        live: live.live,
        after_ms: u64::try_from(live.after.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Reads the name of a module that shall be.
fn named(text: &str) -> Result<ModuleName, Problem> {
    text.parse()
        .map_err(|error| Problem::invalid(format!("{error}"), "push it under another name"))
}

/// Reads the name of a module that is: one that cannot be is not there.
pub(super) fn known(text: &str) -> Result<ModuleName, Problem> {
    text.parse().map_err(|_| Problem::not_found("module", text))
}

fn report(plane: &Plane, tenant: &Tenant, pushed: registry::Pushed, live: Live) -> Pushed {
    let (can_reach, wants) = (plane.reach)(tenant, &pushed.module, &pushed.tasks);
    let wants = wants.into_iter().map(|(want, found)| {
        let granted = found == Want::Granted;
        let line = match found {
            Want::Missing(line) => Some(line),
            Want::Granted | Want::Unknown => None,
        };
        WantView {
            want,
            granted,
            line,
        }
    });
    Pushed {
        module: pushed.module.to_string(),
        version: pushed.version,
        release: versions::named(pushed.release.as_ref()),
        runs: pushed.runs,
        before: pushed.before.map(versions::before_view),
        changes: versions::changes_view(pushed.changes),
        breaks: versions::findings(&pushed.breaks),
        digest: digest(&pushed.digest),
        bytes: pushed.bytes,
        tasks: tasks(&pushed.tasks),
        asks_for: pushed.asks_for,
        wants: wants.collect(),
        can_reach,
        imports: pushed.imports,
        unchanged: pushed.unchanged,
        live,
    }
}

fn module_view(module: &ModuleInfo) -> ModuleView {
    ModuleView {
        name: module.name.to_string(),
        version: module.version,
        release: versions::named(module.release.as_ref()),
        pinned: module.pinned,
        canary: module.canary.as_ref().map(versions::canary_view),
        digest: digest(&module.digest),
        bytes: module.bytes,
        pushed_at: module.pushed_at.to_string(),
        tasks: tasks(&module.tasks),
        imports: module.imports.clone(),
    }
}

fn version_view(version: &VersionInfo) -> VersionView {
    VersionView {
        version: version.version,
        release: versions::named(version.release.as_ref()),
        breaks: versions::findings(&version.breaks),
        digest: digest(&version.digest),
        bytes: version.bytes,
        pushed_at: version.pushed_at.to_string(),
        tasks: tasks(&version.tasks),
        current: version.current,
    }
}

/// Shows tasks; their defaults and schemas are texts of JSON, so that no digit is lost.
fn tasks(tasks: &[TaskInfo]) -> Vec<Value> {
    tasks.iter().map(|task| json!(task)).collect()
}

pub(super) fn digest(digest: &Digest) -> String {
    format!("sha256:{}", digest.hex())
}
