//! The control plane of the configuration, ready to be asked.

use crate::config::{ServerConfig, TokenSource};
use crate::remote::{Remote, RemoteError, RemoteOptions, Token};

/// Prepares requests to the control plane of a configuration; nothing is asked yet. It reads
/// the files of the token and of the authorities, and blocks for that.
///
/// # Errors
/// [`RemoteError::Misconfigured`] when one of the files cannot be used.
pub fn remote(server: &ServerConfig) -> Result<Remote, RemoteError> {
    let token = match &server.token {
        TokenSource::Text(text) => Token::new(text.expose()),
        TokenSource::File(path) => Token::read(path)?,
    };
    Remote::new(&RemoteOptions {
        url: server.url.clone(),
        token,
        authorities: server.authorities.clone(),
    })
}
