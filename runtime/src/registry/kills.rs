//! The kill switch: tasks, modules, tenants and components that must not run, on any worker
//! that shares this registry, until somebody allows them again.
//!
//! A kill is a row, so that it outlives every process. Workers follow these rows apart
//! from new versions ([`Resolver::run`](super::Resolver::run)): who must stop something
//! does not wait for code that is loaded.

use super::digest::Digest;
use super::error::RegistryError;
use super::presence::{LiveReport, Wanted};
use super::rows::{self, Lift, Put};
use super::{Registry, moment};
use crate::task::{Exception, ModuleName, TaskName, TenantName};
use jiff::Timestamp;
use std::fmt;
use std::time::Duration;

/// Most kills of a tenant at a time (1,000), and of components: every worker keeps them in
/// memory.
pub(super) const KILLS: u32 = 1_000;
/// Most kills of all tenants together (10,000), so that no number of tenants fills the memory
/// of a worker.
pub(super) const KILLS_OF_ALL: u32 = 10_000;
/// Longest reason, characters: callers read it with every task that is refused.
const REASON: usize = 500;

/// What a kill is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aim {
    /// One task of a tenant, in whichever version of its module.
    Task(TenantName, TaskName),
    /// All tasks of a module of a tenant, whatever is pushed under its name.
    Module(TenantName, ModuleName),
    /// All tasks of a tenant.
    Tenant(TenantName),
    /// All tasks of a component, under whichever name and of whichever tenant.
    Digest(Digest),
}

/// Something that must not run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    /// What it is about.
    pub aim: Aim,
    /// Why, in the operator's words; empty where none were given.
    pub reason: String,
    /// Whether messages wait until it is allowed again, instead of failing.
    pub hold: bool,
    /// Since when.
    pub killed_at: Timestamp,
}

impl Aim {
    /// Returns the word for rows, flags and JSON.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Task(..) => "task",
            Self::Module(..) => "module",
            Self::Tenant(_) => "tenant",
            Self::Digest(_) => "digest",
        }
    }

    /// Returns the tenant it is about; `None` where it is about all.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantName> {
        match self {
            Self::Task(tenant, _) | Self::Module(tenant, _) | Self::Tenant(tenant) => Some(tenant),
            Self::Digest(_) => None,
        }
    }

    /// Returns the tenant as it stands in rows: empty where it is about all.
    pub(super) fn owner(&self) -> &str {
        self.tenant().map_or("", TenantName::as_str)
    }

    /// Returns the name, or the 64 digits.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Task(_, name) => name.to_string(),
            Self::Module(_, name) => name.to_string(),
            Self::Tenant(name) => name.to_string(),
            Self::Digest(digest) => digest.hex(),
        }
    }

    /// Returns the command that allows it again.
    #[must_use]
    pub fn undo(&self) -> String {
        let what = match self {
            Self::Task(..) | Self::Module(..) | Self::Digest(_) => {
                format!("{} {}", self.kind(), self.name())
            }
            Self::Tenant(_) => "all".to_owned(),
        };
        let whose = match self.tenant() {
            Some(tenant) if !tenant.is_default() => format!(" --tenant {tenant}"),
            Some(_) | None => String::new(),
        };
        format!("celeriac kill --undo --{what}{whose}")
    }

    pub(super) fn read((tenant, kind, name): (&str, &str, &str)) -> Option<Self> {
        let owner = || tenant.parse::<TenantName>().ok();
        match kind {
            "task" => Some(Self::Task(owner()?, name.parse().ok()?)),
            "module" => Some(Self::Module(owner()?, name.parse().ok()?)),
            "tenant" => Some(Self::Tenant(owner()?)),
            "digest" => name.parse().ok().map(Self::Digest),
            _ => None,
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(_, name) => write!(f, "task {name}"),
            Self::Module(_, name) => write!(f, "module {name}"),
            Self::Tenant(name) => return write!(f, "tenant {name}"),
            Self::Digest(digest) => return write!(f, "component {digest}"),
        }?;
        match self.tenant() {
            Some(tenant) if !tenant.is_default() => write!(f, " of tenant {tenant}"),
            Some(_) | None => Ok(()),
        }
    }
}

impl Kill {
    /// Returns what a task fails with that is stopped or refused by it.
    #[must_use]
    pub fn exception(&self) -> Exception {
        let text = format!("{self}; `{}` allows it again", self.aim.undo());
        Exception::new("celeriac", "Killed", text)
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.as_str() {
            "" => write!(f, "{} is killed", self.aim),
            reason => write!(f, "{} is killed: {reason}", self.aim),
        }
    }
}

