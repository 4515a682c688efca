//! `GET /health/live` and `GET /health/ready`.
//!
//! Live means that the process answers. Ready means that it can take work: the
//! broker answered lately, the registry can be read, and no stop has begun.

use super::{Api, json};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::time::Duration;

/// How long ago the last round trip to the broker may be (10 s): a worker
/// without work asks again every few seconds.
pub const FETCH_AGE: Duration = Duration::from_secs(10);
/// Longest look at the registry (2 s): a probe must answer before its prober
/// gives up.
const PROBE: Duration = Duration::from_secs(2);

/// Whether a worker can take work, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether all checks are good.
    pub ready: bool,
    /// The broker answered lately.
    pub broker: Check,
    /// The registry can be read.
    pub registry: Check,
    /// No stop has begun.
    pub running: Check,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Whether it is good.
    pub ok: bool,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    fn good() -> Self {
        Self {
            ok: true,
            detail: None,
        }
    }

    fn bad(detail: String) -> Self {
        Self {
            ok: false,
            detail: Some(detail),
        }
    }
}

/// Decides whether a worker is ready.
#[must_use]
pub fn readiness(
    since_fetched: Option<Duration>,
    registry: Result<(), String>,
    stopping: bool,
) -> Readiness {
    let broker = match since_fetched {
        None => Check::bad("no answer from the broker yet".to_owned()),
        Some(age) if age < FETCH_AGE => Check::good(),
        Some(age) => Check::bad(format!("no answer from the broker for {} s", age.as_secs())),
    };
    let registry = registry.map_or_else(Check::bad, |()| Check::good());
    let running = match stopping {
        true => Check::bad("the worker is draining".to_owned()),
        false => Check::good(),
    };
    Readiness {
        ready: broker.ok && registry.ok && running.ok,
        broker,
        registry,
        running,
    }
}

/// Answers as long as the process does.
pub(super) async fn live() -> Response {
    json(StatusCode::OK, &serde_json::json!({"live": true}))
}

/// Answers 200 when the worker can take work, else 503 with the reasons.
pub(super) async fn ready(State(api): State<Api>) -> Response {
    let registry = tokio::time::timeout(PROBE, (api.registry)())
        .await
        .unwrap_or_else(|_| {
            Err(format!(
                "the registry did not answer within {} s",
                PROBE.as_secs()
            ))
        });
    let readiness = readiness(
        api.metrics.since_fetched(),
        registry,
        api.shutdown.is_stopping(),
    );
    let status = match readiness.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    json(status, &readiness)
}
