//! The clients of tenants: opened when they are first needed, closed when nobody needed
//! them for a while.

use super::CallRefused;
use crate::app::client::{Client, ClientError};
use crate::clock::Clock;
use crate::config::Config;
use crate::platform::Tenant;
use crate::task::{Share, TenantName};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Most clients that are open (256): each has connections of its own.
pub const CLIENTS: usize = 256;
/// How long a client stays open that nobody uses (10 min).
const IDLE: Duration = Duration::from_secs(600);

/// The clients of all tenants.
#[derive(Debug)]
pub(super) struct Clients {
    config: Config,
    clock: Clock,
    open: Mutex<HashMap<TenantName, Arc<Slot>>>,
}

/// A place for the client of a tenant, as long as its addresses are these.
#[derive(Debug)]
struct Slot {
    addresses: Addresses,
    open: OnceCell<Lent>,
    /// When it was last asked for, milliseconds since 1970.
    used: AtomicI64,
}

type Addresses = (Option<String>, Option<String>);

/// A client that stays open as long as this is held.
pub(super) type Lent = Arc<Open>;

/// A client, and the configuration it is of.
#[derive(Debug)]
pub(super) struct Open {
    client: Client,
    pub(super) config: Config,
}

impl Deref for Open {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Slot {
    /// Tells whether nobody has it or its client.
    fn is_idle(self: &Arc<Self>) -> bool {
        let is_lent = |open: &Lent| Arc::strong_count(open) > 1;
        Arc::strong_count(self) == 1 && !self.open.get().is_some_and(is_lent)
    }
}

impl Clients {
    pub(super) fn new(config: Config, clock: Clock) -> Self {
        Self {
            config,
            clock,
            open: Mutex::default(),
        }
    }

    /// Returns the client of a tenant, opening it where it is not.
    pub(super) async fn get(&self, tenant: &Tenant) -> Result<Lent, CallRefused> {
        let (slot, over) = self.slot(tenant);
        close(over).await;
        let slot = slot?;
        let open = slot.open.get_or_try_init(|| self.open(tenant)).await?;
        Ok(Arc::clone(open))
    }

    /// Closes all that nobody uses.
    pub(super) async fn close(&self) {
        let all = std::mem::take(&mut *self.slots());
        close(all.into_values().collect()).await;
    }

    /// Returns how many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots().len()
    }

    /// Returns the place of a tenant, and what there is no place for any more.
    fn slot(&self, tenant: &Tenant) -> (Result<Arc<Slot>, CallRefused>, Vec<Arc<Slot>>) {
        let now = self.clock.now_ms();
        let oldest = now.saturating_sub(i64::try_from(IDLE.as_millis()).unwrap_or(i64::MAX));
        let addresses = (tenant.broker.clone(), tenant.result_backend.clone());
        let mut slots = self.slots();
        let is_over = |name: &TenantName, slot: &Arc<Slot>| match *name == tenant.name {
            // Whoever has the client of other addresses goes on with it.
            true => slot.addresses != addresses,
            false => slot.used.load(Ordering::Relaxed) < oldest && slot.is_idle(),
        };
        let mut over: Vec<_> = slots
            .extract_if(|name, slot| is_over(name, slot))
            .map(|(_, slot)| slot)
            .collect();
        if let Some(slot) = slots.get(&tenant.name) {
            slot.used.store(now, Ordering::Relaxed);
            return (Ok(Arc::clone(slot)), over);
        }
        if slots.len() >= CLIENTS {
            let idle = slots.iter().filter(|(_, slot)| slot.is_idle());
            let first = idle.min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
            let Some(name) = first.map(|(name, _)| name.clone()) else {
                let reason = format!("{CLIENTS} tenants are served at once; try again in a moment");
                return (Err(CallRefused::Full { reason }), over);
            };
            over.extend(slots.remove(&name));
        }
        let slot = Arc::new(Slot {
            addresses,
            open: OnceCell::new(),
            used: AtomicI64::new(now),
        });
        slots.insert(tenant.name.clone(), Arc::clone(&slot));
        (Ok(slot), over)
    }

    async fn open(&self, tenant: &Tenant) -> Result<Lent, CallRefused> {
        let wrong = |detail: String| CallRefused::Misconfigured {
            tenant: tenant.name.clone(),
            detail,
        };
        let config = of_tenant(&self.config, tenant).map_err(wrong)?;
        let client = Client::open(config.clone()).await;
        let client = client.map_err(|error: ClientError| wrong(error.to_string()))?;
        Ok(Arc::new(Open { client, config }))
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<TenantName, Arc<Slot>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes clients that nobody has; the others end with their last use.
async fn close(slots: Vec<Arc<Slot>>) {
    for slot in slots {
        let open = Arc::into_inner(slot).and_then(|slot| slot.open.into_inner());
        if let Some(open) = open.and_then(Arc::into_inner) {
            open.client.close().await;
        }
    }
}

/// Returns the configuration of a tenant's client: the same that workers serve it with.
fn of_tenant(config: &Config, tenant: &Tenant) -> Result<Config, String> {
    if tenant.name.is_default() {
        return Ok(config.clone());
    }
    let share = Share {
        suspended: tenant.suspended,
        weight: tenant.weight,
        quota: tenant.quota.clone(),
    };
    let addresses = (tenant.broker.as_deref(), tenant.result_backend.as_deref());
    let named = config.named_tenant(&tenant.name, share, &tenant.ceiling, addresses)?;
    Ok(config.of_tenant(&tenant.name, &named))
}
