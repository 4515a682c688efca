//! Whom a connection trusts: the authorities of the machine, and those the
//! operator adds.

use super::policy::Host;
use crate::error::SandboxError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The authorities, read when they are first needed.
#[derive(Debug, Default)]
pub(super) struct Trust {
    extra: Vec<CertificateDer<'static>>,
    /// Those of the machine.
    machine: OnceLock<Vec<CertificateDer<'static>>>,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Trust {
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, SandboxError> {
        let extra = match ca_file {
            Some(path) => read(path).map_err(|reason| SandboxError::Authorities {
                path: path.to_owned(),
                reason,
            })?,
            None => Vec::new(),
        };
        Ok(Self {
            extra,
            ..Self::default()
        })
    }

    /// Trusts these and nobody else.
    pub(super) fn of(authorities: Vec<CertificateDer<'static>>) -> Self {
        Self {
            extra: authorities,
            machine: OnceLock::from(Vec::new()),
            config: OnceLock::new(),
        }
    }

    /// Returns all who are trusted. It may read files.
    pub(super) fn authorities(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let machine = self.machine.get_or_init(|| {
            let native = rustls_native_certs::load_native_certs();
            for error in &native.errors {
                tracing::warn!(%error, "an authority of the machine is not trusted for outgoing HTTP");
            }
            native.certs
        });
        machine.iter().chain(&self.extra)
    }

    /// Returns how to speak TLS. It may read files.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        self.config.get_or_init(|| self.load()).clone()
    }

    fn load(&self) -> Result<Arc<ClientConfig>, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.authorities().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(Arc::new(config))
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let found: Vec<_> = found
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    let (_, unread) = roots.add_parsable_certificates(found.iter().cloned());
    if roots.is_empty() || unread > 0 {
        return Err("certificates of authorities in PEM are wanted".to_owned());
    }
    Ok(found)
}

/// Returns the name that a server's certificate must be for.
pub(super) fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Name(name) => ServerName::try_from(name.clone()).ok(),
        Host::Address(ip) => Some(ServerName::from(*ip)),
    }
}
