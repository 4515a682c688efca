//! Why a request about a task is not done, as its caller is told.

use crate::api::v1::Problem;
use crate::app::calls::CallRefused;
use crate::plane::Code;
use std::time::Duration;

/// When to come again where something is full (2 s).
const LATER: Duration = Duration::from_secs(2);

/// Puts it into two messages.
pub(super) fn problem(refused: CallRefused) -> Problem {
    let words = refused.to_string();
    match refused {
        CallRefused::NotFound { kind, name } => Problem::not_found(kind, &name),
        CallRefused::Invalid { .. } => Problem::invalid(words, "give another value"),
        CallRefused::Unfit(_) => Problem::new(
            Code::ArgumentsRefused,
            words,
            "GET /v1/tenants/{tenant}/modules lists what each task takes",
        ),
        CallRefused::Killed { .. } => Problem::new(
            Code::Killed,
            words,
            "call it again when it is allowed again; GET /v1/tenants/{tenant}/kills tells what is killed",
        ),
        CallRefused::Suspended { .. } => Problem::new(
            Code::TenantSuspended,
            words,
            "ask the operator; until then you can look, revoke and kill",
        ),
        CallRefused::QueueFull { .. } => Problem::new(
            Code::QueueFull,
            words,
            "wait until some are done; the quota queue_depth of the tenant sets how many may",
        )
        .after(LATER),
        CallRefused::KeyReused { .. } => Problem::new(
            Code::KeyReused,
            words,
            "take a new key for a new request, or send the same body again",
        ),
        CallRefused::Full { .. } => Problem::new(
            Code::LimitReached,
            words,
            "try again later, or use less of it",
        ),
        CallRefused::TooManyWaiting { .. } => Problem::new(
            Code::TooManyWaiting,
            words,
            "ask without wait, or end some of the others first",
        )
        .after(LATER),
        CallRefused::NoResults => Problem::new(
            Code::NoResults,
            words,
            "give the tenant a result backend that keeps them, such as redis://",
        ),
        CallRefused::Misconfigured { detail, .. } => Problem::new(
            Code::Conflict,
            words,
            "ask the operator: the server's log has the reason under this request_id",
        )
        .with_detail(detail),
        CallRefused::TooLarge { .. } => Problem::new(
            Code::TooLarge,
            words,
            "send less, or a reference to the data",
        ),
        CallRefused::Away { what, detail } => Problem::unavailable(what, detail),
        CallRefused::Broken { detail } => Problem::internal(detail),
    }
}
