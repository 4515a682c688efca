//! Requests to a control plane over HTTP: the only opener of such connections.
//!
//! The command line and workers ask with a token of their own, in the words of
//! [`crate::plane`]. What a server answers is as hostile as any other input: answers have a
//! size, a time and a form, redirects are not followed, and the token goes to the named
//! server alone.

mod ask;
mod error;
mod events;
#[cfg(test)]
mod tests;
mod token;

pub use ask::{ANSWER_BYTES, ANSWER_TIME, Ask};
pub use error::RemoteError;
pub use events::{Events, Told};
pub use token::{TOKEN_BYTES, Token};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, Url};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time for a name, a connection and TLS together (10 s).
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next request (30 s): less than servers keep theirs.
const IDLE: Duration = Duration::from_secs(30);
/// Largest file of authorities (1 MiB).
const AUTHORITIES_BYTES: u64 = 1 << 20;

/// Where a control plane is, and who asks it.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// `https://HOST[:PORT][/PATH]`, or `http://` of a network that is trusted.
    pub url: String,
    /// The token that is shown to it.
    pub token: Token,
    /// A file of the authorities to trust instead of those of the machine, PEM.
    pub authorities: Option<PathBuf>,
}

/// A control plane. A cheap handle.
#[derive(Clone)]
pub struct Remote {
    client: Client,
    url: Url,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is within it knows the token.
        f.debug_tuple("Remote").field(&self.url.as_str()).finish()
    }
}

impl Remote {
    /// Prepares requests; nothing is asked yet. It reads the file of authorities, and blocks
    /// for that.
    ///
    /// # Errors
    /// [`RemoteError::Misconfigured`] when the URL is none, or the file cannot be used.
    pub fn new(options: &RemoteOptions) -> Result<Self, RemoteError> {
        let shape = |_| RemoteError::Misconfigured {
            what: format!("{:?} is no URL of a control plane", options.url),
        };
        let url = Url::parse(&options.url).map_err(shape)?;
        // Another part of the process may have chosen the same one before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = Client::builder()
            .user_agent(concat!("celeriac/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(&options.token)?)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .redirect(Policy::none())
            .https_only(url.scheme() == "https");
        let builder = match url.scheme() {
            // A proxy would read the token; through TLS it sees nothing.
            "http" => builder.no_proxy(),
            _ => builder,
        };
        let builder = match &options.authorities {
            // Without TLS nobody is trusted, and a machine needs to have no authorities.
            None if url.scheme() == "http" => builder.tls_certs_only([]),
            None => builder,
            Some(path) => builder.tls_certs_only(authorities(path)?),
        };
        let unfit = |error: reqwest::Error| RemoteError::Misconfigured {
            what: format!(
                "TLS cannot be set up{}: {}",
                options
                    .authorities
                    .as_ref()
                    .map(|path| format!(" with {}", path.display()))
                    .unwrap_or_default(),
                error::innermost(&error)
            ),
        };
        let client = builder.build().map_err(unfit)?;
        Ok(Self { client, url })
    }

    /// Returns where the control plane is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Asks for what is at a path, given by its parts: `["v1", "tenants"]`.
    #[must_use]
    pub fn get(&self, path: &[&str]) -> Ask<'_> {
        self.ask(Method::GET, path)
    }

    /// Orders something to be done.
    #[must_use]
    pub fn post(&self, path: &[&str]) -> Ask<'_> {
        self.ask(Method::POST, path)
    }

    /// Puts something at a path.
    #[must_use]
    pub fn put(&self, path: &[&str]) -> Ask<'_> {
        self.ask(Method::PUT, path)
    }

    /// Changes what is at a path.
    #[must_use]
    pub fn patch(&self, path: &[&str]) -> Ask<'_> {
        self.ask(Method::PATCH, path)
    }

    /// Takes away what is at a path.
    #[must_use]
    pub fn delete(&self, path: &[&str]) -> Ask<'_> {
        self.ask(Method::DELETE, path)
    }

    fn ask(&self, method: Method, path: &[&str]) -> Ask<'_> {
        let mut url = self.url.clone();
        // A part that would be left out of the path, or go up in it, would ask for another
        // thing than was meant.
        let strange = path.iter().find(|part| matches!(**part, "" | "." | ".."));
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        Ask::new(self, method, url, strange.map(|part| (*part).to_owned()))
    }
}

fn headers(token: &Token) -> Result<HeaderMap, RemoteError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.secret())).map_err(|_| {
        RemoteError::Misconfigured {
            what: "the token is no text that a header can carry".to_owned(),
        }
    })?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, RemoteError> {
    let wrong = |reason: String| RemoteError::Misconfigured {
        what: format!("the file of authorities {} {reason}", path.display()),
    };
    let unreadable = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > AUTHORITIES_BYTES {
        return Err(wrong(format!(
            "has {bytes} bytes; at most {AUTHORITIES_BYTES} are read"
        )));
    }
    let pem = std::fs::read(path).map_err(unreadable)?;
    let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    match found.is_empty() {
        true => Err(wrong("holds no certificate in PEM".to_owned())),
        false => Ok(found),
    }
}
