//! The HTTP edge of the control plane, `/v1`: who asks, may they, and the answer in the
//! words of [`crate::plane`].
//!
//! Each file of routes has a `router()`, which [`routes`] joins; their handlers find all
//! they need in [`Plane`]. A request goes through [`front`] first: it has an id, its
//! address a rate, and whatever goes wrong one form.

mod front;
mod health;
mod openapi;
mod problem;

pub(in crate::api) use front::front;
pub use openapi::document;
pub use problem::Problem;

use super::edge::Limits;
use crate::clock::Clock;
use crate::registry::Registry;
use crate::shutdown::Shutdown;
use crate::telemetry::EdgeMetrics;
use axum::Router;
use std::ops::Deref;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// Everything that handlers answer from. A cheap handle: clones share everything.
#[derive(Debug, Clone)]
pub struct Plane(Arc<Parts>);

/// What a [`Plane`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// Modules.
    pub registry: Registry,
    /// What time it is.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<EdgeMetrics>,
    /// The stop of the process: whoever waits ends with it.
    pub shutdown: Shutdown,
    /// How much, how often and how long.
    pub limits: Limits,
}

impl Plane {
    /// Puts one together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Plane {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// All routes, each with its page of the document.
fn routes() -> OpenApiRouter<Plane> {
    OpenApiRouter::with_openapi(openapi::head())
        .merge(health::router())
        .merge(openapi::router())
}

/// The router of a control plane.
pub(super) fn router(plane: Plane) -> Router {
    let (router, _) = routes().split_for_parts();
    let router = router
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method);
    front(router.with_state(plane.clone()), plane)
}
