//! What can go wrong between us and a control plane.

use crate::plane::{Code, Failure};
use std::error::Error;
use std::io;

/// Why a request to a control plane brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// What we were told of the control plane cannot be used. Mend the configuration.
    #[error("{what}")]
    Misconfigured {
        /// What is wrong with which value.
        what: String,
    },
    /// Nobody answers there. Try again later.
    #[error("the control plane {url} does not answer: {reason}")]
    Away {
        /// Where it should be.
        url: String,
        /// The innermost cause.
        reason: String,
    },
    /// Who answers there is not who it should be, or speaks no TLS. Trust its authority, or
    /// do not ask.
    #[error("no TLS with the control plane {url}: {reason}")]
    Tls {
        /// Where it should be.
        url: String,
        /// The innermost cause.
        reason: String,
    },
    /// The control plane did not do it, and says why.
    #[error("{message}")]
    Refused {
        /// The status of HTTP.
        status: u16,
        /// The word for programs.
        code: Code,
        /// What happened.
        message: String,
        /// What to do.
        hint: String,
        /// The request, as the server's log calls it; empty where somebody else answered.
        request_id: String,
    },
    /// The answer is not what this version understands.
    #[error("the answer of {url} cannot be read: {reason}")]
    Unreadable {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The answer is larger than it may be.
    #[error("the answer of {url} has more than {allowed} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit.
        allowed: u64,
    },
}

impl RemoteError {
    /// Tells whether the same request may be done later, as it is.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 502 | 503 | 504),
            Self::Misconfigured { .. }
            | Self::Tls { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// Tells whether there is no such thing.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: Code::NotFound,
                ..
            }
        )
    }

    /// Says why a request was not answered.
    pub(super) fn of(url: &str, error: &reqwest::Error) -> Self {
        let url = url.to_owned();
        let reason = match error.is_timeout() {
            true => "there was no answer in time".to_owned(),
            false => innermost(error),
        };
        match is_of_tls(error) {
            true => Self::Tls { url, reason },
            false => Self::Away { url, reason },
        }
    }

    /// Reads an answer that is no success.
    pub(super) fn refused(url: &str, status: reqwest::StatusCode, body: &[u8]) -> Self {
        if let Ok(Failure { error }) = serde_json::from_slice(body) {
            return Self::Refused {
                status: status.as_u16(),
                code: error.code,
                message: error.message,
                hint: error.hint,
                request_id: error.request_id,
            };
        }
        Self::Refused {
            status: status.as_u16(),
            code: Code::Other,
            message: format!("{url} answers {status}, and not as a control plane does"),
            hint: "look whether the URL is that of `celeriac serve`, or what stands before it"
                .to_owned(),
            request_id: String::new(),
        }
    }
}

/// Returns the words of the first cause: those around it only say that there was one.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Tells whether one side refused what the other said before anything was asked.
fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    // TLS speaks through errors of I/O, whose inner error is not their source.
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || inner.is_some_and(|inner| is_of_tls(inner))
        || error.source().is_some_and(is_of_tls)
}
