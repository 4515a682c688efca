//! What TLS needs: whom to trust, and who we are.

use super::WrongAddress;
use ::redis::{Client, ClientTlsConfig, RedisError, TlsCertificates};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that TLS needs beyond the system's own authorities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities to trust instead, PEM.
    pub authorities: Option<PathBuf>,
    /// Our own certificate and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Makes a client; files are read once, now.
pub(super) fn client(url: &str, files: &TlsFiles) -> Result<Client, WrongAddress> {
    if *files == TlsFiles::default() {
        return Client::open(url).map_err(WrongAddress::form);
    }
    let authorities = files.authorities.as_deref().map(read).transpose()?;
    let client_tls = match &files.identity {
        Some((certificate, key)) => Some(ClientTlsConfig {
            client_cert: read(certificate)?,
            client_key: read(key)?,
        }),
        None => None,
    };
    let certificates = TlsCertificates {
        client_tls,
        root_cert: authorities,
    };
    Client::build_with_tls(url, certificates).map_err(WrongAddress::form)
}

fn read(path: &Path) -> Result<Vec<u8>, WrongAddress> {
    std::fs::read(path).map_err(|source| WrongAddress::File {
        path: path.to_owned(),
        source,
    })
}

/// Tells whether one side refused the certificate of the other.
pub(super) fn is_refused(error: &RedisError) -> bool {
    // TLS speaks through an I/O error of this kind; nothing else does.
    let source = error
        .source()
        .and_then(<dyn Error>::downcast_ref::<Arc<dyn Error + Send + Sync>>);
    source
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
}
