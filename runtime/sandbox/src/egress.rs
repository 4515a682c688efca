//! Outgoing HTTP: every request of a guest goes through here, and nothing else
//! of it leaves the machine.
//!
//! The path of one request: [`policy`] reads where it goes and compares it with
//! the grant; [`session`] counts it and gives it a place among those under way;
//! [`resolve`] looks the name up once, when [`lookups`] has a turn for it; [`connect`] drops every [`address`] that is
//! not of the public internet, connects to one that is left, and speaks TLS with
//! the name; [`exchange`] sends the request and [`body`] hands the answer over.
//! All of it ends with the attempt. Redirects are not followed: a guest that does
//! begins again at the first step.

mod address;
mod body;
mod connect;
mod exchange;
mod lookups;
mod policy;
mod resolve;
mod session;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

pub use address::Network;
pub(crate) use exchange::Begun;
pub use policy::HostPattern;
pub(crate) use session::Session;

use crate::error::SandboxError;
use bytes::Bytes;
use resolve::Resolver;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tls::Trust;

const MIB: u64 = 1 << 20;
/// Bytes of the headers of one request or answer (32 KiB): four times what
/// servers take.
pub(crate) const HEADER_BYTES: usize = 32 << 10;

/// What a guest may reach by HTTP; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpGrant {
    /// The hosts.
    pub hosts: Vec<HostPattern>,
    /// Addresses that may be connected to although they are not of the public
    /// internet. A server of the worker's own (its broker, its results) is reached
    /// only where its address stands here alone, not within a larger network.
    pub private: Vec<Network>,
}

/// What one attempt may use of HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressLimits {
    /// Requests, denied ones included (100): more is a job for several tasks.
    pub requests: u64,
    /// Requests under way at once, until their answers are read or dropped (8).
    pub concurrent: usize,
    /// Bytes sent, headers and TLS included (16 MiB): as much as a message.
    pub bytes_out: u64,
    /// Bytes received, likewise (64 MiB): as much as the memory of a guest.
    pub bytes_in: u64,
    /// Time for a name, a connection and TLS together (10 s).
    pub connect: Duration,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            requests: 100,
            concurrent: 8,
            bytes_out: 16 * MIB,
            bytes_in: 64 * MIB,
            connect: Duration::from_secs(10),
        }
    }
}

/// How a worker sends what guests send by HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressSettings {
    /// What one attempt may use.
    pub limits: EgressLimits,
    /// A file of further authorities whose certificates are trusted, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Servers of the worker's own, by name or address, and port.
    pub own: Vec<(String, u16)>,
}

/// What all attempts share to send by HTTP. Cheap to clone.
///
/// It grants nothing: that is for [`HttpGrant`].
#[derive(Debug, Clone)]
pub struct Egress(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: EgressSettings,
    resolver: Resolver,
    trust: Trust,
}

impl Egress {
    /// Prepares what attempts share.
    ///
    /// # Errors
    /// [`SandboxError::Authorities`] when the file of authorities cannot be used.
    pub fn new(settings: EgressSettings) -> Result<Self, SandboxError> {
        let trust = Trust::new(settings.ca_file.as_deref())?;
        Ok(Self::over(settings, Resolver::system(), trust))
    }

    /// Prepares what attempts share in a process that was told whom to trust, and reads no
    /// files for that.
    #[must_use]
    pub fn trusting(settings: EgressSettings, authorities: Vec<Bytes>) -> Self {
        let owned = |one: Bytes| CertificateDer::from(Vec::from(one));
        let trust = Trust::of(authorities.into_iter().map(owned).collect());
        Self::over(settings, Resolver::system(), trust)
    }

    /// Returns the certificates of all who are trusted, for such a process. The first time
    /// it reads files.
    #[must_use]
    pub fn authorities(&self) -> Vec<Bytes> {
        let authorities = self.0.trust.authorities();
        authorities.map(|one| Bytes::copy_from_slice(one)).collect()
    }

    /// Returns what it was made with, for a process that is to have the same.
    #[must_use]
    pub fn settings(&self) -> &EgressSettings {
        &self.0.settings
    }

    /// Reads the authorities that the machine trusts, so that the first request
    /// does not wait for it, and so that a process which gives up its files later
    /// has them.
    pub fn prepare(&self) {
        // What is wrong with them is told by the requests that need them.
        drop(self.0.trust.config());
    }

    fn over(settings: EgressSettings, resolver: Resolver, trust: Trust) -> Self {
        Self(Arc::new(Shared {
            settings,
            resolver,
            trust,
        }))
    }
}

impl Default for Egress {
    /// Returns the one with default settings.
    fn default() -> Self {
        static DEFAULT: LazyLock<Egress> = LazyLock::new(|| {
            let settings = EgressSettings::default();
            Egress::over(settings, Resolver::system(), Trust::default())
        });
        DEFAULT.clone()
    }
}

/// What an attempt did by HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HttpUse {
    /// Requests it made, denied ones included.
    pub(crate) requests: u64,
    /// Those that were denied.
    pub(crate) denied: u64,
    /// Bytes received, headers and TLS included.
    pub(crate) bytes_in: u64,
    /// Bytes sent, likewise.
    pub(crate) bytes_out: u64,
}
