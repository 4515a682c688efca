//! `/v1/tenants`: made, listed, changed, suspended, resumed and deleted.

use super::caller::Caller;
use super::sent::{Asked, At, Page, Sent};
use super::{Plane, Problem, trouble};
use crate::plane::{Failure, TenantChange, TenantEnd, TenantView, TenantWish, Tenants};
use crate::platform::{PlatformError, Tenant, Terms};
use crate::policy::access::Action;
use crate::task::{Scope, TenantName};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Plane> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change, delete))
        .routes(routes!(suspend))
        .routes(routes!(resume))
}

/// Lists tenants
#[utoipa::path(
    get,
    path = "/v1/tenants",
    tag = "tenants",
    operation_id = "list_tenants",
    params(Page),
    responses((status = 200, description = "A page of them, by name", body = Tenants)),
)]
async fn list(
    State(plane): State<Plane>,
    caller: Caller,
    Asked(page): Asked<Page>,
) -> Result<Json<Tenants>, Problem> {
    caller.may(Action::ListTenants)?;
    let limit = page.limit()?;
    let after = page.after.as_deref().map(cursor).transpose()?;
    let all = plane.platform.tenants(after.as_ref(), page.limit).await;
    let all = all.map_err(trouble::platform)?;
    // A page that is full may be the last one; the next is empty then.
    let is_last = all.len() < limit;
    let next = all.last().filter(|_| !is_last);
    let next = next.map(|tenant| tenant.name.to_string());
    let tenants = all.iter().map(|tenant| view(tenant, &caller));
    Ok(Json(Tenants {
        tenants: tenants.collect::<Result<_, _>>()?,
        next,
    }))
}

/// Makes a tenant
#[utoipa::path(
    post,
    path = "/v1/tenants",
    tag = "tenants",
    operation_id = "create_tenant",
    request_body = TenantWish,
    responses(
        (status = 201, description = "It is there", body = TenantView),
        (status = 409, description = "`already_exists`, `limit_reached`", body = Failure),
    ),
)]
async fn create(
    State(plane): State<Plane>,
    caller: Caller,
    sent: Sent,
) -> Result<(StatusCode, Json<TenantView>), Problem> {
    caller.may(Action::ManageTenants)?;
    let wish: TenantWish = sent.json().await?;
    let mut terms = Terms::default();
    apply(&mut terms, wish.terms.unwrap_or_default());
    let actor = caller.actor();
    let made = plane.platform.create_tenant(&actor, &wish.name, terms);
    let tenant = made.await.map_err(trouble::platform)?;
    Ok((StatusCode::CREATED, Json(view(&tenant, &caller)?)))
}

/// Shows a tenant
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}",
    tag = "tenants",
    operation_id = "get_tenant",
    params(("tenant" = String, Path, description = "Its name")),
    responses((status = 200, description = "The tenant", body = TenantView)),
)]
async fn show(caller: Caller, At(tenant): At<String>) -> Result<Json<TenantView>, Problem> {
    let tenant = caller.tenant(Action::ReadTenant, &tenant).await?;
    Ok(Json(view(&tenant, &caller)?))
}

/// Changes a tenant
#[utoipa::path(
    patch,
    path = "/v1/tenants/{tenant}",
    tag = "tenants",
    operation_id = "change_tenant",
    params(("tenant" = String, Path, description = "Its name")),
    request_body = TenantChange,
    responses((status = 200, description = "What it is now", body = TenantView)),
)]
async fn change(
    State(plane): State<Plane>,
    caller: Caller,
    At(tenant): At<String>,
    sent: Sent,
) -> Result<Json<TenantView>, Problem> {
    let tenant = managed(&caller, &tenant)?;
    let wish: TenantChange = sent.json().await?;
    let actor = caller.actor();
    let changed = plane.platform.change_tenant(&actor, &tenant, |terms| {
        apply(terms, wish);
        Ok(())
    });
    answer(changed.await, &caller)
}

