//! What a tenant is: its terms, which of them can be, and what is told of it.

use super::{PlatformError, address};
use crate::policy::bound::Bound;
use crate::task::{Ceiling, Quota, TenantName, Weight};
use jiff::Timestamp;
use serde_json::json;
use std::fmt;

/// Largest bound: what JSON holds exactly everywhere.
const MOST: u64 = 1 << 53;

/// A tenant: whose modules and tasks are.
#[derive(Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name.
    pub name: TenantName,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether its tasks wait and nothing of it can be changed by its own tokens.
    pub suspended: bool,
    /// Its share of the cores beside others who want them.
    pub weight: Weight,
    /// How much it may use.
    pub quota: Quota,
    /// The most that one attempt may have.
    pub ceiling: Ceiling,
    /// What its modules may reach at most.
    pub may: Vec<String>,
    /// The address of its broker, with its password; `None`: the configuration's.
    pub broker: Option<String>,
    /// The address of its result backend, with its password; `None`: the configuration's.
    pub result_backend: Option<String>,
}

/// What can be changed of a tenant; by default it may reach nothing and is bounded by
/// the configuration alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// As in [`Tenant`], like all the rest.
    pub weight: Weight,
    /// How much it may use.
    pub quota: Quota,
    /// The most that one attempt may have.
    pub ceiling: Ceiling,
    /// What its modules may reach at most.
    pub may: Vec<String>,
    /// The address of its broker, with its password.
    pub broker: Option<String>,
    /// The address of its result backend, with its password.
    pub result_backend: Option<String>,
}

impl Tenant {
    /// Returns what can be changed of it.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            weight: self.weight,
            quota: self.quota.clone(),
            ceiling: self.ceiling.clone(),
            may: self.may.clone(),
            broker: self.broker.clone(),
            result_backend: self.result_backend.clone(),
        }
    }

    pub(super) fn with(self, terms: Terms) -> Self {
        Self {
            name: self.name,
            created_at: self.created_at,
            suspended: self.suspended,
            weight: terms.weight,
            quota: terms.quota,
            ceiling: terms.ceiling,
            may: terms.may,
            broker: terms.broker,
            result_backend: terms.result_backend,
        }
    }

    /// Returns what the audit and programs are told of it: no passwords.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        let shown = |address: &Option<String>| address.as_deref().map(address::redacted);
        json!({
            "name": self.name,
            "created_at": self.created_at.to_string(),
            "suspended": self.suspended,
            "weight": self.weight,
            "quota": self.quota,
            "ceiling": self.ceiling,
            "may": self.may,
            "broker": shown(&self.broker),
            "result_backend": shown(&self.result_backend),
        })
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tenant {}", self.document())
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |address: &Option<String>| address.as_deref().map(address::redacted);
        f.debug_struct("Terms")
            .field("weight", &self.weight)
            .field("quota", &self.quota)
            .field("ceiling", &self.ceiling)
            .field("may", &self.may)
            .field("broker", &shown(&self.broker))
            .field("result_backend", &shown(&self.result_backend))
            .finish()
    }
}

/// The members of two tenants that are not the same, and of an address whose password
/// alone is another, that it is.
pub(super) fn differing(was: &Tenant, became: &Tenant) -> (serde_json::Value, serde_json::Value) {
    let (mut old, mut new) = (was.document(), became.document());
    let hidden = [
        ("broker", was.broker != became.broker),
        (
            "result_backend",
            was.result_backend != became.result_backend,
        ),
    ];
    if let (Some(old), Some(new)) = (old.as_object_mut(), new.as_object_mut()) {
        let changed = |key: &str, now: Option<&serde_json::Value>, then: &serde_json::Value| {
            now != Some(then) || hidden.contains(&(key, true))
        };
        old.retain(|key, value| changed(key, new.get(key), value));
        new.retain(|key, _| old.contains_key(key));
    }
    (old, new)
}

/// Checks whether a tenant can have these terms.
pub(super) fn check(name: &TenantName, terms: &Terms) -> Result<(), PlatformError> {
    let may = Bound::read(&terms.may);
    may.map_err(|error| PlatformError::Wrong {
        field: "may",
        reason: error.to_string(),
    })?;
    numbers(terms)?;
    let addresses = [
        ("broker", &terms.broker),
        ("result_backend", &terms.result_backend),
    ];
    for (field, address) in addresses {
        let Some(text) = address else { continue };
        if name.is_default() {
            return Err(PlatformError::Wrong {
                field,
                reason: "the tenant \"default\" has that of the configuration".to_owned(),
            });
        }
        match field {
            "broker" => address::broker(text)?,
            _ => address::results(text)?,
        }
    }
    Ok(())
}

/// Checks that each bound is one: with 0 a tenant would wait for ever without being told
/// to, and beyond what JSON holds exactly programs would read another one.
fn numbers(terms: &Terms) -> Result<(), PlatformError> {
    let (quota, ceiling) = (&terms.quota, &terms.ceiling);
    for (field, number) in [
        ("quota.concurrency", quota.concurrency.map(u64::from)),
        (
            "quota.starts_per_minute",
            quota.starts_per_minute.map(u64::from),
        ),
        ("quota.queue_depth", quota.queue_depth),
        ("quota.module_bytes", quota.module_bytes),
        ("quota.result_bytes", quota.result_bytes),
        ("quota.cpu_per_hour_seconds", quota.cpu_per_hour_seconds),
        ("quota.cpu_per_day_seconds", quota.cpu_per_day_seconds),
        ("ceiling.wall_ms", ceiling.wall_ms),
        ("ceiling.cpu_ms", ceiling.cpu_ms),
        ("ceiling.memory_bytes", ceiling.memory_bytes),
    ] {
        if number.is_some_and(|number| !(1..=MOST).contains(&number)) {
            return Err(PlatformError::Wrong {
                field,
                reason: format!("it is 1 to {MOST}, or left out; to stop a tenant, suspend it"),
            });
        }
    }
    Ok(())
}
