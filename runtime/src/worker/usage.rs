//! What the tenants of this worker used, until it is told to whoever keeps it.
//!
//! Each attempt is counted in step j. What was counted leaves in batches with a number, so
//! that one that is sent twice counts once; while nobody takes them, sums grow and not the
//! memory.

use crate::plane::{BATCH_ROWS, REST, UsageBatch, UsageRow, UsageSums};
use crate::task::{Day, TenantName};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most sums of a day, tenant and task that wait to be told (10,000, some 4 MiB); what more
/// there is counts with the rest of its tenant.
const SUMS: usize = 10_000;

/// What was used and is not told yet.
#[derive(Debug)]
pub struct Tally {
    worker: String,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sums: BTreeMap<Place, UsageSums>,
    /// What found no room, each on the day on which that began.
    rest: BTreeMap<TenantName, (Day, UsageSums)>,
    /// On its way, and perhaps there already.
    sealed: Option<UsageBatch>,
    /// The number of the batch before.
    number: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    day: Day,
    tenant: TenantName,
    module: String,
    task: String,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            // Numbers of another process, of the same name too, have nothing to do with ours.
            worker: uuid::Uuid::new_v4().simple().to_string(),
            counts: Mutex::default(),
        }
    }
}

impl Tally {
    /// Counts what runs of a task of a module took that ended on a day. There are only so
    /// many names as somebody pushed.
    pub fn count(
        &self,
        day: Day,
        tenant: &TenantName,
        (module, task): (&str, &str),
        used: &UsageSums,
    ) {
        let place = Place {
            day,
            tenant: tenant.clone(),
            module: module.to_owned(),
            task: task.to_owned(),
        };
        let mut counts = self.lock();
        let is_full = counts.sums.len() >= SUMS;
        if is_full && !counts.sums.contains_key(&place) {
            let rest = counts.rest.entry(place.tenant);
            let (_, sums) = rest.or_insert((day, UsageSums::default()));
            sums.add(used);
        } else {
            // Added, the first one too: a sum has a most, and one row over it would have
            // the batch refused with the rows of all others.
            counts.sums.entry(place).or_default().add(used);
        }
    }

    /// Returns the batch to be told next: the one before as long as it was not
    /// [`counted`](Self::counted), then one of what came since; `None` where nothing did.
    #[must_use]
    pub fn next_batch(&self) -> Option<UsageBatch> {
        let mut counts = self.lock();
        if counts.sealed.is_none() {
            counts.seal(&self.worker);
        }
        counts.sealed.clone()
    }

    /// Forgets a batch that was counted, or that nobody will ever count.
    pub fn counted(&self, batch: &UsageBatch) {
        let mut counts = self.lock();
        let is_it = |sealed: &mut UsageBatch| sealed.number == batch.number;
        drop(counts.sealed.take_if(is_it));
    }

    /// Returns all that is not told yet, together.
    #[must_use]
    pub fn untold(&self) -> UsageSums {
        let counts = self.lock();
        let mut all = UsageSums::default();
        for sums in counts.sums.values() {
            all.add(sums);
        }
        for (_, sums) in counts.rest.values() {
            all.add(sums);
        }
        for row in counts.sealed.iter().flat_map(|batch| &batch.rows) {
            all.add(&row.used);
        }
        all
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Makes a batch of the oldest sums, if there are any.
    fn seal(&mut self, worker: &str) {
        let mut rows = Vec::new();
        while rows.len() < BATCH_ROWS
            && let Some(row) = self.oldest()
        {
            rows.push(row);
        }
        if rows.is_empty() {
            return;
        }
        self.number = self.number.saturating_add(1);
        self.sealed = Some(UsageBatch {
            worker: worker.to_owned(),
            number: self.number,
            rows,
        });
    }

    fn oldest(&mut self) -> Option<UsageRow> {
        if let Some((place, used)) = self.sums.pop_first() {
            return Some(UsageRow {
                day: place.day,
                tenant: place.tenant,
                module: place.module,
                task: place.task,
                used,
            });
        }
        let (tenant, (day, used)) = self.rest.pop_first()?;
        let rest = || REST.to_owned();
        Some(UsageRow {
            day,
            tenant,
            module: rest(),
            task: rest(),
            used,
        })
    }
}

#[cfg(test)]
mod tests;