/// Makes the tasks of a tenant wait
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/suspend",
    tag = "tenants",
    operation_id = "suspend_tenant",
    params(("tenant" = String, Path, description = "Its name")),
    responses((status = 200, description = "They wait", body = TenantView)),
)]
async fn suspend(
    State(plane): State<Plane>,
    caller: Caller,
    At(tenant): At<String>,
) -> Result<Json<TenantView>, Problem> {
    let tenant = managed(&caller, &tenant)?;
    let actor = caller.actor();
    let suspended = plane.platform.suspend_tenant(&actor, &tenant);
    answer(suspended.await, &caller)
}

/// Lets the tasks of a tenant go on
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/resume",
    tag = "tenants",
    operation_id = "resume_tenant",
    params(("tenant" = String, Path, description = "Its name")),
    responses((status = 200, description = "They go on", body = TenantView)),
)]
async fn resume(
    State(plane): State<Plane>,
    caller: Caller,
    At(tenant): At<String>,
) -> Result<Json<TenantView>, Problem> {
    let tenant = managed(&caller, &tenant)?;
    let actor = caller.actor();
    let resumed = plane.platform.resume_tenant(&actor, &tenant);
    answer(resumed.await, &caller)
}

/// Deletes a tenant with its tokens
///
/// It must be suspended and have no modules, unless it is forced.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}",
    tag = "tenants",
    operation_id = "delete_tenant",
    params(("tenant" = String, Path, description = "Its name"), TenantEnd),
    responses(
        (status = 204, description = "It is gone"),
        (status = 409, description = "`conflict`", body = Failure),
    ),
)]
async fn delete(
    State(plane): State<Plane>,
    caller: Caller,
    At(name): At<String>,
    Asked(end): Asked<TenantEnd>,
) -> Result<StatusCode, Problem> {
    let tenant = managed(&caller, &name)?;
    let modules = plane.registry.modules(&tenant).await;
    let modules = modules.map_err(trouble::registry)?;
    if !modules.is_empty() && !end.force && !tenant.is_default() {
        return Err(trouble::platform(PlatformError::Refused {
            reason: format!(
                "tenant \"{tenant}\" has {} modules; remove them first, or force its removal",
                modules.len()
            ),
        }));
    }
    let actor = caller.actor();
    let deleted = plane.platform.delete_tenant(&actor, &tenant, end.force);
    // Its modules go in the same transaction.
    deleted.await.map_err(trouble::platform)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks that somebody manages tenants, and reads the name of one. Whoever does not hears
/// nothing of the name.
fn managed(caller: &Caller, name: &str) -> Result<TenantName, Problem> {
    caller.may(Action::ManageTenants)?;
    name.parse().map_err(|_| Problem::not_found("tenant", name))
}

fn cursor(text: &str) -> Result<TenantName, Problem> {
    text.parse().map_err(|_| {
        Problem::invalid(
            "`after` is no name of a tenant",
            "give the `next` of a page",
        )
    })
}

fn answer(
    tenant: Result<Tenant, PlatformError>,
    caller: &Caller,
) -> Result<Json<TenantView>, Problem> {
    let tenant = tenant.map_err(trouble::platform)?;
    Ok(Json(view(&tenant, caller)?))
}

fn apply(terms: &mut Terms, change: TenantChange) {
    let TenantChange {
        weight,
        quota,
        ceiling,
        may,
        broker,
        result_backend,
    } = change;
    terms.weight = weight.unwrap_or(terms.weight);
    terms.quota = quota.unwrap_or_else(|| terms.quota.clone());
    terms.ceiling = ceiling.unwrap_or_else(|| terms.ceiling.clone());
    terms.may = may.unwrap_or_else(|| terms.may.clone());
    terms.broker = broker.unwrap_or_else(|| terms.broker.clone());
    terms.result_backend = result_backend.unwrap_or_else(|| terms.result_backend.clone());
}

/// Shows a tenant; where its messages are, to operators alone.
fn view(tenant: &Tenant, caller: &Caller) -> Result<TenantView, Problem> {
    let view = serde_json::from_value(tenant.document());
    let mut view: TenantView = view.map_err(Problem::internal)?;
    if caller.identity().scope != Scope::Operator {
        (view.broker, view.result_backend) = (None, None);
    }
    Ok(view)
}
