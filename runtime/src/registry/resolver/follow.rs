//! Following the registry, and telling others how far.

use super::module::Module;
use super::{Resolver, Snapshot};
use crate::registry::error::RegistryError;
use crate::registry::rows::{self, Announce, Leave};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a worker says that it runs.
const BEAT: Duration = Duration::from_secs(2);
/// Shortest time between two looks at the generation (50 ms): a busy file
/// commits hundreds of times a second, and almost never for the registry.
const PACE: Duration = Duration::from_millis(50);
/// How long to wait after trouble with the database.
const BACK_OFF: Duration = Duration::from_secs(1);
/// Most modules that a line of the log names.
const NAMED: usize = 12;

impl Resolver {
    /// Follows the registry until `stop`: obeys kills, loads new versions, forgets removed
    /// modules, and says every 2 s that this worker runs. Then it says that the
    /// worker ended. Run it once for each resolver.
    pub async fn run(&self, stop: CancellationToken) {
        let work = async { tokio::join!(self.follow(), self.watch(), self.beat(), self.warm()) };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = work => {}
        }
        let leave = Leave {
            id: self.0.worker.id.clone(),
        };
        if let Err(error) = self.0.registry.store().write(leave).await {
            tracing::debug!(%error, "the end of this worker was not recorded; others notice in a few seconds");
        }
    }

    /// Moves to each new generation; ends with the database.
    async fn follow(&self) {
        let store = self.0.registry.store();
        let mut watcher = store.watch();
        loop {
            if let Err(error) = self.catch_up().await {
                tracing::warn!(%error, "the registry cannot be read; this worker keeps the modules it has");
                tokio::time::sleep(BACK_OFF).await;
                continue;
            }
            tokio::time::sleep(PACE).await;
            if watcher.changed().await.is_err() {
                return;
            }
        }
    }

    /// Obeys each new kill, whatever is being loaded meanwhile; ends with the database.
    async fn watch(&self) {
        let mut watcher = self.0.registry.store().watch();
        loop {
            if let Err(error) = self.obey().await {
                tracing::warn!(%error, "it cannot be read what is killed; this worker obeys what it knows");
                tokio::time::sleep(BACK_OFF).await;
                continue;
            }
            tokio::time::sleep(PACE).await;
            if watcher.changed().await.is_err() {
                return;
            }
        }
    }

    async fn catch_up(&self) -> Result<(), RegistryError> {
        let before = self.snapshot();
        if rows::generation_now(self.0.registry.store()).await? == before.generation {
            return Ok(());
        }
        let pointers = rows::pointers(self.0.registry.store()).await?;
        let next = Snapshot::after(Some(&before), pointers);
        // What others wait for is loaded before they are told, and before the
        // first message meets it.
        let changed = next.order.iter().filter(|module| {
            let known = before.same(module);
            !known.is_some_and(|known| Arc::ptr_eq(known, module))
        });
        let mut loaded = Vec::new();
        for module in changed.take(self.0.room.modules) {
            match module.load(self.components()).await {
                Ok(()) => loaded.push(module.label()),
                Err(error) => {
                    tracing::warn!(module = %module.known_as(), %error, "a new version cannot be loaded; its first task tries again");
                }
            }
        }
        let gone = before.order.iter();
        let gone = gone.filter(|module| next.same(module).is_none());
        let removed = gone.map(|module| module.known_as()).collect();
        let generation = next.generation;
        if let Some(newest) = next.order.first() {
            next.evict(self.0.room, newest);
        }
        self.replace(next);
        say(generation, loaded, removed);
        self.announce(true).await
    }

    async fn beat(&self) {
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut first = true;
        loop {
            beats.tick().await;
            if let Err(error) = self.announce(first).await {
                tracing::warn!(%error, "this worker cannot say that it runs");
            }
            first = false;
        }
    }

    /// Loads what was not used yet, so that no first task waits for it; first of all it
    /// compiles what no engine of this kind has run, as after an upgrade. A task that needs
    /// such a module waits for it meanwhile.
    async fn warm(&self) {
        let order = self.snapshot().order.clone();
        let cold = |module: &&Arc<Module>| !module.is_loaded();
        let stale = order
            .iter()
            .filter(cold)
            .filter(|module| !module.is_compiled(self.components()));
        let stale: Vec<_> = stale.cloned().collect();
        let all = stale.len();
        if all > 0 {
            tracing::info!(
                modules = all,
                "compiling modules for this version of the engine, one after the other; their tasks wait for them"
            );
        }
        for (done, module) in (1..).zip(&stale) {
            match module.prepare(self.components()).await {
                Ok(()) => tracing::info!("compiled {} ({done} of {all})", module.label()),
                Err(error) => {
                    tracing::warn!(module = %module.known_as(), %error, "a module cannot be compiled for this version of the engine");
                }
            }
        }
        for module in order.iter().take(self.0.room.modules).filter(cold) {
            if let Err(error) = self.load(module).await {
                tracing::warn!(module = %module.known_as(), %error, "a module cannot be loaded; its first task tries again");
            }
        }
    }

    pub(super) async fn announce(&self, news: bool) -> Result<(), RegistryError> {
        let worker = self.0.worker.clone();
        let clock = self.0.registry.clock();
        let announce = Announce {
            id: worker.id,
            name: worker.name,
            pid: worker.pid,
            started_at_ms: worker.started_at.as_millisecond(),
            now_ms: clock.now_ms(),
            generation: self.generation(),
            kills: self.obeyed(),
            news,
        };
        self.0.registry.store().write(announce).await
    }
}

/// Logs what a new generation changed for this worker.
fn say(generation: u64, loaded: Vec<String>, removed: Vec<String>) {
    if !loaded.is_empty() {
        tracing::info!(generation, "loaded {}", listed(loaded));
    }
    if !removed.is_empty() {
        tracing::info!(generation, "removed {}", listed(removed));
    }
}

/// Joins names, the first twelve of them.
fn listed(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    if more > 0 {
        names.push(format!("… and {more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_up_to_twelve() {
        let names = |most: usize| (1..=most).map(|n| format!("m{n} 1")).collect::<Vec<_>>();
        assert_eq!(listed(names(2)), "m1 1, m2 1");
        assert!(listed(names(NAMED)).ends_with(", m12 1"));
        assert!(listed(names(NAMED + 3)).ends_with(", m12 1, … and 3 more"));
    }
}
