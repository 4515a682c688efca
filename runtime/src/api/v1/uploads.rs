//! How many components are taken in at once: each is held in memory until it is stored.

use super::Problem;
use crate::plane::Code;
use crate::task::TenantName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most uploads at once (8): 256 MiB of memory.
const UPLOADS: usize = 8;
/// Most of them of one tenant (2), so that one that is slow keeps no other out.
const OF_ONE: usize = 2;

/// Who uploads.
#[derive(Debug, Clone, Default)]
pub(super) struct Uploads(Arc<Mutex<HashMap<Option<TenantName>, usize>>>);

/// The room of one upload.
#[derive(Debug)]
pub(super) struct Room {
    uploads: Uploads,
    whose: Option<TenantName>,
}

impl Uploads {
    /// Takes the room of one upload of a tenant; operators have no tenant.
    ///
    /// # Errors
    /// 503 where there is none.
    pub(super) fn room(&self, whose: Option<&TenantName>) -> Result<Room, Problem> {
        let whose = whose.cloned();
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = now.get(&whose).copied().unwrap_or_default();
        let full = now.values().sum::<usize>() >= UPLOADS;
        if full || (own >= OF_ONE && whose.is_some()) {
            return Err(Problem::new(
                Code::TooBusy,
                format!("{UPLOADS} uploads are under way, or {OF_ONE} of this tenant"),
                "push it again in a moment",
            )
            .after(Duration::from_secs(2)));
        }
        now.insert(whose.clone(), own.saturating_add(1));
        Ok(Room {
            uploads: self.clone(),
            whose,
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut now = self
            .uploads
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let left = now.get(&self.whose).copied().unwrap_or_default();
        match left.saturating_sub(1) {
            0 => drop(now.remove(&self.whose)),
            left => drop(now.insert(self.whose.clone(), left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_that_uploads_much_keeps_no_other_out() {
        let uploads = Uploads::default();
        let name = |text: &str| text.parse::<TenantName>().unwrap();
        let (acme, other) = (name("acme"), name("other"));
        let held = [uploads.room(Some(&acme)), uploads.room(Some(&acme))];
        assert!(held.iter().all(Result::is_ok));
        let refused = uploads.room(Some(&acme)).unwrap_err();
        assert_eq!(refused.code, Code::TooBusy);
        let others = uploads.room(Some(&other)).unwrap();
        let operators: Vec<_> = (0..5).map(|_| uploads.room(None).unwrap()).collect();
        assert!(uploads.room(None).is_err() && uploads.room(Some(&other)).is_err());
        drop((held, operators));
        assert!(uploads.room(Some(&acme)).is_ok());
        drop(others);
        assert!(uploads.0.lock().unwrap().is_empty());
    }
}
