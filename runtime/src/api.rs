//! The HTTP edges: that of a worker, with metrics and health, and that of the control
//! plane, [`v1`] behind [`edge`].
//!
//! A worker's knows what the process tells about itself, and nothing of tasks.

mod connections;
mod edge;
mod health;
mod metrics;
pub mod v1;

pub use connections::CONNECTIONS;
pub use edge::{Limits, Tls, TlsError, serve};
pub use health::{Check, FETCH_AGE, Readiness, readiness};

use crate::telemetry::Metrics;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use connections::Bounded;
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What the answers are made of.
#[derive(Clone)]
pub struct Api {
    metrics: Arc<Metrics>,
    registry: Arc<Probe>,
    shutdown: crate::shutdown::Shutdown,
}

/// Asks whether the registry can be read.
pub type Probe = dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync;

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// Makes the edge of a worker; `registry` asks whether the registry can be read.
    #[must_use]
    pub fn new(
        metrics: Arc<Metrics>,
        registry: Arc<Probe>,
        shutdown: crate::shutdown::Shutdown,
    ) -> Self {
        Self {
            metrics,
            registry,
            shutdown,
        }
    }

    fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics::scrape))
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .fallback(|| async {
                json(
                    StatusCode::NOT_FOUND,
                    &serde_json::json!({"code": "not_found"}),
                )
            })
            .with_state(self)
    }

    /// Serves until `end` resolves, then finishes the answers under way.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve(
        self,
        listener: TcpListener,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        axum::serve(Bounded::new(listener), self.router())
            .with_graceful_shutdown(end)
            .await
    }
}

fn json(status: StatusCode, document: &impl serde::Serialize) -> Response {
    let text = serde_json::to_string(document).unwrap_or_default();
    let kind = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
mod tests;
