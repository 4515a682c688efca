//! Requests that wait for tasks, counted: each holds a connection and a watch.

use super::CallRefused;
use crate::task::TenantName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most requests that wait for tasks, streams of events among them (1,000).
pub const WAITERS: usize = 1_000;
/// Most of them for tasks of one tenant (100).
pub const WAITERS_OF_A_TENANT: usize = 100;

/// Counts them.
#[derive(Debug, Default, Clone)]
pub(super) struct Waiting(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of: HashMap<TenantName, usize>,
}

/// A place among those who wait, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    waiting: Waiting,
    tenant: TenantName,
}

impl Waiting {
    /// Takes a place.
    pub(super) fn take(&self, tenant: &TenantName) -> Result<Place, CallRefused> {
        let mut counts = self.counts();
        let own = counts.of.get(tenant).copied().unwrap_or(0);
        for (waiting, most, whose) in [
            (own, WAITERS_OF_A_TENANT, "of this tenant"),
            (counts.all, WAITERS, "here"),
        ] {
            if waiting >= most {
                return Err(CallRefused::TooManyWaiting { waiting, whose });
            }
        }
        counts.all += 1;
        counts.of.insert(tenant.clone(), own + 1);
        Ok(Place {
            waiting: self.clone(),
            tenant: tenant.clone(),
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.waiting.counts();
        counts.all = counts.all.saturating_sub(1);
        match counts.of.get_mut(&self.tenant) {
            Some(own) if *own > 1 => *own -= 1,
            Some(_) => drop(counts.of.remove(&self.tenant)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_and_all_together_have_only_so_many_places_and_get_them_back() {
        let waiting = Waiting::default();
        let tenant = |at: usize| format!("t{at}").parse::<TenantName>().unwrap();
        let one: Vec<_> = (0..WAITERS_OF_A_TENANT)
            .map(|_| waiting.take(&tenant(0)).unwrap())
            .collect();
        let refused = waiting.take(&tenant(0)).unwrap_err().to_string();
        assert!(
            refused.contains("100 requests wait for tasks of this tenant"),
            "{refused}"
        );
        let others: Vec<_> = (WAITERS_OF_A_TENANT..WAITERS)
            .map(|at| waiting.take(&tenant(at)).unwrap())
            .collect();
        let refused = waiting.take(&tenant(1)).unwrap_err().to_string();
        assert!(
            refused.contains("1000 requests wait for tasks here"),
            "{refused}"
        );
        drop(one);
        assert!(waiting.take(&tenant(0)).is_ok());
        drop(others);
        let counts = waiting.counts();
        assert_eq!((counts.all, counts.of.len()), (0, 0));
    }
}
