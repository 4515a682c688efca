//! What every request goes through: it gets an id and its turn, is counted and logged, and
//! what goes wrong with it gets its words.

use super::{Plane, Problem};
use crate::api::edge::{Peer, Turn};
use crate::plane::{Code, Failure, Fault};
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http_body::{Frame, SizeHint};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// The header of the id, of requests and answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header in which proxies name who asks.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Longest id of a request that is taken over (64 bytes).
const ID_BYTES: usize = 64;
/// What requests that no route takes are counted as.
const NO_ROUTE: &str = "none";

/// The id of a request, as answers and log lines have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct RequestId(Arc<str>);

impl RequestId {
    /// Takes over the id of a request where it is harmless, else makes one.
    fn of(headers: &HeaderMap) -> Self {
        let harmless = |id: &&str| {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            (1..=ID_BYTES).contains(&id.len()) && id.chars().all(good)
        };
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        match given.filter(harmless) {
            Some(id) => Self(id.into()),
            None => Self::random(),
        }
    }

    /// Makes one.
    pub(super) fn random() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)).into())
    }

    /// Returns it as text.
    #[must_use]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Puts this before a router.
pub(in crate::api) fn front(router: Router, plane: Plane) -> Router {
    router.layer(from_fn_with_state(plane, pass))
}

async fn pass(State(plane): State<Plane>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = RequestId::of(request.headers());
    let method = word(request.method());
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.clone());
    // A test without a connection has no peer.
    let guard = peer.as_ref().map(|peer| Guard::new(&peer.turn));
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    request.extensions_mut().insert(id.clone());
    let turned_away = turned_away(&plane, peer.as_ref(), request.headers());
    let response = match turned_away {
        Err(problem) => problem.into_response(),
        Ok(()) => AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            // The log has it already, from the hook of panics.
            .unwrap_or_else(|_| Problem::internal("a bug: the handler panicked").into_response()),
    };
    let response = worded(response, &id);
    let status = response.status().as_u16();
    plane
        .metrics
        .answered(&route, method, status, begun.elapsed());
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(
        request.id = id.as_str(),
        method,
        route,
        status,
        ms,
        "answered"
    );
    response.map(|body| Body::new(Guarded { body, guard }))
}

/// Tells why a request is not even looked at.
fn turned_away(plane: &Plane, peer: Option<&Peer>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(peer) = peer else {
        return Ok(());
    };
    if peer.is_over {
        plane.metrics.refused("connections");
        return Err(Problem::new(
            Code::TooBusy,
            format!(
                "{} connections are open, and there may be no more",
                plane.limits.connections
            ),
            "try again in a moment, over few connections",
        )
        .after(std::time::Duration::from_secs(1)));
    }
    plane.address_pace(address(plane, peer, headers))
}

/// Returns who asks: behind a proxy whom that names last, as others may have written the
/// rest.
fn address(plane: &Plane, peer: &Peer, headers: &HeaderMap) -> IpAddr {
    let own = peer.address.ip();
    if !plane.limits.proxy {
        return own;
    }
    let named = headers.get_all(FORWARDED_FOR).iter().next_back();
    let named = named.and_then(|named| named.to_str().ok()?.rsplit(',').next());
    let named = named.and_then(|last| last.trim().parse().ok());
    named.unwrap_or(own)
}

/// Writes out what went wrong, and what every answer has.
fn worded(mut response: Response, id: &RequestId) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if let Some(detail) = &problem.detail {
            let code = problem.code.text();
            tracing::warn!(
                request.id = id.as_str(),
                code,
                detail,
                "a request was not done"
            );
        }
        let told = Failure {
            error: Fault {
                code: problem.code,
                message: problem.message,
                hint: problem.hint,
                request_id: id.as_str().to_owned(),
            },
        };
        let text = serde_json::to_string(&told).unwrap_or_default();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if problem.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(problem.code, Code::TooBusy | Code::RequestTimeout) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(wait) = problem.retry_after {
            let seconds = wait.as_secs().max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        *response.body_mut() = Body::from(text);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, id);
    }
    // Answers hold tokens and what one tenant alone may see.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Names a method so that a stranger cannot make up labels.
fn word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Our turn on a connection, as long as it is held.
#[derive(Debug)]
struct Guard(Arc<Turn>);

impl Guard {
    fn new(turn: &Arc<Turn>) -> Self {
        turn.begin();
        Self(Arc::clone(turn))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The body of an answer: the turn is ours until its end.
struct Guarded {
    body: Body,
    guard: Option<Guard>,
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) {
            self.guard = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
