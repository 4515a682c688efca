//! Metrics of the control plane's HTTP edge. None tells of a tenant.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt;
use std::time::Duration;

/// Upper bounds of the histogram, seconds: from a read row to a compilation.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limit {
    limit: &'static str,
}

/// What an edge counts.
pub struct EdgeMetrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    refused: Family<Limit, Counter>,
    connections: Gauge,
}

impl fmt::Debug for EdgeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeMetrics").finish_non_exhaustive()
    }
}

impl Default for EdgeMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl EdgeMetrics {
    /// Makes metrics that stand at zero.
    #[must_use]
    pub fn new() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let mut made = Self {
            registry: Registry::with_prefix("celeriac"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            refused: Family::default(),
            connections: Gauge::default(),
        };
        let registry = &mut made.registry;
        registry.register(
            "http_requests",
            "Requests that were answered",
            made.requests.clone(),
        );
        registry.register(
            "http_request_seconds",
            "Time from the head of a request to that of its answer",
            made.seconds.clone(),
        );
        registry.register(
            "http_refused",
            "Requests and connections that met a limit",
            made.refused.clone(),
        );
        registry.register(
            "http_connections",
            "Connections that are open",
            made.connections.clone(),
        );
        made
    }

    /// Counts an answer. `route` is the path as the router has it, so that there are few.
    pub fn answered(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        let answered = Answered {
            route: route.to_owned(),
            method,
            status,
        };
        self.requests.get_or_create(&answered).inc();
        let route = Route {
            route: route.to_owned(),
        };
        let seconds = self.seconds.get_or_create(&route);
        seconds.observe(took.as_secs_f64());
    }

    /// Counts what met a limit.
    pub fn refused(&self, limit: &'static str) {
        self.refused.get_or_create(&Limit { limit }).inc();
    }

    /// Counts a connection that began.
    pub fn opened(&self) {
        self.connections.inc();
    }

    /// Counts a connection that ended.
    pub fn closed(&self) {
        self.connections.dec();
    }

    /// Writes all in OpenMetrics' text form.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing to a String fails only when a metric refuses to be encoded.
            Err(fmt::Error) => "# EOF\n".to_owned(),
        }
    }
}
