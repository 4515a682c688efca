//! Why a version is not taken, or not there: by what its author does next.

use crate::policy::compat::Finding;
use crate::task::{ModuleName, Release};

/// A version that is not taken as it is, or that is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionRefused {
    /// Keep what callers count on, or say that it may break.
    #[error("{module} would break callers of version {from}:{}", told(.findings))]
    Breaks {
        /// The module.
        module: ModuleName,
        /// The current version.
        from: u32,
        /// What callers would see.
        findings: Vec<Finding>,
    },
    /// Choose another name for the version: this one is taken.
    #[error("{module} {release} is there already: it is version {version}")]
    Taken {
        /// The module.
        module: ModuleName,
        /// The name.
        release: Release,
        /// The version that has it.
        version: u32,
    },
    /// Choose a higher name for the version, or say that it may be older.
    #[error("{module} runs {current}, and {release} is not higher")]
    Older {
        /// The module.
        module: ModuleName,
        /// The name.
        release: Release,
        /// The name of the current version.
        current: Release,
    },
    /// Push it without a canary: there is nothing beside which it could run.
    #[error("{module} has no version yet that a canary could run beside; push it without one")]
    Alone {
        /// The module.
        module: ModuleName,
    },
    /// Take the pin away first.
    #[error("{module} is pinned to version {version}, and no canary runs beside that")]
    Pinned {
        /// The module.
        module: ModuleName,
        /// The version it is pinned to.
        version: u32,
    },
    /// Push one: no canary runs.
    #[error("{module} has no canary that runs")]
    NoCanary {
        /// The module.
        module: ModuleName,
    },
    /// Name another version: none is called so.
    #[error("module {module} has no version {release}; {}", named(.have))]
    Unknown {
        /// The module.
        module: ModuleName,
        /// The name that was asked for.
        release: Release,
        /// The names of versions that are kept, the newest first.
        have: Vec<String>,
    },
}

impl VersionRefused {
    /// Says what to do about it on the command line.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Breaks { .. } => "keep what callers count on, or push with --breaking".to_owned(),
            Self::Taken { .. } => "choose a higher --version".to_owned(),
            Self::Older { .. } => {
                "choose a higher --version, or push with --allow-older".to_owned()
            }
            Self::Alone { module } => format!("celeriac push FILE --name {module}"),
            Self::Pinned { module, .. } => format!("`celeriac unpin {module}` takes the pin away"),
            Self::NoCanary { module } => {
                format!("`celeriac push FILE --name {module} --canary 5%` begins one")
            }
            Self::Unknown { module, .. } => format!("`celeriac modules {module}` lists them"),
        }
    }

    /// Tells whether something is not there, rather than not taken.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::NoCanary { .. } | Self::Unknown { .. } => true,
            Self::Breaks { .. }
            | Self::Taken { .. }
            | Self::Older { .. }
            | Self::Alone { .. }
            | Self::Pinned { .. } => false,
        }
    }
}

fn told(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| format!("\n  {}", finding.seen))
        .collect()
}

fn named(have: &[String]) -> String {
    match have {
        [] => "none of its versions has a name".to_owned(),
        have => format!("it has {}", have.join(", ")),
    }
}
