//! The HTTP edge of the control plane, `/v1`: who asks, may they, and the answer in the
//! words of [`crate::plane`].
//!
//! Each file of routes has a `router()`, which [`routes`] joins; their handlers find all
//! they need in [`Plane`]. A request goes through `front` first: it has an id, its
//! address a rate, and whatever goes wrong one form.

mod audit;
mod caller;
mod front;
mod health;
mod kills;
mod modules;
mod news;
mod openapi;
mod pace;
mod problem;
mod sent;
mod tasks;
mod tenants;
mod tokens;
mod trouble;
mod uploads;
mod usage;
mod versions;
mod worker;

pub(in crate::api) use front::front;
pub use openapi::document;
pub use problem::Problem;

use super::edge::Limits;
use crate::app::calls::Calls;
use crate::clock::Clock;
use crate::plane::Code;
use crate::platform::{Identity, Platform, Tenant, TokenId};
use crate::registry::Registry;
use crate::shutdown::Shutdown;
use crate::task::ModuleName;
use crate::telemetry::EdgeMetrics;
use axum::Router;
use celeriac_sandbox::{TaskInfo, Want};
use pace::Paces;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use uploads::Uploads;
use utoipa_axum::router::OpenApiRouter;

/// Everything that handlers answer from. A cheap handle: clones share everything.
#[derive(Debug, Clone)]
pub struct Plane(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    tokens: Paces<TokenId>,
    addresses: Paces<IpAddr>,
    uploads: Uploads,
}

/// Tells what tasks of a module can reach, and for all that they want whether they have it.
pub type Reach = dyn Fn(&Tenant, &ModuleName, &[TaskInfo]) -> (Vec<String>, BTreeMap<String, Want>)
    + Send
    + Sync;

/// What a [`Plane`] is made of.
pub struct Parts {
    /// Modules.
    pub registry: Registry,
    /// Tenants, tokens and the audit.
    pub platform: Platform,
    /// What tasks can reach.
    pub reach: Arc<Reach>,
    /// What calls tasks.
    pub calls: Calls,
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
        let limits = &parts.limits;
        Self(Arc::new(Inner {
            tokens: Paces::new(limits.token_per_minute),
            addresses: Paces::new(limits.address_per_minute),
            uploads: Uploads::default(),
            parts,
        }))
    }

    /// Counts a request of a token.
    fn token_pace(&self, identity: &Identity) -> Result<(), Problem> {
        let taken = self.0.tokens.take(identity.token.clone());
        taken.map_err(|wait| self.too_often("token_requests", self.limits.token_per_minute, wait))
    }

    /// Counts a request of an address.
    fn address_pace(&self, address: IpAddr) -> Result<(), Problem> {
        let taken = self.0.addresses.take(pace::network(address));
        let most = self.limits.address_per_minute;
        taken.map_err(|wait| self.too_often("address_requests", most, wait))
    }

    fn too_often(&self, limit: &'static str, most: u32, wait: Duration) -> Problem {
        self.metrics.refused(limit);
        let problem = Problem::new(
            Code::RateLimited,
            format!("more than {most} requests in a minute"),
            "wait as long as Retry-After says",
        );
        problem.after(wait.max(Duration::from_secs(1)))
    }
}

impl Deref for Plane {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// All routes, each with its page of the document.
fn routes() -> OpenApiRouter<Plane> {
    OpenApiRouter::with_openapi(openapi::head())
        .merge(health::router())
        .merge(openapi::router())
        .merge(tasks::router())
        .merge(tenants::router())
        .merge(tokens::router())
        .merge(modules::router())
        .merge(versions::router())
        .merge(kills::router())
        .merge(worker::router())
        .merge(audit::router())
        .merge(usage::router())
}

/// The router of a control plane.
pub(super) fn router(plane: Plane) -> Router {
    let (router, _) = routes().split_for_parts();
    let router = router
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method);
    front(router.with_state(plane.clone()), plane)
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod stand;
#[cfg(test)]
mod tests;
