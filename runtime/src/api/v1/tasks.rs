//! `/v1/tenants/{tenant}/tasks`: called, looked at, waited for, followed and revoked.

mod refused;

use super::caller::Caller;
use super::sent::{Asked, At, BODY_BYTES, Sent, read};
use super::{Plane, Problem};
use crate::app::calls::Follow;
use crate::plane::{
    CallRequest, Called, Failure, RevokeRequest, TaskRevoked, TaskStatus, WAIT_SECONDS,
};
use crate::platform::CallKey;
use crate::policy::access::Action;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{Stream, StreamExt as _, unfold};
use refused::problem;
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The header of the idempotency key.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of the last event that a caller has.
const LAST: HeaderName = HeaderName::from_static("last-event-id");
/// How often a stream says that it is there (15 s): a caller that went away is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) fn router() -> OpenApiRouter<Plane> {
    OpenApiRouter::new()
        .routes(routes!(call))
        .routes(routes!(status))
        .routes(routes!(events))
        .routes(routes!(revoke))
}

/// Calls a task
///
/// Its arguments are compared with what the task takes before anything is sent. With the
/// header `Idempotency-Key` the same request calls it once, however often it is sent
/// within 24 hours.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/tasks",
    tag = "tasks",
    operation_id = "call_task",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible characters of ASCII",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$",
        ),
    ),
    request_body = CallRequest,
    responses(
        (status = 202, description = "It waits in its queue", body = Called),
        (status = 403, description = "`tenant_suspended`", body = Failure),
        (status = 409, description = "`killed`, `key_reused`, `limit_reached`, `conflict`", body = Failure),
        (status = 422, description = "`arguments_refused`", body = Failure),
        (status = 429, description = "`queue_full`", body = Failure),
    ),
)]
async fn call(
    State(plane): State<Plane>,
    caller: Caller,
    At(tenant): At<String>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<(StatusCode, Json<Called>), Problem> {
    let tenant = caller.tenant(Action::CallTasks, &tenant).await?;
    let key = key(&headers)?;
    sent.is(&["application/json"])?;
    let body = sent.bytes(BODY_BYTES).await?;
    let request: CallRequest = read(&body)?;
    let called = plane.calls.call(&tenant, &request, key.as_ref(), &body);
    Ok((StatusCode::ACCEPTED, Json(called.await.map_err(problem)?)))
}

fn key(headers: &HeaderMap) -> Result<Option<CallKey>, Problem> {
    let mut given = headers.get_all(KEY).iter();
    let (Some(one), more) = (given.next(), given.next()) else {
        return Ok(None);
    };
    let key = one.to_str().ok().filter(|_| more.is_none());
    match key.and_then(CallKey::parse) {
        Some(key) => Ok(Some(key)),
        None => Err(Problem::invalid(
            "the Idempotency-Key cannot be used",
            "send one, of 1 to 255 visible characters of ASCII, such as a UUID",
        )),
    }
}

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wait {
    /// Seconds to wait at most until the task is over, up to 60.
    #[param(minimum = 0, maximum = 60)]
    wait: Option<u64>,
}

/// Tells the state and result of a task
///
/// With `wait`, when it is over or that time has passed.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/tasks/{id}",
    tag = "tasks",
    operation_id = "get_task",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("id" = String, Path, description = "The id of the task"),
        Wait,
    ),
    responses(
        (status = 200, description = "What is known of it", body = TaskStatus),
        (status = 409, description = "`no_results`, `conflict`, `limit_reached`", body = Failure),
        (status = 429, description = "`too_many_waiting`", body = Failure),
    ),
)]
async fn status(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, id)): At<(String, String)>,
    Asked(asked): Asked<Wait>,
) -> Result<Json<TaskStatus>, Problem> {
    let tenant = caller.tenant(Action::ReadTasks, &tenant).await?;
    let wait = asked.wait.filter(|wait| *wait > 0);
    if let Some(wait) = wait.filter(|wait| *wait > WAIT_SECONDS) {
        return Err(Problem::invalid(
            format!("wait is {wait}; at most {WAIT_SECONDS} seconds are allowed"),
            "wait for less, and ask again",
        ));
    }
    let look = |wait| plane.calls.status(&tenant, &id, wait);
    let told = match wait.map(Duration::from_secs) {
        None => look(None).await,
        wait => tokio::select! {
            told = look(wait) => told,
            () = plane.shutdown.stopping() => look(None).await,
        },
    };
    Ok(Json(told.map_err(problem)?))
}

/// Streams what happens to a task
///
/// Events are `state`, `progress`, `log` (a line of the log, once an attempt has ended)
/// and at last `result`, after which the stream ends. Whoever comes again with the header
/// `Last-Event-ID` gets what is new.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/tasks/{id}/events",
    tag = "tasks",
    operation_id = "follow_task",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("id" = String, Path, description = "The id of the task"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event"),
    ),
    responses(
        (
            status = 200, description = "Server-sent events, each with JSON",
            body = String, content_type = "text/event-stream",
        ),
        (status = 409, description = "`no_results`, `conflict`, `limit_reached`", body = Failure),
        (status = 429, description = "`too_many_waiting`", body = Failure),
    ),
)]
async fn events(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, id)): At<(String, String)>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, Problem> {
    let tenant = caller.tenant(Action::ReadTasks, &tenant).await?;
    let last = headers.get(LAST).and_then(|last| last.to_str().ok());
    let follow = plane.calls.follow(&tenant, &id, last);
    let follow = follow.await.map_err(problem)?;
    let stream = unfold(follow, next).take_until(Box::pin(plane.shutdown.stopping()));
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

async fn next(mut follow: Follow) -> Option<(Result<Event, Infallible>, Follow)> {
    let event = follow.next().await?;
    let event = Event::default()
        .id(event.id)
        .event(event.kind)
        .data(event.data);
    Some((Ok(event), follow))
}

/// Revokes a task
///
/// What waits is not run; with `terminate` what runs is ended.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/tasks/{id}/revoke",
    tag = "tasks",
    operation_id = "revoke_task",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("id" = String, Path, description = "The id of the task"),
    ),
    request_body = Option<RevokeRequest>,
    responses(
        (status = 202, description = "Workers were told", body = TaskRevoked),
        (status = 409, description = "`conflict`, `limit_reached`", body = Failure),
    ),
)]
async fn revoke(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, id)): At<(String, String)>,
    sent: Sent,
) -> Result<(StatusCode, Json<TaskRevoked>), Problem> {
    let tenant = caller.tenant(Action::RevokeTasks, &tenant).await?;
    let wish: RevokeRequest = sent.maybe_json().await?;
    let revoked = plane.calls.revoke(&tenant, &id, wish.terminate);
    Ok((StatusCode::ACCEPTED, Json(revoked.await.map_err(problem)?)))
}
