//! `/v1/worker`: what workers elsewhere follow, fetch and tell. Tokens of workers alone come
//! here, and nowhere else.

use super::caller::Caller;
use super::news::{self, Waiting};
use super::sent::{Asked, At, Sent};
use super::{Plane, Problem, kills, trouble};
use crate::plane::{
    CanaryReport, ComingKnown, ComingView, Component, DESCRIBED, DescribeWish, Described, ENDS,
    ModulesKnown, Noted, OrdersKnown, WORKER_BYTES, WorkerComing, WorkerEnds, WorkerModules,
    WorkerOrders, WorkerPresence, WorkerTenant,
};
use crate::platform::Tenant;
use crate::policy::access::Action;
use crate::policy::canary::Ends;
use crate::registry::{CanaryEnds, Coming, Digest};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Plane> {
    OpenApiRouter::new()
        .routes(routes!(modules))
        .routes(routes!(orders))
        .routes(routes!(coming))
        .routes(routes!(describe))
        .routes(routes!(component))
        .routes(routes!(seen))
        .routes(routes!(left))
        .routes(routes!(ended))
}

/// Tells where all modules point
///
/// At once where that is another generation than the worker has, else when there is one or
/// the wait is over.
#[utoipa::path(
    get,
    path = "/v1/worker/modules",
    tag = "worker",
    operation_id = "follow_modules",
    params(ModulesKnown),
    responses((status = 200, description = "The generation, and all of it where it is another", body = WorkerModules)),
)]
async fn modules(
    State(plane): State<Plane>,
    caller: Caller,
    Asked(known): Asked<ModulesKnown>,
) -> Result<Json<WorkerModules>, Problem> {
    caller.may(Action::Serve)?;
    let mut waiting = Waiting::new(&plane, known.wait)?;
    loop {
        let now = plane.registry.numbers().await.map_err(trouble::registry)?;
        let ours = known.installation.as_ref() == Some(&now.installation);
        if !ours || known.generation != Some(now.generation) {
            break;
        }
        if !waiting.again().await? {
            return Ok(Json(WorkerModules {
                installation: now.installation,
                generation: now.generation,
                modules: None,
            }));
        }
    }
    // What changed since has a generation of its own, which comes with it.
    let (installation, generation, modules) =
        plane.registry.places().await.map_err(trouble::registry)?;
    Ok(Json(WorkerModules {
        installation,
        generation,
        modules: Some(modules),
    }))
}

/// Tells what must not run, and whom to serve how
///
/// At once where the worker has other numbers, else when there are some or the wait is over.
/// Where both have others, it tells what must not run, and whom to serve with the next answer.
/// Addresses have their passwords in them.
#[utoipa::path(
    get,
    path = "/v1/worker/orders",
    tag = "worker",
    operation_id = "follow_orders",
    params(OrdersKnown),
    responses((status = 200, description = "The numbers, and all of what has another: kills first, tenants with the next answer", body = WorkerOrders)),
)]
async fn orders(
    State(plane): State<Plane>,
    caller: Caller,
    Asked(known): Asked<OrdersKnown>,
) -> Result<Json<WorkerOrders>, Problem> {
    caller.may(Action::Serve)?;
    let mut waiting = Waiting::new(&plane, known.wait)?;
    let (now, tenants, stale) = loop {
        let now = plane.registry.numbers().await.map_err(trouble::registry)?;
        let tenants = plane.platform.generation().await;
        let tenants = tenants.map_err(trouble::platform)?.unsigned_abs();
        let ours = known.installation.as_ref() == Some(&now.installation);
        let stale = (
            !ours || known.kills != Some(now.kills),
            !ours || known.tenants != Some(tenants),
        );
        if stale.0 || stale.1 || !waiting.again().await? {
            break (now, tenants, stale);
        }
    };
    let mut told = WorkerOrders {
        installation: now.installation,
        kills_number: now.kills,
        tenants_number: (!stale.1).then_some(tenants),
        kills: None,
        tenants: None,
    };
    // The numbers were read before: what changed in between comes again with its own.
    if stale.0 {
        let all = plane.registry.all_kills().await;
        let all = all.map_err(trouble::registry)?.into_iter();
        told.kills = Some(all.map(kills::view).collect());
    }
    // However much there is to tell of tenants, it keeps no kill from being heard.
    if stale.1 && !stale.0 {
        let (number, all) = plane
            .platform
            .all_tenants()
            .await
            .map_err(trouble::platform)?;
        told.tenants_number = Some(number.unsigned_abs());
        told.tenants = Some(all.into_iter().map(tenant).collect());
    }
    Ok(Json(told))
}

