//! `GET /v1/audit`: what was changed, by whom.

use super::caller::Caller;
use super::sent::Asked;
use super::{Plane, Problem, trouble};
use crate::plane::{Audit, AuditEntry, PAGE_DEFAULT};
use crate::platform::{AuditQuery, AuditRow};
use crate::policy::access::Action;
use crate::task::TenantName;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Plane> {
    OpenApiRouter::new().routes(routes!(audit))
}

/// Which part of the audit is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// How many entries at most, 1 to 1000.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 1_000, default = 100, required = false)]
    limit: u32,
    /// What the page before had as `next`.
    #[param(max_length = 512)]
    after: Option<String>,
    /// The changes of one tenant alone; who is no operator sees those of their own.
    tenant: Option<String>,
}

fn default_limit() -> u32 {
    PAGE_DEFAULT
}

/// Lists what was changed, the latest first
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "audit",
    operation_id = "list_audit",
    params(Wanted),
    responses((status = 200, description = "A page of it", body = Audit)),
)]
async fn audit(
    State(plane): State<Plane>,
    caller: Caller,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Audit>, Problem> {
    let page = super::sent::Page {
        limit: wanted.limit,
        after: wanted.after,
    };
    let tenant = whose(&caller, wanted.tenant.as_deref()).await?;
    let limit = page.limit()?;
    let before = page.after.as_deref().map(number).transpose()?;
    let limit_rows = u32::try_from(limit).unwrap_or(u32::MAX);
    let query = AuditQuery {
        tenant,
        before,
        limit: limit_rows,
    };
    let rows = plane.platform.audit(&query).await;
    let rows = rows.map_err(trouble::platform)?;
    // A page that is not full is the last one.
    let next = rows.last().filter(|_| rows.len() >= limit);
    let next = next.map(|row| row.number.to_string());
    Ok(Json(Audit {
        entries: rows.into_iter().map(entry).collect(),
        next,
    }))
}

/// Returns whose changes are listed; `None`: everybody's.
async fn whose(caller: &Caller, wanted: Option<&str>) -> Result<Option<TenantName>, Problem> {
    let own = caller.identity().tenant.as_ref();
    let Some(wanted) = wanted.or(own.map(TenantName::as_str)) else {
        caller.may(Action::ReadWholeAudit)?;
        return Ok(None);
    };
    let tenant = caller.tenant(Action::ReadAudit, wanted).await?;
    Ok(Some(tenant.name))
}

fn number(text: &str) -> Result<i64, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid("`after` is no number", "give the `next` of a page"))
}

fn entry(row: AuditRow) -> AuditEntry {
    let read = |text: Option<String>| serde_json::from_str(&text?).ok();
    AuditEntry {
        number: row.number,
        at: row.at.to_string(),
        who: row.who,
        request_id: row.request,
        action: row.action,
        tenant: row.tenant,
        subject: row.subject,
        was: read(row.was),
        became: read(row.became),
    }
}
