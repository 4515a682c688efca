//! Ids that were revoked: as many as Celery's workers remember.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// Most ids that are remembered (50,000), as Celery; the oldest go first.
pub const REVOKED: usize = 50_000;
/// Longest id, bytes: no task has a longer one.
const ID_BYTES: usize = 255;

#[derive(Debug, Default)]
pub(super) struct Revoked {
    known: HashSet<Arc<str>>,
    order: VecDeque<Arc<str>>,
}

impl Revoked {
    pub(super) fn add(&mut self, ids: &[String]) {
        for id in ids.iter().filter(|id| id.len() <= ID_BYTES) {
            let id: Arc<str> = id.as_str().into();
            if !self.known.insert(Arc::clone(&id)) {
                continue;
            }
            self.order.push_back(id);
            if self.order.len() > REVOKED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.known.contains(id)
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.order.iter().map(|id| (**id).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_when_there_are_too_many() {
        let mut revoked = Revoked::default();
        let ids: Vec<String> = (0..=REVOKED).map(|id| id.to_string()).collect();
        revoked.add(&ids);
        revoked.add(&ids[1..2]);
        assert!(!revoked.contains("0") && revoked.contains("1"));
        assert_eq!(revoked.ids().len(), REVOKED);
        revoked.add(&["x".repeat(ID_BYTES + 1)]);
        assert_eq!(revoked.ids().len(), REVOKED);
    }
}
