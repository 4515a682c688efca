//! Exit codes, and which one an error means.

mod refused;

use crate::app::StartError;
use crate::broker::BrokerError;
use crate::bus::BusError;
use crate::config::ConfigError;
use crate::database::DatabaseError;
use crate::platform::PlatformError;
use crate::registry::{BucketError, RegistryError};
use crate::remote::RemoteError;
use crate::results::ResultsError;
use crate::task::ModuleName;
use std::error::Error;
use std::process::ExitCode;

/// What every `--help` says about exit codes.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  done
  1  failed: the task, a test case, a build
  2  wrong usage or configuration
  3  refused: a module, a message over its limit, or what the token is not for
  4  unavailable: broker, results, registry, disk or control plane; try again
  5  not found: a module, a version, a result
  6  not finished within --timeout; the task goes on";

/// Where keys are, for one that is like none.
const KEYS: &str = "remove it; the keys are data, broker, result_backend, server, and those of [worker], \
    [limits], [tenants.default] and [aliases]; CELERIAC_WORKER__DRAIN is drain in [worker]";

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// The task, a test case or a build failed.
    Failed,
    /// Wrong usage or configuration.
    Usage,
    /// A module or message is not accepted.
    Refused,
    /// Something we depend on is not there now.
    Unavailable,
    /// There is no such thing.
    NotFound,
    /// It takes longer than the caller wanted to wait.
    TimedOut,
}

impl Exit {
    /// Returns the number for the shell.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unavailable => 4,
            Self::NotFound => 5,
            Self::TimedOut => 6,
        })
    }

    /// Returns the stable word in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::NotFound => "not_found",
            Self::TimedOut => "timed_out",
        }
    }
}

/// An error of the command line itself, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Problem {
    what: String,
    hint: Option<String>,
    exit: Exit,
}

impl Problem {
    /// A wrong argument.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
            exit,
        }
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Tells the exit code of an error, and what to do about it.
pub(crate) fn classify(error: &anyhow::Error) -> (Exit, Option<String>) {
    error
        .chain()
        .find_map(known)
        .unwrap_or((Exit::Failed, None))
}

