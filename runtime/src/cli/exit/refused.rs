//! Which exit code a refusal of a control plane is: the same trouble on the machine itself
//! has the same.

use super::Exit;
use crate::plane::Code;
use crate::remote::RemoteError;

/// Tells the exit code of trouble with a control plane, and what to do about it.
pub(super) fn remote(error: &RemoteError) -> (Exit, Option<String>) {
    let hint = |text: &str| Some(text.to_owned());
    match error {
        RemoteError::Misconfigured { .. } => (Exit::Usage, None),
        RemoteError::Away { .. } => (
            Exit::Unavailable,
            hint("look whether `celeriac serve` runs there, and whether --server is its URL"),
        ),
        RemoteError::Tls { .. } => (
            Exit::Usage,
            hint("server_ca names the file of its authority; https:// is for a server with TLS"),
        ),
        RemoteError::Unreadable { .. } | RemoteError::TooLarge { .. } => (
            Exit::Unavailable,
            hint("look whether --server is the URL of a control plane, as new as this program"),
        ),
        RemoteError::Refused {
            code, hint, status, ..
        } => (refusal(*code, *status), Some(in_our_words(hint))),
    }
}

/// Says to people at a command line what a control plane says to programs.
fn in_our_words(hint: &str) -> String {
    const WORDS: [(&str, &str); 5] = [
        ("?breaking=true", "--breaking"),
        ("?allow_older=true", "--allow-older"),
        ("?canary=5%25", "--canary 5%"),
        (
            "GET /v1/tenants/{tenant}/modules lists",
            "`celeriac modules NAME` shows",
        ),
        (
            "GET /v1/tenants/{tenant}/kills tells",
            "`celeriac kill --list` tells",
        ),
    ];
    let said = |hint: String, (theirs, ours): (&str, &str)| hint.replace(theirs, ours);
    WORDS.into_iter().fold(hint.to_owned(), said)
}

/// Which exit code a code is.
fn refusal(code: Code, status: u16) -> Exit {
    match code {
        Code::InvalidRequest | Code::Unauthorized | Code::ArgumentsRefused | Code::NoResults => {
            Exit::Usage
        }
        Code::NotFound => Exit::NotFound,
        Code::Forbidden
        | Code::TenantSuspended
        | Code::Conflict
        | Code::AlreadyExists
        | Code::Killed
        | Code::BreaksCallers
        | Code::TooLarge
        | Code::ComponentRefused
        | Code::KeyReused
        | Code::LimitReached
        | Code::QuotaExceeded => Exit::Refused,
        Code::RequestTimeout
        | Code::QueueFull
        | Code::TooManyWaiting
        | Code::RateLimited
        | Code::Internal
        | Code::Unavailable
        | Code::StorageFull
        | Code::TooBusy
        | Code::Stopping => Exit::Unavailable,
        // Another version's, or not of a control plane at all.
        Code::MethodNotAllowed | Code::UnsupportedMediaType | Code::Other => match status {
            401 => Exit::Usage,
            404 => Exit::NotFound,
            400..500 => Exit::Refused,
            _ => Exit::Unavailable,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::classify;
    use super::*;

    fn exit(error: RemoteError) -> Exit {
        classify(&error.into()).0
    }

    fn hint(error: RemoteError) -> Option<String> {
        classify(&error.into()).1
    }

    #[test]
    fn what_a_control_plane_refuses_ends_as_it_would_here() {
        let refused = |code: Code| RemoteError::Refused {
            status: code.status(),
            code,
            message: "m".to_owned(),
            hint: "h".to_owned(),
            request_id: "r".to_owned(),
        };
        for (code, end) in [
            (Code::Unauthorized, Exit::Usage),
            (Code::Forbidden, Exit::Refused),
            (Code::NotFound, Exit::NotFound),
            (Code::BreaksCallers, Exit::Refused),
            (Code::Conflict, Exit::Refused),
            (Code::RateLimited, Exit::Unavailable),
            (Code::Other, Exit::Unavailable),
        ] {
            assert_eq!(exit(refused(code)), end, "{code:?}");
            assert_eq!(hint(refused(code)).as_deref(), Some("h"));
        }
        for code in Code::ALL {
            let passes = refused(code).passes();
            let is_away = exit(refused(code)) == Exit::Unavailable;
            assert!(!passes || is_away, "{code:?}");
        }
        let hint_of = in_our_words("keep it, or push with ?breaking=true");
        assert_eq!(hint_of, "keep it, or push with --breaking");
        let away = || RemoteError::Away {
            url: "https://h".to_owned(),
            reason: "gone".to_owned(),
        };
        assert_eq!(exit(away()), Exit::Unavailable);
        assert!(hint(away()).unwrap().contains("celeriac serve"));
    }
}
