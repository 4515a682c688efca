//! `/v1/tenants/{tenant}/kills`: what must not run any more.

use super::caller::Caller;
use super::modules::{LIVE, live_view};
use super::sent::{Asked, At, Page, Sent};
use super::{Plane, Problem, trouble};
use crate::plane::{Failure, KillEnd, KillKind, KillView, KillWish, Killed, Kills};
use crate::policy::access::Action;
use crate::registry::{Aim, Kill};
use crate::task::TenantName;
use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Plane> {
    OpenApiRouter::new().routes(routes!(list, kill, undo))
}

/// Lists what of a tenant must not run
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/kills",
    tag = "kills",
    operation_id = "list_kills",
    params(("tenant" = String, Path, description = "The tenant"), Page),
    responses((status = 200, description = "A page of it, by kind and name", body = Kills)),
)]
async fn list(
    State(plane): State<Plane>,
    caller: Caller,
    At(tenant): At<String>,
    Asked(page): Asked<Page>,
) -> Result<Json<Kills>, Problem> {
    let tenant = caller.tenant(Action::ReadKills, &tenant).await?;
    let all = plane.registry.kills(&tenant.name).await;
    let mut all = all.map_err(trouble::registry)?;
    let key = |kill: &Kill| format!("{}.{}", kill.aim.kind(), kill.aim.name());
    all.sort_by_key(key);
    let (some, next) = page.cut(all, key)?;
    let kills = some.into_iter().map(view).collect();
    Ok(Json(Kills { kills, next }))
}

/// Kills a task, a module, a whole tenant or a component
///
/// Attempts that run end, and calls fail from now on, or wait.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/kills",
    tag = "kills",
    operation_id = "kill",
    params(("tenant" = String, Path, description = "The tenant")),
    request_body = KillWish,
    responses(
        (status = 200, description = "It does not run any more", body = Killed),
        (status = 409, description = "`limit_reached`", body = Failure),
    ),
)]
async fn kill(
    State(plane): State<Plane>,
    caller: Caller,
    At(tenant): At<String>,
    sent: Sent,
) -> Result<Json<Killed>, Problem> {
    let tenant = caller.tenant(Action::Kill, &tenant).await?;
    let wish: KillWish = sent.json().await?;
    let aim = aim(&caller, &tenant.name, wish.kind, &wish.name)?;
    let registry = plane.registry.changed_by(caller.actor());
    let number = registry.kill(aim.clone(), &wish.reason, wish.hold).await;
    let number = number.map_err(trouble::registry)?;
    killed(&plane, &aim, number, false).await
}

/// Allows again what was killed
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}/kills",
    tag = "kills",
    operation_id = "undo_kill",
    params(("tenant" = String, Path, description = "The tenant"), KillEnd),
    responses((status = 200, description = "It may run again", body = Killed)),
)]
async fn undo(
    State(plane): State<Plane>,
    caller: Caller,
    At(tenant): At<String>,
    Asked(end): Asked<KillEnd>,
) -> Result<Json<Killed>, Problem> {
    let tenant = caller.tenant(Action::Kill, &tenant).await?;
    let aim = aim(&caller, &tenant.name, end.kind, &end.name)?;
    let registry = plane.registry.changed_by(caller.actor());
    let undone = registry.unkill(aim.clone()).await;
    let number = undone.map_err(trouble::registry)?;
    let number = number.ok_or_else(|| Problem::not_found("kill of", &end.name))?;
    killed(&plane, &aim, number, true).await
}

async fn killed(
    plane: &Plane,
    aim: &Aim,
    number: u64,
    undone: bool,
) -> Result<Json<Killed>, Problem> {
    let live = plane.registry.wait_obeyed(number, LIVE).await;
    Ok(Json(Killed {
        kind: kind(aim),
        name: aim.name(),
        undone,
        live: live_view(live.map_err(trouble::registry)?),
    }))
}

/// Reads what a kill is about. A component is everybody's: operators alone kill it.
fn aim(caller: &Caller, tenant: &TenantName, kind: KillKind, name: &str) -> Result<Aim, Problem> {
    let unread = |error: String| {
        Problem::invalid(
            error,
            "name a MODULE.TASK, a MODULE, the tenant itself, or 64 digits of a component",
        )
    };
    match kind {
        KillKind::Task => {
            let task = name.parse();
            let task = task.map_err(|error| unread(format!("{error}")))?;
            Ok(Aim::Task(tenant.clone(), task))
        }
        KillKind::Module => {
            let module = name.parse();
            let module = module.map_err(|error| unread(format!("{error}")))?;
            Ok(Aim::Module(tenant.clone(), module))
        }
        KillKind::Tenant if name == tenant.as_str() => Ok(Aim::Tenant(tenant.clone())),
        KillKind::Tenant => Err(unread(format!(
            "the tenant of this path is {:?}",
            tenant.as_str()
        ))),
        KillKind::Digest => {
            caller.may(Action::KillEverywhere)?;
            let digits = name.strip_prefix("sha256:").unwrap_or(name).parse();
            let digits = digits.map_err(|error| unread(format!("{error}")))?;
            Ok(Aim::Digest(digits))
        }
    }
}

pub(super) fn view(kill: Kill) -> KillView {
    KillView {
        tenant: kill.aim.tenant().cloned(),
        kind: kind(&kill.aim),
        name: kill.aim.name(),
        reason: kill.reason,
        hold: kill.hold,
        killed_at: kill.killed_at.to_string(),
    }
}

fn kind(aim: &Aim) -> KillKind {
    match aim {
        Aim::Task(..) => KillKind::Task,
        Aim::Module(..) => KillKind::Module,
        Aim::Tenant(_) => KillKind::Tenant,
        Aim::Digest(_) => KillKind::Digest,
    }
}