fn tenant(tenant: Tenant) -> WorkerTenant {
    WorkerTenant {
        name: tenant.name,
        created_at_ms: tenant.created_at.as_millisecond(),
        suspended: tenant.suspended,
        weight: tenant.weight,
        quota: tenant.quota,
        ceiling: tenant.ceiling,
        may: tenant.may,
        broker: tenant.broker,
        result_backend: tenant.result_backend,
    }
}

/// Tells which components are being pushed
///
/// At once where there are some and the worker has heard another number, else when one is
/// announced or the wait is over. Each may still be refused: it is there to be compiled
/// beside the control plane, and runs nowhere before a module points to it.
#[utoipa::path(
    get,
    path = "/v1/worker/coming",
    tag = "worker",
    operation_id = "follow_coming",
    params(ComingKnown),
    responses((status = 200, description = "All that are being pushed now", body = WorkerComing)),
)]
async fn coming(
    State(plane): State<Plane>,
    caller: Caller,
    Asked(known): Asked<ComingKnown>,
) -> Result<Json<WorkerComing>, Problem> {
    caller.may(Action::Serve)?;
    let wait = news::span(known.wait)?;
    let mut coming = plane.registry.coming();
    // Another control plane may have told the number, and it has nothing to add.
    let is_news = |now: &Coming| match known.number {
        None => true,
        Some(number) => number != now.number && !now.components.is_empty(),
    };
    let heard = tokio::select! {
        heard = coming.wait_for(is_news) => heard.ok().map(|now| now.clone()),
        () = tokio::time::sleep(wait) => None,
        () = plane.shutdown.stopping() => None,
    };
    let now = heard.unwrap_or_else(|| coming.borrow().clone());
    let components = now.components.into_iter().map(|one| ComingView {
        tenant: one.tenant,
        digest: one.digest.to_string(),
        bytes: one.bytes,
    });
    Ok(Json(WorkerComing {
        number: now.number,
        components: components.collect(),
    }))
}

/// Tells what components say about themselves
#[utoipa::path(
    post,
    path = "/v1/worker/components",
    tag = "worker",
    operation_id = "describe_components",
    request_body = DescribeWish,
    responses((status = 200, description = "Those that are there", body = Described)),
)]
async fn describe(
    State(plane): State<Plane>,
    caller: Caller,
    sent: Sent,
) -> Result<Json<Described>, Problem> {
    caller.may(Action::Serve)?;
    let wish: DescribeWish = sent.json().await?;
    at_most("digests", wish.digests.len(), DESCRIBED)?;
    let digests = wish.digests.iter().map(|text| digest(text));
    let digests: Vec<Digest> = digests.collect::<Result<_, _>>()?;
    let components = plane.registry.descriptions(&digests).await;
    let components = components.map_err(trouble::registry)?;
    Ok(Json(Described { components }))
}

