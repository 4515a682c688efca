//! `GET /health/live`, `GET /health/ready` and `GET /metrics`.
//!
//! Live means that the process answers. Ready means that it can do what it is asked: its
//! database answers, and no stop has begun.

use super::caller::Caller;
use super::{Plane, Problem, trouble};
use crate::plane::{Alive, Look, Ready};
use crate::policy::access::Action;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest look at the database (2 s): a probe must answer before its prober gives up.
const PROBE: Duration = Duration::from_secs(2);
/// The media type of the OpenMetrics text form.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn router() -> OpenApiRouter<Plane> {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(metrics))
}

/// Tells whether the process lives
///
/// It answers as long as it does.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    security(()),
    responses((status = 200, description = "It lives", body = Alive)),
)]
async fn live() -> Json<Alive> {
    Json(Alive { live: true })
}

/// Tells whether requests can be done
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "They can", body = Ready),
        (status = 503, description = "They cannot, and why", body = Ready),
    ),
)]
async fn ready(State(plane): State<Plane>) -> Response {
    let looked = tokio::time::timeout(PROBE, look(&plane)).await;
    let database = match looked {
        Ok(Ok(())) => None,
        Ok(Err(problem)) => {
            let detail = problem.detail.unwrap_or_default();
            tracing::warn!(detail, "the control plane is not ready");
            Some("it does not answer; the log says why")
        }
        Err(_) => Some("it does not answer within 2 s"),
    };
    let stopping = plane.shutdown.is_stopping();
    let running = stopping.then_some("the server is stopping");
    let ready = Ready {
        ready: database.is_none() && running.is_none(),
        database: Look::new(database),
        running: Look::new(running),
    };
    let status = match ready.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(ready)).into_response()
}

/// Asks both rooms anything: their rows may be in two databases.
async fn look(plane: &Plane) -> Result<(), Problem> {
    let modules = plane.registry.generation().await;
    modules.map_err(trouble::registry)?;
    let tenants = plane.platform.generation().await;
    tenants.map_err(trouble::platform)?;
    Ok(())
}

/// Lists what the server counts, in OpenMetrics' text form
///
/// For tokens of operators and workers.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((
        status = 200,
        description = "All metrics",
        body = String,
        content_type = "application/openmetrics-text",
    )),
)]
async fn metrics(State(plane): State<Plane>, caller: Caller) -> Result<Response, Problem> {
    caller.may(Action::ReadMetrics)?;
    let kind = HeaderValue::from_static(OPEN_METRICS);
    Ok(([(header::CONTENT_TYPE, kind)], plane.metrics.encode()).into_response())
}
