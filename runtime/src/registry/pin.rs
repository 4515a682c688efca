//! Pins, and versions by the names their authors gave them.

use super::{Registry, RegistryError, VersionRefused, rows};
use crate::task::{ModuleName, TenantName, Wanted};

/// A module that was pinned, or whose pin was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pinned {
    /// The version that runs.
    pub version: u32,
    /// The generation in which workers see it, see [`Registry::wait_live`].
    pub generation: u64,
}

impl Registry {
    /// Makes a version the current one and keeps it that, whatever is pushed: what is
    /// pushed then becomes versions that wait. `None` takes the pin away; the version stays
    /// the current one until the next push.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModule`], [`RegistryError::UnknownVersion`],
    /// [`RegistryError::Database`].
    pub async fn pin(
        &self,
        tenant: &TenantName,
        module: &ModuleName,
        version: Option<u32>,
    ) -> Result<Pinned, RegistryError> {
        self.is_own().await?;
        let pin = rows::Pin {
            tenant: tenant.clone(),
            module: module.clone(),
            version,
        };
        match self.change(pin).await? {
            rows::Pinned::Current {
                version,
                generation,
            } => Ok(Pinned {
                version,
                generation,
            }),
            rows::Pinned::UnknownModule => Err(self.unknown(tenant, module).await?),
            rows::Pinned::UnknownVersion => {
                let versions = self.versions(tenant, module).await?;
                Err(RegistryError::UnknownVersion {
                    module: module.clone(),
                    version: version.unwrap_or_default(),
                    have: versions.iter().rev().map(|one| one.version).collect(),
                })
            }
        }
    }

    /// Returns the number of a version that somebody names by its number or its release.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModule`], [`RegistryError::Version`],
    /// [`RegistryError::Database`]; a number is believed.
    pub async fn number(
        &self,
        tenant: &TenantName,
        module: &ModuleName,
        wanted: &Wanted,
    ) -> Result<u32, RegistryError> {
        let release = match wanted {
            Wanted::Number(number) => return Ok(*number),
            Wanted::Release(release) => release,
        };
        let versions = self.versions(tenant, module).await?;
        let named = versions.iter().filter_map(|one| one.release.as_ref());
        let have = named.map(ToString::to_string).collect();
        let mut found = versions.iter();
        found
            .find(|one| one.release.as_ref() == Some(release))
            .map(|one| one.version)
            .ok_or_else(|| {
                let (module, release) = (module.clone(), release.clone());
                VersionRefused::Unknown {
                    module,
                    release,
                    have,
                }
                .into()
            })
    }
}