fn known(error: &(dyn Error + 'static)) -> Option<(Exit, Option<String>)> {
    if let Some(problem) = error.downcast_ref::<Problem>() {
        return Some((problem.exit, problem.hint.clone()));
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return Some((Exit::Usage, config_hint(error)));
    }
    let broker = error.downcast_ref::<BrokerError>().map(broker);
    let results = || error.downcast_ref::<ResultsError>().map(results);
    let database = || error.downcast_ref::<DatabaseError>().map(|_| database());
    let registry = || error.downcast_ref::<RegistryError>().map(registry);
    let bus = || error.downcast_ref::<BusError>().map(|_| bus());
    let platform = || {
        let error = error.downcast_ref::<PlatformError>();
        error.map(|error| (platform(error), None))
    };
    let start = || error.downcast_ref::<StartError>().map(start);
    let remote = || error.downcast_ref::<RemoteError>().map(refused::remote);
    broker
        .or_else(results)
        .or_else(database)
        .or_else(registry)
        .or_else(bus)
        .or_else(platform)
        .or_else(start)
        .or_else(remote)
}

fn start(error: &StartError) -> (Exit, Option<String>) {
    match error {
        StartError::Database(_) => database(),
        StartError::Broker(error) => broker(error),
        StartError::Results(error) => results(error),
        StartError::Platform(error) => (platform(error), None),
        StartError::Registry(error) => registry(error),
        StartError::Listen { .. }
        | StartError::Address { .. }
        | StartError::Amqp(_)
        | StartError::Outlasts { .. }
        | StartError::User(_)
        | StartError::Open { .. }
        | StartError::NoReplies
        | StartError::Http(_)
        | StartError::Secret { .. }
        | StartError::Serve { .. }
        | StartError::Plain { .. }
        | StartError::Tls(_)
        | StartError::NoTenant { .. }
        | StartError::Remote(_)
        | StartError::NoBroker => (Exit::Usage, None),
        StartError::Sandbox(_)
        | StartError::Worker(_)
        | StartError::NotTheirs { .. }
        | StartError::Token { .. }
        | StartError::Signals(_)
        | StartError::Setup { .. }
        | StartError::Program(_) => (Exit::Unavailable, None),
    }
}

fn bus() -> (Exit, Option<String>) {
    let hint = "events and remote control travel beside messages: look at --broker";
    (Exit::Unavailable, Some(hint.to_owned()))
}

fn database() -> (Exit, Option<String>) {
    let hint = "the folder is --data DIR, or `data` in celeriac.toml";
    (Exit::Unavailable, Some(hint.to_owned()))
}

fn broker(error: &BrokerError) -> (Exit, Option<String>) {
    match error {
        BrokerError::TooLarge { .. } => {
            let hint = "store the data elsewhere and send its address";
            (Exit::Refused, Some(hint.to_owned()))
        }
        BrokerError::Misconfigured { .. } => (Exit::Usage, None),
        BrokerError::Unavailable { .. } | BrokerError::LeaseLost { .. } => {
            (Exit::Unavailable, None)
        }
    }
}

fn results(error: &ResultsError) -> (Exit, Option<String>) {
    match error {
        ResultsError::Misconfigured { .. } => (Exit::Usage, None),
        ResultsError::Malformed { .. } => (Exit::Refused, None),
        ResultsError::Unavailable { .. } => (Exit::Unavailable, None),
    }
}

/// The texts of the platform say what to do.
fn platform(error: &PlatformError) -> Exit {
    match error {
        PlatformError::NotFound { .. } => Exit::NotFound,
        PlatformError::Wrong { .. } => Exit::Usage,
        PlatformError::Exists { .. }
        | PlatformError::Full { .. }
        | PlatformError::Refused { .. } => Exit::Refused,
        PlatformError::Sql(_) | PlatformError::Random { .. } => Exit::Unavailable,
    }
}

fn config_hint(error: &ConfigError) -> Option<String> {
    match error {
        ConfigError::Unreadable { .. } => Some("name another file with --config".to_owned()),
        // Their texts name the place, and what may stand there.
        ConfigError::TooLarge { .. }
        | ConfigError::Syntax { .. }
        | ConfigError::Wrong { .. }
        | ConfigError::OutOfRange { .. } => None,
        // No command lists the keys as long as this one is there.
        ConfigError::Unknown { nearest, .. } => nearest.is_none().then(|| KEYS.to_owned()),
    }
}

fn registry(error: &RegistryError) -> (Exit, Option<String>) {
    match error {
        RegistryError::Refused(_) => (Exit::Refused, None),
        // Its text says already what there is instead.
        RegistryError::UnknownModule { .. } => (Exit::NotFound, None),
        RegistryError::UnknownVersion { module, have, .. } => {
            // The only one is the one that runs.
            let another = have.iter().max().filter(|_| have.len() > 1);
            (Exit::NotFound, other_version(module, another))
        }
        RegistryError::NoEarlier {
            module,
            current,
            have,
        } => {
            let others = have.iter().filter(|version| *version != current);
            let push = || format!("`celeriac push FILE --name {module}` adds a version");
            let hint = other_version(module, others.max()).unwrap_or_else(push);
            (Exit::NotFound, Some(hint))
        }
        RegistryError::Version(refused) => {
            let exit = match refused.is_missing() {
                true => Exit::NotFound,
                false => Exit::Refused,
            };
            (exit, Some(refused.hint()))
        }
        RegistryError::Killed { .. }
        | RegistryError::KillsFull { .. }
        | RegistryError::ModuleBytes { .. } => (Exit::Refused, None),
        RegistryError::UnknownTask { .. } | RegistryError::NoModules { .. } => {
            (Exit::NotFound, None)
        }
        RegistryError::Reason { .. } | RegistryError::Replica(_) => (Exit::Usage, None),
        RegistryError::Database(_) => database(),
        RegistryError::Bucket(BucketError::Misconfigured { .. }) => (Exit::Usage, None),
        RegistryError::Bucket(_)
        | RegistryError::Sql(_)
        | RegistryError::Full { .. }
        | RegistryError::Crowded { .. }
        | RegistryError::Collected
        | RegistryError::Damaged { .. }
        | RegistryError::CompilerSlow { .. }
        | RegistryError::CompilerMissing { .. }
        | RegistryError::Storage { .. }
        | RegistryError::Sandbox(_) => (Exit::Unavailable, None),
    }
}

fn other_version(module: &ModuleName, version: Option<&u32>) -> Option<String> {
    version.map(|version| format!("such as `celeriac rollback {module} {version}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, RawConfig};
    use std::path::Path;

    fn exit(error: impl Into<anyhow::Error>) -> Exit {
        classify(&error.into()).0
    }

    #[test]
    fn an_error_means_the_same_wherever_it_comes_through() {
        let missing = || RegistryError::UnknownModule {
            module: "m".parse().unwrap(),
            similar: None,
        };
        assert_eq!(exit(missing()), Exit::NotFound);
        assert_eq!(exit(StartError::Registry(missing())), Exit::NotFound);
        assert_eq!(
            exit(anyhow::Error::new(missing()).context("while pushing")),
            Exit::NotFound
        );
        let large = || BrokerError::TooLarge {
            bytes: 2,
            allowed: 1,
        };
        assert_eq!(exit(large()), Exit::Refused);
        assert_eq!(exit(StartError::Broker(large())), Exit::Refused);
        let unreadable = RawConfig::default()
            .read_file(Path::new("/nowhere/x.toml"))
            .unwrap_err();
        assert_eq!(exit(unreadable), Exit::Usage);
        assert_eq!(exit(anyhow::anyhow!("anything else")), Exit::Failed);
    }

    fn hint(error: impl Into<anyhow::Error>) -> Option<String> {
        classify(&error.into()).1
    }

    #[test]
    fn a_hint_is_something_else_to_do() {
        let refusal = |text: &str| {
            let mut raw = RawConfig::default();
            raw.read_text(Path::new("celeriac.toml"), text).unwrap();
            Config::check(raw).unwrap_err()
        };
        assert_eq!(hint(refusal("zzz = 1\n")).as_deref(), Some(KEYS));
        assert_eq!(hint(refusal("dta = \"x\"\n")), None);
        assert_eq!(hint(refusal("[worker]\nconcurrency = 0\n")), None);
        let module = || "words".parse::<ModuleName>().unwrap();
        let no_earlier = |have| RegistryError::NoEarlier {
            module: module(),
            current: 3,
            have,
        };
        assert_eq!(
            hint(no_earlier(vec![3, 4])).as_deref(),
            Some("such as `celeriac rollback words 4`")
        );
        assert_eq!(
            hint(no_earlier(vec![3])).as_deref(),
            Some("`celeriac push FILE --name words` adds a version")
        );
        let unknown = RegistryError::UnknownVersion {
            module: module(),
            version: 9,
            have: vec![2, 3],
        };
        assert_eq!(
            hint(unknown).as_deref(),
            Some("such as `celeriac rollback words 3`")
        );
    }

    #[test]
    fn every_code_is_in_the_table() {
        for (number, exit) in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Refused,
            Exit::Unavailable,
            Exit::NotFound,
            Exit::TimedOut,
        ]
        .into_iter()
        .enumerate()
        {
            let number = u8::try_from(number).unwrap();
            assert_eq!(
                format!("{:?}", exit.code()),
                format!("{:?}", ExitCode::from(number))
            );
            assert!(TABLE.contains(&format!("\n  {number}  ")), "{exit:?}");
        }
    }
}
