//! What one attempt does by HTTP: its grant, its counts and its log.

use super::address::Network;
use super::lookups::{Asker, LOOKUPS_OF_ATTEMPT};
use super::policy::Target;
use super::{Egress, EgressLimits, HttpGrant, HttpUse};
use crate::defence::{Defence, stands};
use crate::grants::Injection;
use crate::log::LogBook;
use crate::uses::Use;
use hyper::Method;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::Error;

/// How long a request waits for one under way to end (5 s). It ends at all because
/// a guest may wait for a request while it holds the answers of all others.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Outgoing HTTP of one attempt.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) egress: Egress,
    grant: HttpGrant,
    /// Headers that the host adds for some servers.
    inject: Vec<Injection>,
    /// Where the operator writes grants; see [`crate::Grants::place`].
    place: String,
    log: LogBook,
    deadline: Instant,
    slots: Arc<Semaphore>,
    /// Whom lookups of names are for.
    pub(super) asker: Asker,
    requests: AtomicU64,
    denied: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// Headers with secrets that were sent.
    pub(super) secrets: AtomicU64,
    /// What was done before, by earlier calls of the same attempt; the counts above go on
    /// from it.
    before: HttpUse,
    /// Whether the limit of requests was told already.
    is_told_requests: AtomicBool,
    /// Whether a limit of bytes was told already.
    is_told: AtomicBool,
    /// Whether the limit of lookups was told already.
    is_told_lookups: AtomicBool,
}

/// A direction in which bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
}

impl Session {
    pub(crate) fn new(
        egress: Egress,
        grant: HttpGrant,
        place: String,
        log: LogBook,
        deadline: Instant,
    ) -> Self {
        Self {
            asker: Asker::new(&place),
            grant,
            inject: Vec::new(),
            place,
            log,
            deadline,
            slots: Arc::new(Semaphore::new(match stands(Defence::InFlight) {
                true => egress.0.settings.limits.concurrent,
                false => Semaphore::MAX_PERMITS,
            })),
            requests: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            secrets: AtomicU64::new(0),
            before: HttpUse::default(),
            is_told_requests: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
            is_told_lookups: AtomicBool::new(false),
            egress,
        }
    }

    /// Adds headers to requests for some servers.
    pub(crate) fn with_headers(mut self, inject: Vec<Injection>) -> Self {
        self.inject = inject;
        self
    }

    /// Goes on from what earlier calls of the same attempt used.
    pub(crate) fn after(mut self, earlier: Use) -> Self {
        self.before = HttpUse {
            requests: earlier.calls.saturating_add(earlier.denied),
            denied: earlier.denied,
            bytes_in: earlier.bytes_in,
            bytes_out: earlier.bytes_out,
        };
        self.requests = AtomicU64::new(self.before.requests);
        self.denied = AtomicU64::new(self.before.denied);
        self.bytes_in = AtomicU64::new(self.before.bytes_in);
        self.bytes_out = AtomicU64::new(self.before.bytes_out);
        self
    }

    /// Returns the headers to be added to requests for a target.
    pub(super) fn injected(&self, target: &Target) -> impl Iterator<Item = &Injection> {
        let scheme = if target.is_secure { "https" } else { "http" };
        let (host, port) = (target.host.to_string(), target.port);
        let inject = self.inject.iter();
        inject.filter(move |one| one.is_for(scheme, &host, port))
    }

    /// Returns how many headers with secrets were sent.
    pub(crate) fn secrets(&self) -> u64 {
        self.secrets.load(Ordering::Relaxed)
    }

    /// Returns what was done so far, without what was before it.
    pub(crate) fn used(&self) -> HttpUse {
        let since =
            |count: &AtomicU64, before| count.load(Ordering::Relaxed).saturating_sub(before);
        HttpUse {
            requests: since(&self.requests, self.before.requests),
            denied: since(&self.denied, self.before.denied),
            bytes_in: since(&self.bytes_in, self.before.bytes_in),
            bytes_out: since(&self.bytes_out, self.before.bytes_out),
        }
    }

    pub(super) fn limits(&self) -> &EgressLimits {
        &self.egress.0.settings.limits
    }

    /// Shortens a span to what is left of the attempt.
    pub(super) fn within(&self, span: Duration) -> Duration {
        span.min(self.deadline.saturating_duration_since(Instant::now()))
    }