impl Registry {
    /// Kills something, and returns the number from which on workers obey, see
    /// [`Registry::wait_obeyed`]: attempts that run end as FAILURE, and what comes is
    /// refused the same way, or waits where `hold` says so. Killing it again replaces
    /// the reason. A digest may be that of a component that nobody pushed yet.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModule`], [`RegistryError::UnknownTask`],
    /// [`RegistryError::NoModules`], [`RegistryError::Reason`], [`RegistryError::KillsFull`],
    /// [`RegistryError::Database`]; then nothing is killed.
    pub async fn kill(&self, aim: Aim, reason: &str, hold: bool) -> Result<u64, RegistryError> {
        self.is_own().await?;
        let reason = reason.trim();
        if reason.chars().count() > REASON || reason.chars().any(char::is_control) {
            return Err(RegistryError::Reason { most: REASON });
        }
        self.is_there(&aim).await?;
        let canary = match &aim {
            Aim::Digest(digest) => Some(rows::AbortKilled { digest: *digest }),
            Aim::Task(..) | Aim::Module(..) | Aim::Tenant(_) => None,
        };
        let put = Put {
            aim,
            reason: reason.to_owned(),
            hold,
            now_ms: self.clock().now_ms(),
        };
        let written = self.change(put).await?;
        let number = written.ok_or(RegistryError::KillsFull { most: KILLS })?;
        if let Some(abort) = canary {
            self.store().write(abort).await?;
        }
        Ok(number)
    }

    /// Allows again what was killed, and returns the number from which on workers know;
    /// `None` where there is no such kill.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn unkill(&self, aim: Aim) -> Result<Option<u64>, RegistryError> {
        self.is_own().await?;
        self.change(Lift { aim }).await
    }

    /// Lists what is killed of a tenant, the oldest first: what is its own, and of the
    /// components those that it has.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn kills(&self, tenant: &TenantName) -> Result<Vec<Kill>, RegistryError> {
        let kills = self.all_kills().await?;
        if kills.is_empty() {
            return Ok(kills);
        }
        let has = rows::digests_of(self.store(), tenant).await?;
        let is_its = |kill: &Kill| match &kill.aim {
            Aim::Digest(digest) => has.contains(digest),
            aim @ (Aim::Task(..) | Aim::Module(..) | Aim::Tenant(_)) => {
                aim.tenant() == Some(tenant)
            }
        };
        Ok(kills.into_iter().filter(is_its).collect())
    }

    /// Lists what is killed of all tenants, the oldest first: for the operator alone.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn all_kills(&self) -> Result<Vec<Kill>, RegistryError> {
        Ok(rows::kills(self.store()).await?.kills)
    }

    /// Returns the components of all tenants whose digest begins so, at most three of them:
    /// for the operator alone.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn digests(&self, beginning: &str) -> Result<Vec<Digest>, RegistryError> {
        rows::digests(self.store(), beginning).await
    }

    /// Waits until every worker that runs obeys all kills up to a number, at most for
    /// `timeout`, and tells how many do. Does not wait when none runs.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn wait_obeyed(
        &self,
        kills: u64,
        timeout: Duration,
    ) -> Result<LiveReport, RegistryError> {
        self.wait(Wanted::Kills(kills), timeout).await
    }

    /// Refuses to take a component in that is killed: not even its description is run.
    pub(super) async fn is_allowed(&self, digest: Digest) -> Result<(), RegistryError> {
        let kills = self.all_kills().await?.into_iter();
        let mut kills = kills.filter(|kill| kill.aim == Aim::Digest(digest));
        match kills.next() {
            Some(kill) => Err(RegistryError::Killed {
                kill: Box::new(kill),
            }),
            None => Ok(()),
        }
    }

    /// Checks that a kill is about something: a name with a wrong letter stops nothing.
    async fn is_there(&self, aim: &Aim) -> Result<(), RegistryError> {
        let (tenant, module) = match aim {
            Aim::Digest(_) => return Ok(()),
            Aim::Tenant(tenant) => {
                return match rows::has_modules(self.store(), tenant).await? {
                    true => Ok(()),
                    false => Err(RegistryError::NoModules {
                        tenant: tenant.clone(),
                    }),
                };
            }
            Aim::Module(tenant, module) => (tenant, module),
            Aim::Task(tenant, task) => (tenant, &task.module),
        };
        let versions = match self.versions(tenant, module).await {
            // Attempts of a module that was removed go on.
            Err(RegistryError::UnknownModule { .. })
                if rows::was_there(self.store(), tenant, module).await? =>
            {
                return Ok(());
            }
            versions => versions?,
        };
        let Aim::Task(_, task) = aim else {
            return Ok(());
        };
        let mut tasks = versions.iter().flat_map(|version| &version.tasks);
        match tasks.any(|known| known.name == task.task) {
            true => Ok(()),
            false => Err(RegistryError::UnknownTask { task: task.clone() }),
        }
    }
}

/// Reads one kill of a row; `None` where it is of another version of ours.
pub(super) fn read(
    aim: (&str, &str, &str),
    reason: String,
    hold: bool,
    killed_at_ms: i64,
) -> Option<Kill> {
    Some(Kill {
        aim: Aim::read(aim)?,
        reason,
        hold,
        killed_at: moment(killed_at_ms),
    })
}
