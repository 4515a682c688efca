//! What goes wrong, on its way to an answer. Its words are written out by [`super::front`],
//! which knows the request's id.

use crate::plane::Code;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// Most characters of a stranger's text that are repeated to it (200).
const ECHO: usize = 200;

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) hint: String,
    /// What only the log is told.
    pub(super) detail: Option<String>,
    /// When to come again.
    pub(super) retry_after: Option<Duration>,
}

impl Problem {
    /// Tells what happened and what to do.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
            detail: None,
            retry_after: None,
        }
    }

    /// Something that is not there, or that is not the caller's: nobody can tell which.
    #[must_use]
    pub fn not_found(what: &str, name: &str) -> Self {
        Self::new(
            Code::NotFound,
            format!("there is no {what} {:?}", short(name)),
            "look at its name, and at whose token this is: what belongs to others looks the same",
        )
    }

    /// A request that cannot be read, or says what cannot be.
    #[must_use]
    pub fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message, hint)
    }

    /// Something that the server depends on is away; `detail` is for its log alone.
    #[must_use]
    pub fn unavailable(what: &str, detail: impl ToString) -> Self {
        let problem = Self::new(
            Code::Unavailable,
            format!("{what} does not answer"),
            "try again in a moment; the server's log has the reason under this request_id",
        );
        problem.with_detail(detail).after(Duration::from_secs(1))
    }

    /// A bug; `detail` is for the server's log alone.
    #[must_use]
    pub fn internal(detail: impl ToString) -> Self {
        let problem = Self::new(
            Code::Internal,
            "the server could not do this",
            "tell its operator this request_id",
        );
        problem.with_detail(detail)
    }

    /// Says something else to do.
    #[must_use]
    pub(super) fn with_hint(mut self, hint: String) -> Self {
        self.hint = hint;
        self
    }

    /// Adds what only the log is told.
    #[must_use]
    pub fn with_detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// Says when to come again.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Returns its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Shortens a stranger's text for an answer.
pub(super) fn short(text: &str) -> String {
    text.chars().take(ECHO).collect()
}

pub(super) async fn no_such_path(uri: Uri) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("there is no path {:?}", short(uri.path())),
        "GET /v1/openapi.json lists all there are",
    )
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!(
            "{} is nothing that {:?} can do",
            short(method.as_str()),
            short(uri.path())
        ),
        "the header Allow lists what it can; GET /v1/openapi.json tells more",
    )
}
