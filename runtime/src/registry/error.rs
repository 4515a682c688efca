//! What goes wrong in the registry, by what the caller does next.

use super::bucket::BucketError;
use super::digest::Digest;
use super::kills::Kill;
use super::refused::VersionRefused;
use super::replica::ReplicaError;
use crate::database::DatabaseError;
use crate::sql::SqlError;
use crate::task::{ModuleName, TaskName, TenantName};
use celeriac_sandbox::{Refusal, SandboxError};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Trouble with modules and components.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Tell the author: this component is not taken.
    #[error("refused: {0}")]
    Refused(Box<Refused>),
    /// Name another module.
    #[error("there is no module {module:?}{}", hint(.similar.as_ref()), module = .module.as_str())]
    UnknownModule {
        /// The name.
        module: ModuleName,
        /// A module with nearly this name.
        similar: Option<String>,
    },
    /// Name another version.
    #[error("module {module} has no version {version}; it has {}", list(.have))]
    UnknownVersion {
        /// The module.
        module: ModuleName,
        /// The version that was asked for.
        version: u32,
        /// The versions that are kept.
        have: Vec<u32>,
    },
    /// Nothing to roll back to.
    #[error("module {module} has no version before {current}{}", others(.have, *.current))]
    NoEarlier {
        /// The module.
        module: ModuleName,
        /// The version that runs.
        current: u32,
        /// The versions that are kept.
        have: Vec<u32>,
    },
    /// Name or push another version, or say what it may break.
    #[error(transparent)]
    Version(#[from] VersionRefused),
    /// Push it again: the stored bytes are gone or are not what they were.
    #[error("the stored component {digest} is missing or damaged; push it again")]
    Damaged {
        /// The component.
        digest: Digest,
    },
    /// Another process changed the files so often that a push could not end: push again.
    #[error("the files of the push were collected while it ran; push again")]
    Collected,
    /// Name another task.
    #[error(
        "module {} has no task {:?}; `celeriac modules {}` lists them",
        .task.module, .task.task, .task.module
    )]
    UnknownTask {
        /// The task.
        task: TaskName,
    },
    /// Name another tenant.
    #[error(
        "tenant {tenant} never had a module, there is nothing to stop; `celeriac tenant suspend {tenant}` stops what may come"
    )]
    NoModules {
        /// The tenant.
        tenant: TenantName,
    },
    /// Allow the component first, or leave it: an operator killed it.
    #[error("{kill}; `{}` allows it again", .kill.aim.undo())]
    Killed {
        /// The kill.
        kill: Box<Kill>,
    },
    /// Give a shorter reason.
    #[error("the reason is not one line of at most {most} characters (fixed)")]
    Reason {
        /// The limit.
        most: usize,
    },
    /// End a kill first.
    #[error(
        "{most} kills are in force, the most there can be (fixed); end one with `celeriac kill --undo`, or kill a whole module"
    )]
    KillsFull {
        /// The limit.
        most: u32,
    },
    /// Remove a module first.
    #[error(
        "there are {most} modules already, the most there can be (fixed); remove one with `celeriac remove NAME`"
    )]
    Full {
        /// The limit.
        most: u32,
    },
    /// Remove a module of any tenant first: an operator must act.
    #[error(
        "there are {most} modules of all tenants already, the most there can be (fixed); remove some with `celeriac remove NAME`"
    )]
    Crowded {
        /// The limit.
        most: u32,
    },
    /// Remove modules first, or have the quota raised.
    #[error(
        "the modules of tenant {tenant} have {kept} bytes in all versions that are kept, and this one adds {adds}; its quota module_bytes is {most}: remove one with `celeriac remove NAME`, or have the quota raised"
    )]
    ModuleBytes {
        /// Whose they are.
        tenant: TenantName,
        /// Bytes of all kept versions.
        kept: u64,
        /// Bytes that the push adds.
        adds: u64,
        /// The quota.
        most: u64,
    },
    /// Push again later: the machine is too busy.
    #[error("compiling took longer than {} s; this machine is too busy, push again later", .wall.as_secs())]
    CompilerSlow {
        /// How long it was given.
        wall: Duration,
    },
    /// Repair the installation: the compiler cannot be run.
    #[error("the compiler {program:?} cannot be run: {source}")]
    CompilerMissing {
        /// The program.
        program: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// Repair the state folder.
    #[error("{path:?} cannot be used: {source}; check the folder's owner, mode and free space")]
    Storage {
        /// The folder or file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// Back off and try again, or see to the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Back off and try again, or see to the database that several machines share.
    #[error("the database of the registry: {0}")]
    Sql(#[from] SqlError),
    /// Back off and try again, or see to where components are kept.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Change it elsewhere, or look at what a control plane told.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// Trouble of the sandbox itself.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl RegistryError {
    /// Tells of code that cannot be loaded whether it stays so until somebody pushes.
    #[must_use]
    pub fn lasts(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Refused(_) => true,
            Self::UnknownModule { .. }
            | Self::UnknownVersion { .. }
            | Self::Version(_)
            | Self::UnknownTask { .. }
            | Self::NoModules { .. }
            | Self::Killed { .. }
            | Self::Reason { .. }
            | Self::KillsFull { .. }
            | Self::NoEarlier { .. }
            | Self::Collected
            | Self::Full { .. }
            | Self::Crowded { .. }
            | Self::ModuleBytes { .. }
            | Self::CompilerSlow { .. }
            | Self::CompilerMissing { .. }
            | Self::Storage { .. }
            | Self::Database(_)
            | Self::Sql(_)
            | Self::Bucket(_)
            | Self::Replica(_)
            | Self::Sandbox(_) => false,
        }
    }
}

/// A component that is not taken, and why. Its text is what the author reads.
#[derive(Debug)]
pub struct Refused {
    /// The name it was pushed under, or the digest of one that ran before.
    pub subject: String,
    /// Why.
    pub cause: Cause,
}

/// Why a component is not taken.
#[derive(Debug)]
pub enum Cause {
    /// It is not fit for the sandbox, or does not describe itself well.
    Unfit(Refusal),
    /// The compiler gave up on it.
    Uncompilable {
        /// The compiler's words.
        reason: String,
        /// How long ago, when that is remembered rather than tried again.
        remembered: Option<Duration>,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.cause {
            Cause::Unfit(refusal) => refusal.to_string(),
            Cause::Uncompilable { reason, .. } => reason.clone(),
        };
        // Of the component itself is spoken by its name.
        match text.strip_prefix("it ") {
            Some(rest) => write!(f, "{} {rest}", self.subject)?,
            None => write!(f, "{}: {text}", self.subject)?,
        }
        match &self.cause {
            Cause::Unfit(Refusal::World(_)) => write!(
                f,
                "\n  fix: build with celeriac-sdk {}, or upgrade the workers",
                env!("CARGO_PKG_VERSION")
            ),
            Cause::Unfit(_)
            | Cause::Uncompilable {
                remembered: None, ..
            } => Ok(()),
            Cause::Uncompilable {
                remembered: Some(ago),
                ..
            } => write!(
                f,
                "\n  remembered from {} min ago; tried again after {} min",
                ago.as_secs() / 60,
                super::rows::REFUSAL_KEPT.as_secs() / 60
            ),
        }
    }
}

fn hint(similar: Option<&String>) -> String {
    similar.map_or_else(
        || "; `celeriac modules` lists them".to_owned(),
        |name| format!("; did you mean {name:?}?"),
    )
}

fn others(versions: &[u32], current: u32) -> String {
    let others: Vec<_> = versions
        .iter()
        .copied()
        .filter(|version| *version != current)
        .collect();
    match others.is_empty() {
        true => ", and no other".to_owned(),
        false => format!("; name one of those it has: {}", list(&others)),
    }
}

fn list(versions: &[u32]) -> String {
    let all: Vec<String> = versions.iter().map(u32::to_string).collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(cause: Cause) -> String {
        let subject = "reports".to_owned();
        RegistryError::Refused(Box::new(Refused { subject, cause })).to_string()
    }

    #[test]
    fn a_refusal_speaks_of_the_module_by_its_name() {
        let text = refused(Cause::Unfit(Refusal::Compile {
            reason: "too many types".to_owned(),
        }));
        assert_eq!(text, "refused: reports cannot be compiled: too many types");
        let text = refused(Cause::Unfit(Refusal::Text));
        assert!(
            text.starts_with("refused: reports: the file is text"),
            "{text}"
        );
    }

    #[test]
    fn a_refusal_for_its_world_ends_with_the_fix() {
        let text = refused(Cause::Unfit(Refusal::World(Vec::new())));
        assert!(
            text.starts_with("refused: reports does not fit celeriac:task@0.1\n"),
            "{text}"
        );
        assert!(
            text.ends_with("fix: build with celeriac-sdk 0.1.0, or upgrade the workers"),
            "{text}"
        );
    }

    #[test]
    fn a_remembered_refusal_says_so_and_when_it_ends() {
        let text = refused(Cause::Uncompilable {
            reason: "compiling it takes more than 60 s of CPU time".to_owned(),
            remembered: Some(Duration::from_secs(130)),
        });
        assert_eq!(
            text,
            "refused: reports: compiling it takes more than 60 s of CPU time\n  remembered from 2 min ago; tried again after 60 min"
        );
    }

    #[test]
    fn an_unknown_name_or_version_lists_what_there_is() {
        let module: ModuleName = "imagse".parse().unwrap();
        let similar = Some("images".to_owned());
        let error = RegistryError::UnknownModule {
            module: module.clone(),
            similar,
        };
        assert_eq!(
            error.to_string(),
            "there is no module \"imagse\"; did you mean \"images\"?"
        );
        let no_earlier = |have| RegistryError::NoEarlier {
            module: module.clone(),
            current: 3,
            have,
        };
        assert_eq!(
            no_earlier(vec![3]).to_string(),
            "module imagse has no version before 3, and no other"
        );
        assert_eq!(
            no_earlier(vec![3, 4, 5]).to_string(),
            "module imagse has no version before 3; name one of those it has: 4, 5"
        );
        let error = RegistryError::UnknownVersion {
            module: module.clone(),
            version: 9,
            have: vec![3, 4],
        };
        assert_eq!(
            error.to_string(),
            "module imagse has no version 9; it has 3, 4"
        );
    }
}
