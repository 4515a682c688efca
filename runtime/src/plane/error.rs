//! What an answer holds that is not a success: a stable code for programs, and for people
//! two messages, what happened and what to do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was not done. Programs compare its text; it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request cannot be read, or says what cannot be.
    InvalidRequest,
    /// There is no token, or none that is valid.
    Unauthorized,
    /// The token is valid, and not for this.
    Forbidden,
    /// The tenant is suspended: its tokens only look and stop.
    TenantSuspended,
    /// There is no such thing, or not for this token.
    NotFound,
    /// The path is known, and not with this method.
    MethodNotAllowed,
    /// The request did not arrive in time.
    RequestTimeout,
    /// It cannot be done in the present state.
    Conflict,
    /// There is such a thing already.
    AlreadyExists,
    /// An operator killed it.
    Killed,
    /// Callers of the current version would break.
    BreaksCallers,
    /// The request is larger than it may be.
    TooLarge,
    /// The body is of another kind than is wanted.
    UnsupportedMediaType,
    /// The component is not fit to run.
    ComponentRefused,
    /// The arguments are not what the task takes.
    ArgumentsRefused,
    /// The idempotency key stands for another request.
    KeyReused,
    /// As many messages wait in the queue as the tenant may have.
    QueueFull,
    /// As many requests wait for tasks as may.
    TooManyWaiting,
    /// No results are kept that could be told.
    NoResults,
    /// There are as many of these as there can be.
    LimitReached,
    /// It is more than the quota of the tenant.
    QuotaExceeded,
    /// More requests than the limit in a minute.
    RateLimited,
    /// A bug of the server.
    Internal,
    /// Something the server depends on is away.
    Unavailable,
    /// The server has no room left on its disk or store.
    StorageFull,
    /// There are more connections than the server takes.
    TooBusy,
    /// The server is stopping.
    Stopping,
    /// A code that this version does not know; no server sends it.
    #[serde(other)]
    Other,
}

impl Code {
    /// All that are sent.
    pub const ALL: [Self; 27] = [
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::TenantSuspended,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::AlreadyExists,
        Self::Killed,
        Self::BreaksCallers,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::ComponentRefused,
        Self::ArgumentsRefused,
        Self::KeyReused,
        Self::QueueFull,
        Self::TooManyWaiting,
        Self::NoResults,
        Self::LimitReached,
        Self::QuotaExceeded,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
        Self::StorageFull,
        Self::TooBusy,
        Self::Stopping,
    ];

    /// Returns it as it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::TenantSuspended => "tenant_suspended",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::Conflict => "conflict",
            Self::AlreadyExists => "already_exists",
            Self::Killed => "killed",
            Self::BreaksCallers => "breaks_callers",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::ComponentRefused => "component_refused",
            Self::ArgumentsRefused => "arguments_refused",
            Self::KeyReused => "key_reused",
            Self::QueueFull => "queue_full",
            Self::TooManyWaiting => "too_many_waiting",
            Self::NoResults => "no_results",
            Self::LimitReached => "limit_reached",
            Self::QuotaExceeded => "quota_exceeded",
            Self::RateLimited => "rate_limited",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::StorageFull => "storage_full",
            Self::TooBusy => "too_busy",
            Self::Stopping => "stopping",
            Self::Other => "other",
        }
    }

    /// Returns the status of HTTP that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden | Self::TenantSuspended => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::Conflict
            | Self::AlreadyExists
            | Self::Killed
            | Self::KeyReused
            | Self::NoResults
            | Self::BreaksCallers
            | Self::LimitReached
            | Self::QuotaExceeded => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::ComponentRefused | Self::ArgumentsRefused => 422,
            Self::RateLimited | Self::QueueFull | Self::TooManyWaiting => 429,
            Self::Internal | Self::Other => 500,
            Self::Unavailable | Self::StorageFull | Self::TooBusy | Self::Stopping => 503,
        }
    }

    /// Tells whether the same request may be done later, as it is.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self.status(), 408 | 429 | 503)
    }
}

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// What went wrong.
    pub error: Fault,
}

/// What went wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// A word for programs, which never changes. There may come new ones: go by the status
    /// then.
    #[schema(value_type = String, pattern = "^[a-z_]+$", example = "not_found")]
    pub code: Code,
    /// What happened, for people.
    #[schema(example = "there is no module \"images\"")]
    pub message: String,
    /// What to do about it, for people.
    #[schema(example = "list the modules of the tenant")]
    pub hint: String,
    /// The request, as the server's log calls it.
    #[schema(example = "01a2b3c4d5e6f708")]
    pub request_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_as_it_is_told() {
        for code in Code::ALL {
            let json = serde_json::to_string(&code).unwrap();
            assert_eq!(json, format!("{:?}", code.text()));
            assert_eq!(serde_json::from_str::<Code>(&json).unwrap(), code);
            assert!((400..600).contains(&code.status()), "{json}");
        }
    }

    #[test]
    fn a_code_of_a_newer_server_is_read() {
        let code: Code = serde_json::from_str("\"teapot\"").unwrap();
        assert_eq!(code, Code::Other);
    }
}
