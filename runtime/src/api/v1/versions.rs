//! `/v1/tenants/{tenant}/modules/{module}/canary` and `/pin`: which version runs, and for
//! whom.

use super::caller::Caller;
use super::modules::known;
use super::sent::{At, Sent};
use super::{Plane, Problem, trouble};
use crate::plane::{
    BeforeView, Canary, CanaryOrder, CanaryView, CanaryWish, ChangesView, EndsView, Failure,
    FindingView, PinWish, Pinned,
};
use crate::policy::access::Action;
use crate::policy::canary::{Ends, Rule};
use crate::policy::compat::{Changes, Finding};
use crate::registry::{self, Before, CanaryInfo, Wishes};
use crate::task::{ModuleName, Portion, Release, TenantName, Wanted};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Plane> {
    OpenApiRouter::new()
        .routes(routes!(canary, steer))
        .routes(routes!(pin))
}

/// How a component is to be taken in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PushWish {
    /// Take it although callers of the current version would break.
    #[serde(default)]
    #[param(required = false)]
    breaking: bool,
    /// Call this version so; it must be higher than the current one's.
    #[param(example = "1.4.0", max_length = 64)]
    version: Option<String>,
    /// Take a `version` that is not higher than the current one's.
    #[serde(default)]
    #[param(required = false)]
    allow_older: bool,
    /// Give it only this share of the tasks, as a canary.
    #[param(example = "5%", max_length = 16)]
    canary: Option<String>,
    /// Runs of the canary that end before it is judged; 20 unless told otherwise.
    canary_runs: Option<u64>,
    /// How many points more of the canary's runs may fail than of the current version's.
    #[param(example = "5%", max_length = 16)]
    canary_points: Option<String>,
    /// Tell what it would change, and publish nothing.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

impl PushWish {
    pub(super) fn read(&self) -> Result<Wishes, Problem> {
        let release = self.version.as_deref().map(str::parse::<Release>);
        let release = release.transpose().map_err(wrong)?;
        let share = self.canary.as_deref().map(str::parse::<Portion>);
        let share = share.transpose().map_err(wrong)?;
        let points = self.canary_points.as_deref().map(str::parse::<Portion>);
        let points = points.transpose().map_err(wrong)?;
        let usual = Rule::default();
        let rule = Rule {
            runs: self.canary_runs.unwrap_or(usual.runs),
            points: points.unwrap_or(usual.points),
        };
        Ok(Wishes {
            release,
            older: self.allow_older,
            breaking: self.breaking,
            canary: share.map(|share| (share, rule)),
            dry: self.dry_run,
        })
    }
}

fn wrong(error: impl std::fmt::Display) -> Problem {
    Problem::invalid(error.to_string(), "give another value")
}

/// Shows the last canary of a module
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/modules/{module}/canary",
    tag = "modules",
    operation_id = "get_canary",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("module" = String, Path, description = "The module"),
    ),
    responses((status = 200, description = "How its runs end", body = Canary)),
)]
async fn canary(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, module)): At<(String, String)>,
) -> Result<Json<Canary>, Problem> {
    let tenant = caller.tenant(Action::ReadModules, &tenant).await?;
    let name = known(&module)?;
    let canary = plane.registry.canary(&tenant.name, &name).await;
    Ok(Json(Canary {
        module: name.to_string(),
        canary: canary.map_err(trouble::registry)?.as_ref().map(canary_view),
        live: None,
    }))
}