/// Returns the bytes of a component
#[utoipa::path(
    get,
    path = "/v1/worker/components/{digest}",
    tag = "worker",
    operation_id = "fetch_component",
    params(("digest" = String, Path, description = "The component, 64 digits")),
    responses((
        status = 200, description = "Its bytes",
        body = Component, content_type = "application/wasm",
    )),
)]
async fn component(
    State(plane): State<Plane>,
    caller: Caller,
    At(text): At<String>,
) -> Result<Response, Problem> {
    caller.may(Action::Serve)?;
    let nobody = || Problem::not_found("component", &text);
    let digest: Digest = text.parse().map_err(|_| nobody())?;
    if !plane.registry.is_coming(digest) {
        let known = plane.registry.descriptions(&[digest]).await;
        if known.map_err(trouble::registry)?.is_empty() {
            return Err(nobody());
        }
    }
    let bytes = plane.registry.component(digest).await;
    let bytes = bytes.map_err(trouble::registry)?;
    let kind = HeaderValue::from_static("application/wasm");
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

/// Notes that a worker runs, and how far it is
///
/// Workers say so every two seconds, and when they are further: who pushes and kills waits
/// for it.
#[utoipa::path(
    post,
    path = "/v1/worker/presence",
    tag = "worker",
    operation_id = "note_worker",
    request_body = WorkerPresence,
    responses((status = 200, description = "It is noted", body = Noted)),
)]
async fn seen(
    State(plane): State<Plane>,
    caller: Caller,
    sent: Sent,
) -> Result<Json<Noted>, Problem> {
    caller.may(Action::Serve)?;
    let worker: WorkerPresence = sent.json().await?;
    at_most("id", worker.id.len(), WORKER_BYTES)?;
    at_most("name", worker.name.len(), WORKER_BYTES)?;
    plane
        .registry
        .seen(&worker)
        .await
        .map_err(trouble::registry)?;
    Ok(Json(Noted { noted: true }))
}

/// Notes that a worker ended
#[utoipa::path(
    delete,
    path = "/v1/worker/presence/{id}",
    tag = "worker",
    operation_id = "forget_worker",
    params(("id" = String, Path, description = "The id that it gave itself")),
    responses((status = 200, description = "It is noted, whether or not it was there", body = Noted)),
)]
async fn left(
    State(plane): State<Plane>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Json<Noted>, Problem> {
    caller.may(Action::Serve)?;
    plane.registry.left(&id).await.map_err(trouble::registry)?;
    Ok(Json(Noted { noted: true }))
}

/// Adds how runs of canaries ended in a worker
#[utoipa::path(
    post,
    path = "/v1/worker/canaries",
    tag = "worker",
    operation_id = "note_canaries",
    request_body = CanaryReport,
    responses((status = 200, description = "They are added", body = Noted)),
)]
async fn ended(
    State(plane): State<Plane>,
    caller: Caller,
    sent: Sent,
) -> Result<Json<Noted>, Problem> {
    caller.may(Action::Serve)?;
    let report: CanaryReport = sent.json().await?;
    at_most("canaries", report.canaries.len(), ENDS)?;
    for told in report.canaries {
        let unfit = told.unfit.clone();
        let ends = ends(told)?;
        let (tenant, module, version) = (ends.tenant.clone(), ends.module.clone(), ends.version);
        let over = plane.registry.told(ends, unfit.as_deref()).await;
        if let Some(reason) = over.map_err(trouble::registry)? {
            tracing::warn!(%tenant, %module, version, reason, "a canary was aborted by what a worker told");
        }
    }
    Ok(Json(Noted { noted: true }))
}

fn ends(told: WorkerEnds) -> Result<CanaryEnds, Problem> {
    let counted = |view: crate::plane::EndsView| Ends {
        ended: view.ended,
        failed: view.failed,
    };
    let module = told.module.parse();
    let module = module.map_err(|error| {
        Problem::invalid(format!("{error}"), "name the module as it was pushed")
    })?;
    Ok(CanaryEnds {
        tenant: told.tenant,
        module,
        version: told.version,
        canary: counted(told.canary),
        current: counted(told.current),
    })
}

fn digest(text: &str) -> Result<Digest, Problem> {
    text.parse()
        .map_err(|error| Problem::invalid(format!("{error}"), "name components by their digests"))
}

fn at_most(what: &str, number: usize, most: usize) -> Result<(), Problem> {
    match number <= most {
        true => Ok(()),
        false => Err(Problem::invalid(
            format!("{what} has {number}, and {most} is the most"),
            "send less, and the rest with another request",
        )),
    }
}
