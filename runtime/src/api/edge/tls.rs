//! TLS with a certificate from files, read again when they change.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// How often the files are looked at (5 s).
const LOOK: Duration = Duration::from_secs(5);
/// Largest file of certificates or of a key (1 MiB).
const FILE_BYTES: u64 = 1 << 20;

/// Files that cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// One of them cannot be read.
    #[error("{path:?} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// One of them is not what it should be.
    #[error("{path:?} is not {wanted} in PEM, of at most 1 MiB")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
    /// They do not fit each other.
    #[error("the certificate {certificate:?} cannot be used with the key {key:?}: {source}")]
    Unfit {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// The library's words.
        #[source]
        source: rustls::Error,
    },
}

/// The certificate of an edge.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    now: Mutex<(TlsAcceptor, Seen)>,
}

/// What the files looked like when they were read.
type Seen = [Option<(SystemTime, u64)>; 2];

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files. It blocks.
    ///
    /// # Errors
    /// When they cannot be read or used.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let seen = [seen(certificate), seen(key)];
        let acceptor = acceptor(certificate, key)?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            now: Mutex::new((acceptor, seen)),
        })
    }

    /// Reads the files again whenever they change; ends never. What cannot be used is told,
    /// and the certificate from before stays.
    pub async fn follow(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let tls = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || tls.look()).await;
            match looked {
                Ok(Ok(true)) => tracing::info!("the certificate was read again"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the certificate from before is used on");
                }
                Err(error) => tracing::error!(%error, "the certificate is not looked at"),
            }
        }
    }

    /// Reads the files again where they changed, and tells whether. It blocks.
    fn look(&self) -> Result<bool, TlsError> {
        let seen = [seen(&self.certificate), seen(&self.key)];
        if self.now().1 == seen {
            return Ok(false);
        }
        // Remembered before they are read: what cannot be used is told once.
        self.now().1 = seen;
        let acceptor = acceptor(&self.certificate, &self.key)?;
        self.now().0 = acceptor;
        Ok(true)
    }

    pub(super) fn accept(&self, stream: TcpStream) -> Accept<TcpStream> {
        self.now().0.accept(stream)
    }

    fn now(&self) -> std::sync::MutexGuard<'_, (TlsAcceptor, Seen)> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seen(path: &Path) -> Option<(SystemTime, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

fn read(path: &Path, wanted: &'static str) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES {
        return Err(malformed(path, wanted));
    }
    std::fs::read(path).map_err(unreadable)
}

fn malformed(path: &Path, wanted: &'static str) -> TlsError {
    TlsError::Malformed {
        path: path.to_owned(),
        wanted,
    }
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    const CHAIN: &str = "a certificate, with those that lead to its authority,";
    const KEY: &str = "a private key";
    let pem = read(certificate, CHAIN)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| malformed(certificate, CHAIN))?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key, KEY)?);
    let secret = secret.map_err(|_| malformed(key, KEY))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unfit = |source| TlsError::Unfit {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
