//! What a process knows that is asked about single tasks.

use super::{App, StartError};
use crate::policy::grants::{self, Granted};
use crate::policy::retry::Plan;
use crate::policy::route;
use crate::registry::{Aim, Kill};
use crate::results::ResultsError;
use crate::results::orders::{PAGE, REVOCATIONS, Target};
use crate::task::{Rate, TaskId, TaskName, TenantName};
use celeriac_sandbox::{TaskInfo, Want};
use std::collections::{BTreeMap, BTreeSet};

impl App {
    /// Returns the queues that the configuration names, sorted.
    #[must_use]
    pub fn named_queues(&self) -> Vec<String> {
        let config = &self.config;
        let named = config.worker.queues.iter().chain(config.routes.values());
        let named = named.chain(config.queues.keys()).cloned();
        let all: BTreeSet<String> = named.chain([route::DEFAULT_QUEUE.to_owned()]).collect();
        all.into_iter().collect()
    }

    /// Returns the rate that the configuration has for a task.
    #[must_use]
    pub fn rate_of(&self, task: &str) -> Option<&Rate> {
        let task = self.config.aliases.get(task).map_or(task, String::as_str);
        route::find(&self.config.rates, task)?.as_ref()
    }

    /// Returns our own name of a task, whichever its callers use.
    #[must_use]
    pub fn own_name<'a>(&'a self, task: &'a str) -> &'a str {
        let own = self.config.aliases.get(task);
        own.map_or(task, String::as_str)
    }

    /// Returns the kill that keeps a task from running, if there is one.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn killed(&self, task: &str) -> Result<Option<Kill>, StartError> {
        let Ok(name) = self.own_name(task).parse::<TaskName>() else {
            return Ok(None);
        };
        let registry = self.registry().await?;
        let tenant = TenantName::default();
        let kills = registry.kills(&tenant).await?;
        if kills.is_empty() {
            return Ok(None);
        }
        let modules = registry.modules(&tenant).await?;
        let module = modules.iter().find(|known| known.name == name.module);
        let hits = |kill: &Kill| match &kill.aim {
            Aim::Task(_, task) => *task == name,
            Aim::Module(_, module) => *module == name.module,
            Aim::Tenant(_) => true,
            Aim::Digest(digest) => module.is_some_and(|known| known.digest == *digest),
        };
        let hits = kills.into_iter().filter(hits);
        Ok(hits.min_by_key(|kill| kill.hold))
    }

    /// Returns how often a task is retried at most, where it is one of ours.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn retries_of(&self, task: &str) -> Result<Option<u32>, StartError> {
        let task = self.config.aliases.get(task).map_or(task, String::as_str);
        let Some((module, name)) = task.split_once('.') else {
            return Ok(None);
        };
        let registry = self.registry().await?;
        let modules = registry.modules(&TenantName::default()).await?;
        let mut tasks = modules
            .iter()
            .filter(|known| known.name.as_str() == module)
            .flat_map(|known| &known.tasks);
        let retries = |known: &TaskInfo| {
            let worker = &self.config.worker;
            let asked = known.retry.as_ref();
            let (default, cap) = (worker.max_retries, self.config.max_retries);
            Plan::new(asked, default, worker.retry_delay, cap).max_retries
        };
        Ok(tasks.find(|known| known.name == name).map(retries))
    }

    /// Tells whether a task is revoked by its id.
    ///
    /// # Errors
    /// When the place for orders does not answer.
    pub async fn is_revoked(&self, id: &TaskId) -> Result<bool, ResultsError> {
        let (target, now) = (Target::Task(id.clone()), self.clock.now());
        let mut mark = None;
        // At most REVOCATIONS are kept, but more may come meanwhile.
        for _ in 0..=REVOCATIONS / PAGE {
            let (some, next) = self.orders.revoked(mark.as_ref()).await?;
            if some.iter().any(|it| it.target == target && it.until > now) {
                return Ok(true);
            }
            if next == mark {
                break;
            }
            mark = next;
        }
        Ok(false)
    }
}

/// Lists all that is granted to tasks of a module, each once.
pub(super) fn reach(granted: &Granted, module: &str, tasks: &[TaskInfo]) -> Vec<String> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for task in tasks {
        let reach = grants::of(granted, module, &task.name);
        all.extend(reach.reach().filter(|one| seen.insert(one.clone())));
    }
    all
}

/// Tells for everything that tasks of a module want whether all that want it have it.
pub(super) fn wants(granted: &Granted, module: &str, tasks: &[TaskInfo]) -> BTreeMap<String, Want> {
    let mut found = BTreeMap::new();
    for task in tasks {
        let grants = grants::of(granted, module, &task.name);
        for want in &task.wants {
            let known = found.entry(want.clone()).or_insert(Want::Granted);
            if *known == Want::Granted {
                *known = grants.want(want);
            }
        }
    }
    found
}
