//! Tenants: made, changed, suspended and removed, one change at a time.

use super::audit::{self, Actor, Entry};
use super::{Platform, PlatformError, address, begin_change, generation, number};
use crate::policy::bound::Bound;
use crate::registry::owner;
use crate::sql::{Kind, Link, Row, SqlError, Value};
use crate::task::{Ceiling, Quota, TenantName, Weight};
use jiff::Timestamp;
use serde_json::json;
use std::fmt;

/// Most tenants (10,000): workers hold all of them.
pub const TENANTS: u64 = 10_000;
/// Most tenants of one page (1,000).
pub const PAGE: u32 = 1_000;

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

    fn with(self, terms: Terms) -> Self {
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

impl Platform {
    /// Makes a tenant.
    ///
    /// # Errors
    /// [`PlatformError::Exists`], [`PlatformError::Wrong`] for a term that cannot be,
    /// [`PlatformError::Full`], [`PlatformError::Sql`].
    pub async fn create_tenant(
        &self,
        actor: &Actor,
        name: &TenantName,
        terms: Terms,
    ) -> Result<Tenant, PlatformError> {
        check(name, &terms)?;
        let now = self.now();
        let tenant = Tenant {
            name: name.clone(),
            created_at: now,
            suspended: false,
            weight: Weight::default(),
            quota: Quota::default(),
            ceiling: Ceiling::default(),
            may: Vec::new(),
            broker: None,
            result_backend: None,
        }
        .with(terms);
        let made = async |link: &mut Link| {
            begin_change(link, 1).await?;
            if find(link, name).await?.is_some() {
                return Err(PlatformError::Exists {
                    tenant: name.clone(),
                });
            }
            let count = "SELECT count(*) FROM tenants";
            let count = number(link.rows(count, Vec::new(), &[Kind::Int]).await?)?;
            if u64::try_from(count).unwrap_or(u64::MAX) >= TENANTS {
                return Err(PlatformError::Full {
                    kind: "tenants",
                    most: TENANTS,
                    remedy: "delete those that are gone",
                });
            }
            let sql = "INSERT INTO tenants (name, created_at, suspended, weight, quota, ceiling, \
                 may, broker, result_backend) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
            link.execute(sql, values(&tenant)).await?;
            let entry = entry(actor, "tenant.create", name);
            let entry = Entry {
                became: Some(tenant.document()),
                ..entry
            };
            audit::write(link, now.as_millisecond(), &entry).await?;
            Ok(())
        };
        self.sql.transaction(true, made).await?;
        Ok(tenant)
    }

    /// Returns a tenant.
    ///
    /// # Errors
    /// [`PlatformError::NotFound`], [`PlatformError::Sql`].
    pub async fn tenant(&self, name: &TenantName) -> Result<Tenant, PlatformError> {
        let read = async |link: &mut Link| find(link, name).await;
        let found = self.sql.transaction(false, read).await?;
        found.ok_or_else(|| PlatformError::no_tenant(name))
    }

    /// Lists tenants by name: those after one, at most `limit` and at most [`PAGE`].
    ///
    /// # Errors
    /// [`PlatformError::Sql`].
    pub async fn tenants(
        &self,
        after: Option<&TenantName>,
        limit: u32,
    ) -> Result<Vec<Tenant>, PlatformError> {
        let after = after.map_or("", TenantName::as_str);
        let limit = i64::from(limit.min(PAGE));
        let read = async |link: &mut Link| {
            let sql = format!("{SELECT} WHERE name > $1 ORDER BY name LIMIT $2");
            let values = vec![Value::text(after), Value::from(limit)];
            read(link.rows(&sql, values, &KINDS).await?)
        };
        Ok(self.sql.transaction(false, read).await?)
    }

    /// Returns all tenants, for those who follow their changes, and the generation they
    /// are of.
    ///
    /// # Errors
    /// [`PlatformError::Sql`].
    pub async fn all_tenants(&self) -> Result<(i64, Vec<Tenant>), PlatformError> {
        let read = async |link: &mut Link| {
            // Read first: what is changed in between has a generation of its own.
            let generation = generation(link).await?;
            let sql = format!("{SELECT} ORDER BY name");
            let all = read(link.rows(&sql, Vec::new(), &KINDS).await?)?;
            Ok::<_, SqlError>((generation, all))
        };
        Ok(self.sql.transaction(false, read).await?)
    }

    /// Changes the terms of a tenant, and returns what it is now.
    ///
    /// # Errors
    /// [`PlatformError::NotFound`], [`PlatformError::Wrong`] for a term that cannot be,
    /// what `change` says, [`PlatformError::Sql`].
    pub async fn change_tenant(
        &self,
        actor: &Actor,
        name: &TenantName,
        change: impl FnOnce(&mut Terms) -> Result<(), PlatformError>,
    ) -> Result<Tenant, PlatformError> {
        self.replace(actor, "tenant.change", name, |tenant| {
            let mut terms = tenant.terms();
            change(&mut terms)?;
            check(name, &terms)?;
            Ok(tenant.with(terms))
        })
        .await
    }

    /// Makes the tasks of a tenant wait from now on.
    ///
    /// # Errors
    /// [`PlatformError::NotFound`], [`PlatformError::Sql`].
    pub async fn suspend_tenant(
        &self,
        actor: &Actor,
        name: &TenantName,
    ) -> Result<Tenant, PlatformError> {
        let suspend = |tenant| {
            Ok(Tenant {
                suspended: true,
                ..tenant
            })
        };
        self.replace(actor, "tenant.suspend", name, suspend).await
    }

    /// Lets the tasks of a tenant go on.
    ///
    /// # Errors
    /// [`PlatformError::NotFound`], [`PlatformError::Sql`].
    pub async fn resume_tenant(
        &self,
        actor: &Actor,
        name: &TenantName,
    ) -> Result<Tenant, PlatformError> {
        let resume = |tenant| {
            Ok(Tenant {
                suspended: false,
                ..tenant
            })
        };
        self.replace(actor, "tenant.resume", name, resume).await
    }

    /// Removes a tenant with its tokens. It must be suspended and have no modules, unless
    /// `force` is set, which removes these too.
    ///
    /// # Errors
    /// [`PlatformError::NotFound`], [`PlatformError::Refused`], [`PlatformError::Sql`].
    pub async fn delete_tenant(
        &self,
        actor: &Actor,
        name: &TenantName,
        force: bool,
    ) -> Result<(), PlatformError> {
        if name.is_default() {
            return Err(refused(
                "the tenant \"default\" owns whatever belongs to nobody else and stays; suspend it, so that its tasks wait",
            ));
        }
        let now = self.clock.now_ms();
        let removed = async |link: &mut Link| {
            begin_change(link, 1).await?;
            let tenant = find(link, name).await?;
            let tenant = tenant.ok_or_else(|| PlatformError::no_tenant(name))?;
            let modules = owner::count_modules(link, name).await?;
            let first = match (tenant.suspended, modules) {
                (false, _) => "may be at work; suspend it first, or force its removal",
                (true, 0) => "",
                (true, _) => "has modules; remove them first, or force its removal",
            };
            if !force && !first.is_empty() {
                return Err(refused(&format!("tenant \"{name}\" {first}")));
            }
            owner::remove_modules(link, name).await?;
            for sql in [
                "DELETE FROM tokens WHERE tenant = $1",
                "DELETE FROM tenants WHERE name = $1",
            ] {
                link.execute(sql, vec![Value::text(name.as_str())]).await?;
            }
            let entry = entry(actor, "tenant.delete", name);
            let entry = Entry {
                was: Some(tenant.document()),
                ..entry
            };
            audit::write(link, now, &entry).await?;
            Ok(())
        };
        let removed = self.sql.transaction(true, removed).await;
        self.cache.forget();
        removed
    }

    /// Puts another one in the place of a tenant; nothing happens where it is the same.
    async fn replace(
        &self,
        actor: &Actor,
        action: &'static str,
        name: &TenantName,
        change: impl FnOnce(Tenant) -> Result<Tenant, PlatformError>,
    ) -> Result<Tenant, PlatformError> {
        let now = self.clock.now_ms();
        let work = async |link: &mut Link| {
            begin_change(link, 0).await?;
            let was = find(link, name).await?;
            let was = was.ok_or_else(|| PlatformError::no_tenant(name))?;
            let tenant = change(was.clone())?;
            if tenant == was {
                return Ok(was);
            }
            begin_change(link, 1).await?;
            let sql = "UPDATE tenants SET created_at = $2, suspended = $3, weight = $4, \
                 quota = $5, ceiling = $6, may = $7, broker = $8, result_backend = $9 \
                 WHERE name = $1";
            link.execute(sql, values(&tenant)).await?;
            let (was, became) = differing(&was, &tenant);
            let entry = Entry {
                was: Some(was),
                became: Some(became),
                ..entry(actor, action, name)
            };
            audit::write(link, now, &entry).await?;
            Ok(tenant)
        };
        self.sql.transaction(true, work).await
    }
}

const SELECT: &str = "SELECT name, created_at, suspended, weight, quota, ceiling, may, broker, \
     result_backend FROM tenants";
const KINDS: [Kind; 9] = [
    Kind::Text,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
];

/// Reads one tenant.
pub(super) async fn find(link: &mut Link, name: &TenantName) -> Result<Option<Tenant>, SqlError> {
    let sql = format!("{SELECT} WHERE name = $1");
    let rows = link.rows(&sql, vec![Value::text(name.as_str())], &KINDS);
    Ok(read(rows.await?)?.pop())
}

fn read(rows: Vec<Row>) -> Result<Vec<Tenant>, SqlError> {
    let all = rows.into_iter().map(tenant);
    let all: Option<Vec<Tenant>> = all.collect();
    // To go on without one would be to lift its bounds, or to stop its tasks.
    all.ok_or_else(|| SqlError::Misconfigured {
        reason: "a row of a tenant cannot be read; restore the database, or use the celeriac that wrote it"
            .to_owned(),
    })
}

fn tenant(mut row: Row) -> Option<Tenant> {
    Some(Tenant {
        name: row.text()?.parse().ok()?,
        created_at: Timestamp::from_millisecond(row.int()?).ok()?,
        suspended: row.int()? != 0,
        weight: u32::try_from(row.int()?).ok()?.try_into().ok()?,
        quota: serde_json::from_str(&row.text()?).ok()?,
        ceiling: serde_json::from_str(&row.text()?).ok()?,
        may: serde_json::from_str(&row.text()?).ok()?,
        broker: row.text(),
        result_backend: row.text(),
    })
}

fn values(tenant: &Tenant) -> Vec<Value> {
    vec![
        Value::text(tenant.name.as_str()),
        Value::from(tenant.created_at.as_millisecond()),
        Value::from(i64::from(tenant.suspended)),
        Value::from(i64::from(tenant.weight.get())),
        Value::text(&json!(tenant.quota).to_string()),
        Value::text(&json!(tenant.ceiling).to_string()),
        Value::text(&json!(tenant.may).to_string()),
        Value::maybe(tenant.broker.as_deref()),
        Value::maybe(tenant.result_backend.as_deref()),
    ]
}

fn entry<'a>(actor: &'a Actor, action: &'static str, name: &'a TenantName) -> Entry<'a> {
    Entry {
        actor,
        action,
        tenant: Some(name),
        subject: name.as_str(),
        was: None,
        became: None,
    }
}

/// The members of two tenants that are not the same, and of an address whose password
/// alone is another, that it is.
fn differing(was: &Tenant, became: &Tenant) -> (serde_json::Value, serde_json::Value) {
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

fn check(name: &TenantName, terms: &Terms) -> Result<(), PlatformError> {
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

fn refused(reason: &str) -> PlatformError {
    PlatformError::Refused {
        reason: reason.to_owned(),
    }
}
