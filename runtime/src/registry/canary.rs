//! Canaries: a new version that gets a share of the tasks, beside the current one.
//!
//! Which tasks, and when it has failed, [`crate::policy::canary`] says. Every worker adds
//! up in memory how runs end, and adds that to one row each second; whoever finds there
//! that the canary fails ends it, for all of them.

use super::rows::{self, Order, Steer, Steered, Tally};
use super::{Registry, RegistryError, VersionRefused};
use crate::policy::canary::{Ends, Rule};
use crate::task::{ModuleName, Portion, TenantName};
use jiff::Timestamp;

/// The last canary of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryInfo {
    /// The version that is, or was, the canary.
    pub version: u32,
    /// The share of the tasks it gets.
    pub share: Portion,
    /// Whether it runs, or how it ended.
    pub state: CanaryState,
    /// Why it was aborted; empty where it was not.
    pub reason: String,
    /// When it began.
    pub began_at: Timestamp,
    /// When it is aborted by itself.
    pub rule: Rule,
    /// Runs of it that ended.
    pub canary: Ends,
    /// Runs of the current version that ended since it began.
    pub current: Ends,
}

/// How far a canary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryState {
    /// It gets its share of the tasks.
    Runs,
    /// It became the current version.
    Promoted,
    /// It ended.
    Aborted,
}

impl CanaryState {
    /// Returns the word for rows and people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Promoted => "promoted",
            Self::Aborted => "aborted",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        [Self::Runs, Self::Promoted, Self::Aborted]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// What somebody wants of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryOrder {
    /// It gets this share of the tasks.
    To(Portion),
    /// It becomes the current version.
    Promote,
    /// It ends; the current version gets all tasks again.
    Abort,
}

/// A canary that was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanaryChanged {
    /// Its version.
    pub version: u32,
    /// The generation in which workers see it, see [`Registry::wait_live`].
    pub generation: u64,
}

/// Runs that ended in one worker since it told last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryEnds {
    /// Whose module it is.
    pub tenant: TenantName,
    /// The module.
    pub module: ModuleName,
    /// The version that is the canary.
    pub version: u32,
    /// Runs of it.
    pub canary: Ends,
    /// Runs of the current version.
    pub current: Ends,
}

impl Registry {
    /// Returns the last canary of a module, if it had one.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModule`], [`RegistryError::Database`].
    pub async fn canary(
        &self,
        tenant: &TenantName,
        module: &ModuleName,
    ) -> Result<Option<CanaryInfo>, RegistryError> {
        self.versions(tenant, module).await?;
        let mut canaries = rows::canaries(self.store(), tenant).await?;
        Ok(canaries.remove(module.as_str()))
    }

    /// Gives the canary of a module another share, makes it the current version, or ends it.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModule`], [`RegistryError::Version`],
    /// [`RegistryError::Database`].
    pub async fn steer(
        &self,
        tenant: &TenantName,
        module: &ModuleName,
        order: CanaryOrder,
    ) -> Result<CanaryChanged, RegistryError> {
        self.is_own().await?;
        let steer = Steer {
            tenant: tenant.clone(),
            module: module.clone(),
            version: None,
            order: match order {
                CanaryOrder::To(share) => Order::To(share),
                CanaryOrder::Promote => Order::Promote,
                CanaryOrder::Abort => Order::Abort("by hand".to_owned()),
            },
        };
        match self.change(steer).await? {
            Some(Steered {
                version,
                generation,
            }) => Ok(CanaryChanged {
                version,
                generation,
            }),
            None => {
                self.versions(tenant, module).await?;
                let module = module.clone();
                Err(VersionRefused::NoCanary { module }.into())
            }
        }
    }

    /// Adds runs that ended to those of a canary and of the current version beside it, judges
    /// it, and returns why it was aborted, where it was. What is counted of a canary that is
    /// over is dropped.
    ///
    /// # Errors
    /// [`RegistryError::Database`]; nothing was added.
    pub async fn tally(&self, ends: CanaryEnds) -> Result<Option<String>, RegistryError> {
        self.store().write(Tally { ends }).await
    }

    /// Ends the canary of a module because it cannot be loaded, if it still runs.
    pub(super) async fn give_up(
        &self,
        tenant: &TenantName,
        module: &ModuleName,
        version: u32,
        reason: String,
    ) -> Result<(), RegistryError> {
        let steer = Steer {
            tenant: tenant.clone(),
            module: module.clone(),
            version: Some(version),
            order: Order::Abort(reason.clone()),
        };
        if self.store().write(steer).await?.is_some() {
            tracing::warn!(%tenant, %module, version, reason, "the canary was aborted; the current version gets all tasks");
        }
        Ok(())
    }
}
