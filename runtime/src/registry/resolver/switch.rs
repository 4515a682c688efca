//! What is killed, and what runs: where both meet, the attempt ends.

use super::{Loaded, Resolver};
use crate::defence::{Defence, stands};
use crate::registry::error::RegistryError;
use crate::registry::kills::{Aim, Kill};
use crate::registry::rows::{self, Kills};
use crate::task::{TaskName, TenantName};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The kills a worker obeys, and the attempts they may end.
#[derive(Debug, Default)]
pub(super) struct Switch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    number: u64,
    kills: HashMap<Aim, Arc<Kill>>,
    running: HashMap<u64, Run>,
    next: u64,
    /// How often an order to hold tasks ended.
    released: watch::Sender<u64>,
}

#[derive(Debug)]
struct Run {
    code: Arc<Loaded>,
    told: watch::Sender<Option<Arc<Kill>>>,
}

/// An attempt that a kill ends, while this lives.
#[derive(Debug)]
pub struct Guarded {
    place: u64,
    told: watch::Receiver<Option<Arc<Kill>>>,
    switch: Arc<Switch>,
}

impl Resolver {
    /// Tells whether a task of a tenant must not run: it, its module, the tenant, or the
    /// component that it is now.
    #[must_use]
    pub fn killed(&self, tenant: &TenantName, name: &TaskName) -> Option<Arc<Kill>> {
        if self.0.switch.lock().kills.is_empty() {
            return None;
        }
        let digest = self
            .snapshot()
            .module(tenant, &name.module)
            .map(|module| module.digest());
        let aims = [
            Some(Aim::Task(tenant.clone(), name.clone())),
            Some(Aim::Module(tenant.clone(), name.module.clone())),
            Some(Aim::Tenant(tenant.clone())),
            digest.map(Aim::Digest),
        ];
        self.0.switch.lock().find(aims.into_iter().flatten())
    }

    /// Puts an attempt under the eye of the kill switch.
    #[must_use]
    pub fn guard(&self, code: &Arc<Loaded>) -> Guarded {
        let switch = &self.0.switch;
        let mut state = switch.lock();
        let (told, hears) = watch::channel(state.of(code));
        let place = state.next;
        state.next = place.wrapping_add(1);
        let code = Arc::clone(code);
        state.running.insert(place, Run { code, told });
        Guarded {
            place,
            told: hears,
            switch: Arc::clone(switch),
        }
    }

    /// Returns the kills that this worker obeys for a tenant, the oldest first: what is its
    /// own, and of the components those that its modules run.
    #[must_use]
    pub fn kills(&self, tenant: &TenantName) -> Vec<Arc<Kill>> {
        let snapshot = self.snapshot();
        let own = snapshot.tenants.get(tenant);
        let own = own.into_iter().flat_map(|own| &own.order);
        let runs: HashSet<_> = own.map(|module| module.digest()).collect();
        let is_its = |kill: &&Arc<Kill>| match &kill.aim {
            Aim::Digest(digest) => runs.contains(digest),
            aim @ (Aim::Task(..) | Aim::Module(..) | Aim::Tenant(_)) => {
                aim.tenant() == Some(tenant)
            }
        };
        let all = &self.0.switch.lock().kills;
        let mut kills: Vec<_> = all.values().filter(is_its).cloned().collect();
        kills.sort_by(|a, b| (a.killed_at, &a.aim).cmp(&(b.killed_at, &b.aim)));
        kills
    }

    /// Tells whenever tasks are held no longer.
    #[must_use]
    pub fn released(&self) -> watch::Receiver<u64> {
        self.0.switch.lock().released.subscribe()
    }

