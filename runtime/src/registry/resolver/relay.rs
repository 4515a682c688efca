//! What a worker that follows a control plane tells it: how far it is, and how runs beside
//! canaries ended.

use super::Resolver;
use super::canary::Beside;
use crate::plane::{EndsView, WorkerEnds, WorkerPresence};
use crate::policy::canary::Ends;
use crate::registry::error::RegistryError;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest reason that is told, characters.
const REASON: usize = 500;

/// What was not told yet: at most as much as canaries ran since.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<HashMap<Beside, Untold>>);

/// What was not told of one canary.
#[derive(Debug, Default)]
struct Untold {
    canary: Ends,
    current: Ends,
    unfit: Option<String>,
}

impl Outbox {
    /// Keeps runs that ended until they are told.
    pub(super) fn add(&self, beside: Beside, (canary, current): (Ends, Ends)) {
        let mut all = self.lock();
        let untold = all.entry(beside).or_default();
        untold.canary = untold.canary.and(canary);
        untold.current = untold.current.and(current);
    }

    /// Keeps why a canary cannot be loaded until it is told.
    pub(super) fn unfit(&self, beside: Beside, reason: &str) {
        let reason = reason.chars().take(REASON).collect();
        self.lock().entry(beside).or_default().unfit = Some(reason);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Beside, Untold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver {
    /// Returns the id of this worker.
    #[must_use]
    pub fn worker_id(&self) -> &str {
        &self.0.worker.id
    }

    /// Tells how far this worker is, as its control plane counts. Where it is on its way to
    /// what was told last, it is still as far as it said `before`.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn presence(
        &self,
        before: Option<&WorkerPresence>,
    ) -> Result<WorkerPresence, RegistryError> {
        let worker = &self.0.worker;
        let now = self.0.registry.reached(self.generation(), self.obeyed());
        let now = now.await?;
        let then = before.map(|before| (before.generation, before.kills));
        let reached = (
            now.generation.or(then.map(|then| then.0)).unwrap_or(0),
            now.kills.or(then.map(|then| then.1)).unwrap_or(0),
        );
        Ok(WorkerPresence {
            id: worker.id.clone(),
            name: worker.name.chars().take(60).collect(),
            pid: worker.pid,
            started_at_ms: worker.started_at.as_millisecond(),
            generation: reached.0,
            kills: reached.1,
            news: then != Some(reached),
        })
    }

    /// Takes how runs beside canaries ended that was not told yet.
    #[must_use]
    pub fn relayed(&self) -> Vec<WorkerEnds> {
        let all = self.0.outbox.lock().drain().collect::<Vec<_>>();
        let view = |ends: Ends| EndsView {
            ended: ends.ended,
            failed: ends.failed,
        };
        let told = |((tenant, module, version), untold): (Beside, Untold)| WorkerEnds {
            tenant,
            module: module.to_string(),
            version,
            canary: view(untold.canary),
            current: view(untold.current),
            unfit: untold.unfit,
        };
        all.into_iter().map(told).collect()
    }

    /// Keeps what could not be told for the next time.
    pub fn relay_again(&self, ends: Vec<WorkerEnds>) {
        let read = |view: EndsView| Ends {
            ended: view.ended,
            failed: view.failed,
        };
        for one in ends {
            // It was written by us: the name can be read.
            let Ok(module) = one.module.parse() else {
                continue;
            };
            let beside = (one.tenant, module, one.version);
            if let Some(reason) = &one.unfit {
                self.0.outbox.unfit(beside.clone(), reason);
            }
            let ends = (read(one.canary), read(one.current));
            self.0.outbox.add(beside, ends);
        }
    }
}
