//! Tenants: made, changed, suspended and removed, one change at a time.

mod rows;

pub(super) use rows::find;

use super::audit::{self, Actor, Entry};
use super::tenant::{Tenant, Terms, check, differing};
use super::{Platform, PlatformError, begin_change, generation, number, usage};
use crate::registry::owner;
use crate::sql::{Kind, Link, SqlError, Value};
use crate::task::{Ceiling, Quota, TenantName, Weight};
use rows::{KINDS, SELECT, read, values};

/// Most tenants (10,000): workers hold all of them.
pub const TENANTS: u64 = 10_000;
/// Most tenants of one page (1,000).
pub const PAGE: u32 = 1_000;

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
            usage::put_aside(link, name, now).await?;
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

fn refused(reason: &str) -> PlatformError {
    PlatformError::Refused {
        reason: reason.to_owned(),
    }
}