    /// Counts a request, and says whether it may be made as far as its words tell.
    pub(super) fn admit(
        &self,
        method: &Method,
        scheme: &str,
        authority: &str,
    ) -> Result<Target, Error> {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        let most = self.limits().requests;
        if before >= most && stands(Defence::Requests) {
            self.denied.fetch_add(1, Ordering::Relaxed);
            if !self.is_told_requests.swap(true, Ordering::Relaxed) {
                self.tell(&format!(
                    "no more than {most} requests by HTTP for one attempt; http.requests in the operator's configuration raises it"
                ));
            }
            return Err(Error::HttpRequestDenied);
        }
        // A tunnel would be a way around the judgement; a trace would show a guest
        // the headers that the host adds.
        let is_other = [Method::CONNECT, Method::TRACE].contains(method);
        if is_other && stands(Defence::Methods) {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let target = Target::read(scheme, authority).ok_or(Error::HttpRequestUriInvalid)?;
        let is_granted = self.grant.hosts.iter().any(|host| host.fits(&target));
        if is_granted || !stands(Defence::Hosts) {
            return Ok(target);
        }
        let granted = self.grant.hosts.iter().map(ToString::to_string);
        Err(self.deny(
            &format!("no grant to reach {target}"),
            "http",
            granted.chain([target.pattern()]),
        ))
    }

    /// Tells whether an address may be connected to although it is special; a server
    /// of the worker's own only where it is named alone.
    pub(super) fn is_granted(&self, ip: IpAddr, is_own: bool) -> bool {
        let fits = |network: &Network| network.has(ip) && (network.is_single() || !is_own);
        self.grant.private.iter().any(fits)
    }

    /// Denies a connection to an address that is special.
    pub(super) fn deny_address(&self, target: &Target, ip: IpAddr, what: &str) -> Error {
        let granted = self.grant.private.iter().map(ToString::to_string);
        self.deny(
            &format!("no grant to reach {target} at {ip}, {what} address"),
            "http_private",
            granted.chain([Network::from(ip).to_string()]),
        )
    }

    fn deny(&self, words: &str, key: &str, line: impl Iterator<Item = String>) -> Error {
        self.denied.fetch_add(1, Ordering::Relaxed);
        if self.place.is_empty() {
            self.tell(words);
        } else {
            let line: Vec<String> = line.collect();
            self.tell(&format!(
                "{words}; the operator's configuration would allow it by {} {key} = {line:?}",
                self.place
            ));
        }
        Error::HttpRequestDenied
    }

    /// Tells the operator that a grant was used.
    pub(super) fn note(&self, target: &Target, status: u16) {
        tracing::debug!(grant = self.place, %target, status, "sent by HTTP");
    }

    /// Writes a line into the log of the attempt.
    pub(super) fn tell(&self, words: &str) {
        let grant = ("grant".to_owned(), "http".to_owned());
        self.log.warn(words, &[grant]);
    }

    /// Tells that a name waits for the lookups of others to end.
    pub(super) fn tell_of_lookups(&self) {
        if !self.is_told_lookups.swap(true, Ordering::Relaxed) {
            self.tell(&format!(
                "{LOOKUPS_OF_ATTEMPT} names are being looked up, the most at once for one attempt, those included that it gave up; this is fixed, and a further name waits"
            ));
        }
    }

    /// Waits for a place among the requests under way.
    pub(super) async fn slot(&self) -> Result<OwnedSemaphorePermit, Error> {
        let slot = Arc::clone(&self.slots).acquire_owned();
        if let Ok(Ok(slot)) = tokio::time::timeout(self.within(PATIENCE), slot).await {
            return Ok(slot);
        }
        let most = self.limits().concurrent;
        self.tell(&format!(
            "{most} requests by HTTP are under way, the most for one attempt, and none has ended; read or drop their answers; http.in_flight in the operator's configuration raises it"
        ));
        Err(Error::ConnectionLimitReached)
    }

    /// Returns how many more bytes may go a way.
    pub(super) fn left(&self, way: Way) -> u64 {
        let defence = match way {
            Way::In => Defence::BytesIn,
            Way::Out => Defence::BytesOut,
        };
        if !stands(defence) {
            return u64::MAX;
        }
        let (count, most) = self.bytes(way);
        most.saturating_sub(count.load(Ordering::Relaxed))
    }

    /// Counts bytes that went a way.
    pub(super) fn count(&self, way: Way, bytes: usize) {
        let (count, _) = self.bytes(way);
        count.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns what a guest hears whose bytes are used up.
    pub(super) fn over(&self, way: Way) -> Error {
        let (_, most) = self.bytes(way);
        let (verb, key) = match way {
            Way::In => ("received", "http.bytes_in"),
            Way::Out => ("sent", "http.bytes_out"),
        };
        if !self.is_told.swap(true, Ordering::Relaxed) {
            self.tell(&format!(
                "{most} bytes were {verb} by HTTP, the most for one attempt; {key} in the operator's configuration raises it"
            ));
        }
        match way {
            Way::In => Error::HttpResponseBodySize(Some(most)),
            Way::Out => Error::HttpRequestBodySize(Some(most)),
        }
    }

    fn bytes(&self, way: Way) -> (&AtomicU64, u64) {
        match way {
            Way::In => (&self.bytes_in, self.limits().bytes_in),
            Way::Out => (&self.bytes_out, self.limits().bytes_out),
        }
    }
}
