//! Names that are labels: so many, and then [`OTHER`], so that whoever chooses names cannot
//! fill the memory of the process.

use super::OTHER;
use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

/// At most `MOST` names.
#[derive(Debug, Default)]
pub(super) struct Names<const MOST: usize>(RwLock<BTreeSet<String>>);

impl<const MOST: usize> Names<MOST> {
    /// Returns the label of a name: itself, where it is one of them.
    pub(super) fn label(&self, name: &str) -> String {
        match name == OTHER || self.has(name) {
            true => name.to_owned(),
            false => OTHER.to_owned(),
        }
    }

    /// Tells whether a name is one of them; it becomes one where there is room.
    pub(super) fn has(&self, name: &str) -> bool {
        let known = |names: &BTreeSet<String>| names.contains(name);
        if known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return true;
        }
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let fits = known(&names) || names.len() < MOST;
        if fits {
            names.insert(name.to_owned());
        }
        fits
    }
}