    /// Reads the kills if they changed, ends what they are about, and tells others:
    /// what [`Resolver::run`] does whenever the registry changes.
    ///
    /// # Errors
    /// [`RegistryError::Database`]; what is known is obeyed.
    pub async fn obey(&self) -> Result<(), RegistryError> {
        let store = self.0.registry.store();
        let known = self.0.switch.number();
        if rows::kills_now(store).await? == known || !stands(Defence::Kill) {
            return Ok(());
        }
        let (new, over) = self.0.switch.learn(rows::kills(store).await?);
        for kill in new {
            tracing::info!(hold = kill.hold, "{kill}");
        }
        for kill in over {
            tracing::info!("{} may run again", kill.aim);
        }
        self.announce(true).await
    }

    /// Counts the attempts under the eye of the kill switch.
    #[cfg(test)]
    pub(crate) fn guarded(&self) -> usize {
        self.0.switch.lock().running.len()
    }

    pub(super) fn obeyed(&self) -> u64 {
        self.0.switch.number()
    }
}

impl Switch {
    pub(super) fn new(kills: Kills) -> Self {
        let switch = Self::default();
        switch.learn(kills);
        switch
    }

    fn number(&self) -> u64 {
        self.lock().number
    }

    /// Takes in what is killed now, and returns what is new of it and what is over.
    fn learn(&self, now: Kills) -> (Vec<Arc<Kill>>, Vec<Arc<Kill>>) {
        let mut state = self.lock();
        state.number = now.number;
        let kills = now.kills.into_iter();
        let kills: HashMap<_, _> = kills
            .map(|kill| (kill.aim.clone(), Arc::new(kill)))
            .collect();
        let before = std::mem::replace(&mut state.kills, kills);
        let lacks = |in_it: &HashMap<Aim, Arc<Kill>>, kill: &Kill| !in_it.contains_key(&kill.aim);
        let new = state.kills.values().filter(|kill| lacks(&before, kill));
        let new = new.cloned().collect();
        // Held before, and not now: free, or refused.
        let holds = |kill: &Arc<Kill>| state.kills.get(&kill.aim).is_some_and(|kill| kill.hold);
        if before.values().any(|kill| kill.hold && !holds(kill)) {
            state.released.send_modify(|times| *times += 1);
        }
        let over = before.values().filter(|kill| lacks(&state.kills, kill));
        let over = over.cloned().collect();
        for run in state.running.values() {
            // What was told once stays: its sandbox is gone.
            if let Some(kill) = state.of(&run.code) {
                run.told.send_if_modified(|told| match told {
                    Some(_) => false,
                    None => {
                        *told = Some(kill);
                        true
                    }
                });
            }
        }
        (new, over)
    }

    /// What a panicking thread left is still a state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The kill that code is hit by.
    fn of(&self, code: &Loaded) -> Option<Arc<Kill>> {
        if self.kills.is_empty() {
            return None;
        }
        let task = TaskName {
            module: code.module.clone(),
            task: code.task.name.clone(),
        };
        self.find([
            Aim::Task(code.tenant.clone(), task),
            Aim::Module(code.tenant.clone(), code.module.clone()),
            Aim::Tenant(code.tenant.clone()),
            Aim::Digest(code.digest),
        ])
    }

    /// The narrowest kill of these; one that does not hold goes first, as it is the
    /// harder.
    fn find(&self, aims: impl IntoIterator<Item = Aim>) -> Option<Arc<Kill>> {
        let found = aims.into_iter().filter_map(|aim| self.kills.get(&aim));
        found.min_by_key(|kill| kill.hold).cloned()
    }
}

impl Guarded {
    /// Tells by what the attempt is killed, if it is.
    #[must_use]
    pub fn killed(&self) -> Option<Arc<Kill>> {
        self.told.borrow().clone()
    }

    /// Resolves when the attempt is to end at once. Cancel-safe.
    pub async fn ended(&self) -> Arc<Kill> {
        let mut told = self.told.clone();
        loop {
            if let Some(kill) = told.borrow_and_update().clone() {
                return kill;
            }
            if told.changed().await.is_err() {
                // Its sender lives as long as this does.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.switch.lock().running.remove(&self.place);
    }
}