/// Gives the canary of a module another share, promotes or ends it
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/modules/{module}/canary",
    tag = "modules",
    operation_id = "steer_canary",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("module" = String, Path, description = "The module"),
    ),
    request_body = CanaryWish,
    responses(
        (status = 200, description = "It is done", body = Canary),
        (status = 409, description = "`conflict`", body = Failure),
    ),
)]
async fn steer(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, module)): At<(String, String)>,
    sent: Sent,
) -> Result<Json<Canary>, Problem> {
    let tenant = caller.tenant(Action::ChangeModules, &tenant).await?;
    let name = known(&module)?;
    let wish: CanaryWish = sent.json().await?;
    let order = match (wish.order, wish.share.as_deref()) {
        (CanaryOrder::To, Some(share)) => registry::CanaryOrder::To(share.parse().map_err(wrong)?),
        (CanaryOrder::Promote, None) => registry::CanaryOrder::Promote,
        (CanaryOrder::Abort, None) => registry::CanaryOrder::Abort,
        (CanaryOrder::To, None) => return Err(wrong("there is no share")),
        (CanaryOrder::Promote | CanaryOrder::Abort, Some(_)) => {
            return Err(wrong("only `to` takes a share"));
        }
    };
    let registry = plane.registry.changed_by(caller.actor());
    let changed = registry.steer(&tenant.name, &name, order).await;
    let changed = changed.map_err(trouble::registry)?;
    let canary = plane.registry.canary(&tenant.name, &name).await;
    Ok(Json(Canary {
        module: name.to_string(),
        canary: canary.map_err(trouble::registry)?.as_ref().map(canary_view),
        live: Some(plane.live(changed.generation).await?),
    }))
}

/// Keeps a version of a module the current one, whatever is pushed, or ends that
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/modules/{module}/pin",
    tag = "modules",
    operation_id = "pin_module",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("module" = String, Path, description = "The module"),
    ),
    request_body = Option<PinWish>,
    responses((status = 200, description = "It is done", body = Pinned)),
)]
async fn pin(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, module)): At<(String, String)>,
    sent: Sent,
) -> Result<Json<Pinned>, Problem> {
    let tenant = caller.tenant(Action::ChangeModules, &tenant).await?;
    let name = known(&module)?;
    let wish: PinWish = sent.maybe_json().await?;
    let number = match &wish.version {
        None => None,
        Some(wanted) => Some(number(&plane, (&tenant.name, &name), wanted).await?),
    };
    let registry = plane.registry.changed_by(caller.actor());
    let pinned = registry.pin(&tenant.name, &name, number).await;
    let pinned = pinned.map_err(trouble::registry)?;
    Ok(Json(Pinned {
        module: name.to_string(),
        version: pinned.version,
        pinned: number.is_some(),
        live: plane.live(pinned.generation).await?,
    }))
}

/// Returns the number of the version that somebody names by its number or its name.
pub(super) async fn number(
    plane: &Plane,
    (tenant, module): (&TenantName, &ModuleName),
    text: &str,
) -> Result<u32, Problem> {
    let wanted = text.parse::<Wanted>().map_err(wrong)?;
    let number = plane.registry.number(tenant, module, &wanted).await;
    number.map_err(trouble::registry)
}

pub(super) fn canary_view(canary: &CanaryInfo) -> CanaryView {
    let ends = |Ends { ended, failed }| EndsView { ended, failed };
    CanaryView {
        version: canary.version,
        share: canary.share.to_string(),
        state: canary.state.word().to_owned(),
        reason: canary.reason.clone(),
        began_at: canary.began_at.to_string(),
        canary: ends(canary.canary),
        current: ends(canary.current),
    }
}

pub(super) fn before_view(before: Before) -> BeforeView {
    BeforeView {
        version: before.version,
        release: named(before.release.as_ref()),
        bytes: before.bytes,
    }
}

pub(super) fn changes_view(changes: Changes) -> ChangesView {
    let Changes {
        added,
        removed,
        changed,
    } = changes;
    ChangesView {
        added,
        removed,
        changed,
    }
}

pub(super) fn findings(breaks: &[Finding]) -> Vec<FindingView> {
    let view = |finding: &Finding| FindingView {
        task: finding.task.clone(),
        parameter: finding.parameter.clone(),
        breaks: finding.breaks.word().to_owned(),
        seen: finding.seen.clone(),
    };
    breaks.iter().map(view).collect()
}

pub(super) fn named(release: Option<&Release>) -> Option<String> {
    release.map(ToString::to_string)
}
