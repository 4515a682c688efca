//! What goes wrong below, as callers are told it: what is theirs to mend with its words,
//! what is ours without.

use super::Problem;
use crate::database::DatabaseError;
use crate::plane::Code;
use crate::platform::PlatformError;
use crate::registry::{RegistryError, VersionRefused};
use crate::sql::SqlError;
use std::io::ErrorKind;
use std::time::Duration;

/// When to come again after trouble of ours (1 s).
const SOON: Duration = Duration::from_secs(1);

/// Trouble of tenants and tokens.
pub(super) fn platform(error: PlatformError) -> Problem {
    let words = error.to_string();
    match error {
        PlatformError::NotFound { kind, name } => Problem::not_found(kind, &name),
        PlatformError::Exists { .. } => Problem::new(
            Code::AlreadyExists,
            words,
            "take another name, or change the one that is there",
        ),
        PlatformError::Wrong { .. } => Problem::invalid(words, "give another value"),
        PlatformError::Full { .. } => {
            Problem::new(Code::LimitReached, words, "remove some of them first")
        }
        PlatformError::Refused { .. } => {
            Problem::new(Code::Conflict, words, "do what it says first, then this")
        }
        PlatformError::Sql(error) => sql(&error),
        PlatformError::Random { source } => Problem::unavailable("the system", source),
    }
}

fn sql(error: &SqlError) -> Problem {
    Problem::unavailable("the database", error)
}

/// Trouble of modules.
pub(super) fn registry(error: RegistryError) -> Problem {
    let words = error.to_string();
    match error {
        RegistryError::Refused(refused) => Problem::new(
            Code::ComponentRefused,
            refused.to_string(),
            "build it again with celeriac-sdk, and push that",
        ),
        RegistryError::UnknownModule { module, similar } => {
            let problem = Problem::not_found("module", module.as_str());
            match similar {
                Some(name) => Problem {
                    hint: format!("there is one that is called {name:?}"),
                    ..problem
                },
                None => problem,
            }
        }
        RegistryError::UnknownTask { task } => Problem::not_found("task", &task.to_string()),
        RegistryError::UnknownVersion { .. } => Problem {
            message: words,
            hint: "name a version that it has".to_owned(),
            ..Problem::not_found("version", "")
        },
        RegistryError::Version(refused) => version(&refused),
        RegistryError::NoEarlier { .. } => {
            Problem::new(Code::Conflict, words, "name a version that it has, or push")
        }
        RegistryError::Damaged { .. } => {
            Problem::new(Code::Conflict, words, "push the component again")
        }
        RegistryError::Collected => Problem::unavailable("the store of components", words),
        RegistryError::Killed { kill } => Problem::new(
            Code::Killed,
            kill.to_string(),
            "push another component, or have the kill ended",
        ),
        RegistryError::Reason { .. } => Problem::invalid(words, "give a shorter reason"),
        RegistryError::NoModules { .. } => Problem {
            message: words,
            ..Problem::not_found("module", "")
        },
        RegistryError::KillsFull { .. }
        | RegistryError::Full { .. }
        | RegistryError::Crowded { .. } => {
            Problem::new(Code::LimitReached, words, "remove some of them first")
        }
        RegistryError::ModuleBytes { .. } => Problem::new(
            Code::QuotaExceeded,
            words,
            "remove modules that nobody needs, or have the quota raised",
        ),
        RegistryError::CompilerSlow { .. } | RegistryError::CompilerMissing { .. } => {
            Problem::unavailable("the compiler", words).after(10 * SOON)
        }
        RegistryError::Storage { source, .. } => {
            let kind = source.kind();
            match matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                true => full(words),
                false => Problem::unavailable("the store of components", words),
            }
        }
        RegistryError::Database(DatabaseError::Full { .. }) => full(words),
        RegistryError::Sql(error) => sql(&error),
        RegistryError::Replica(_) => Problem::new(
            Code::Conflict,
            words,
            "ask the control plane that is followed there",
        ),
        RegistryError::Bucket(_) => Problem::unavailable("the store of components", words),
        RegistryError::Database(_) => Problem::unavailable("the database", words),
        RegistryError::Sandbox(_) => Problem::unavailable("the sandbox", words),
    }
}

/// A version that is not taken, or not there.
fn version(refused: &VersionRefused) -> Problem {
    let words = refused.to_string();
    match refused {
        VersionRefused::Breaks { .. } => Problem::new(
            Code::BreaksCallers,
            words,
            "keep what callers count on, or push with ?breaking=true",
        ),
        VersionRefused::Taken { .. } => {
            Problem::new(Code::AlreadyExists, words, "choose a higher version")
        }
        VersionRefused::Older { .. } => Problem::new(
            Code::Conflict,
            words,
            "choose a higher version, or push with ?allow_older=true",
        ),
        VersionRefused::Alone { .. } => Problem::new(Code::Conflict, words, "push it without one"),
        VersionRefused::Pinned { .. } => {
            Problem::new(Code::Conflict, words, "take the pin away first")
        }
        VersionRefused::NoCanary { .. } => {
            Problem::new(Code::Conflict, words, "push one with ?canary=5%25")
        }
        VersionRefused::Unknown { .. } => Problem {
            message: words,
            hint: "name a version that it has".to_owned(),
            ..Problem::not_found("version", "")
        },
    }
}

fn full(detail: String) -> Problem {
    Problem::new(
        Code::StorageFull,
        "the server has no room left",
        "tell its operator; nothing was changed",
    )
    .with_detail(detail)
    .after(60 * SOON)
}
