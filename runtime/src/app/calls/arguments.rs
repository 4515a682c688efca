//! Which tasks there are, whether they may run, and what they take.

use super::CallRefused;
use crate::plane::CallRequest;
use crate::policy::arguments::Arguments;
use crate::registry::{Aim, Digest, Registry, RegistryError};
use crate::task::{TaskName, TenantName};
use celeriac_sandbox::TaskInfo;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Most tasks whose compiled schemas are kept (256): those used last.
const KEPT: usize = 256;
/// Calls whose arguments are compared at once: each keeps a core busy.
const COMPARING: usize = 4;

/// What was known of a task when somebody called it. A tenant learns nothing from what
/// others keep here.
type Key = (TenantName, Digest, String);

/// What tasks take.
#[derive(Debug)]
pub(super) struct Known {
    /// With the number of their last use.
    kept: Mutex<(u64, HashMap<Key, (u64, Arc<Arguments>)>)>,
    comparing: Arc<Semaphore>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            comparing: Arc::new(Semaphore::new(COMPARING)),
        }
    }
}

impl Known {
    /// Returns what a task takes, where it is there and may run.
    pub(super) async fn task(
        &self,
        registry: &Registry,
        tenant: &TenantName,
        name: &TaskName,
    ) -> Result<(Key, TaskInfo), CallRefused> {
        let unknown = || CallRefused::no_task(&name.to_string());
        let versions = match registry.versions(tenant, &name.module).await {
            Err(RegistryError::UnknownModule { .. }) => return Err(unknown()),
            versions => versions?,
        };
        let current = versions.into_iter().find(|version| version.current);
        let current = current.ok_or_else(unknown)?;
        let digest = current.digest;
        let mut tasks = current.tasks.into_iter();
        let task = tasks.find(|task| task.name == name.task);
        let task = task.ok_or_else(unknown)?;
        let kills = registry.kills(tenant).await?;
        let killed = kills.iter().find(|kill| match &kill.aim {
            // Where its messages wait until it is allowed again, they may be sent.
            _ if kill.hold => false,
            Aim::Task(whose, killed) => whose == tenant && killed == name,
            Aim::Module(whose, module) => whose == tenant && *module == name.module,
            Aim::Tenant(whose) => whose == tenant,
            Aim::Digest(killed) => *killed == digest,
        });
        match killed {
            Some(kill) => Err(CallRefused::Killed {
                reason: kill.to_string(),
            }),
            None => Ok(((tenant.clone(), digest, task.name.clone()), task)),
        }
    }

    /// Compares the arguments of a call with what its task takes.
    pub(super) async fn check(
        &self,
        (key, task): (Key, TaskInfo),
        request: &CallRequest,
    ) -> Result<(), CallRefused> {
        let given = |value: &Option<Box<RawValue>>| value.clone();
        let (args, kwargs) = (given(&request.args), given(&request.kwargs));
        let kept = self.kept(&key);
        let Ok(turn) = Arc::clone(&self.comparing).acquire_owned().await else {
            return Err(CallRefused::Broken {
                detail: "nobody compares arguments any more".to_owned(),
            });
        };
        let compare = move || {
            let _turn = turn;
            let arguments = kept.unwrap_or_else(|| Arc::new(Arguments::of(&task)));
            let (none, empty) = (raw("[]"), raw("{}"));
            let args = args.as_deref().or(none.as_deref());
            let kwargs = kwargs.as_deref().or(empty.as_deref());
            let checked = match (args, kwargs) {
                (Some(args), Some(kwargs)) => arguments.check(args, kwargs),
                _ => Ok(()),
            };
            (arguments, checked)
        };
        let compared = tokio::task::spawn_blocking(compare).await;
        let (arguments, checked) = compared.map_err(|error| CallRefused::Broken {
            detail: format!("comparing arguments with their schemas: {error}"),
        })?;
        self.keep(key, arguments);
        Ok(checked?)
    }

    fn kept(&self, key: &Key) -> Option<Arc<Arguments>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (uses, all) = &mut *kept;
        *uses += 1;
        let (used, arguments) = all.get_mut(key)?;
        *used = *uses;
        Some(Arc::clone(arguments))
    }

    fn keep(&self, key: Key, arguments: Arc<Arguments>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (uses, all) = &mut *kept;
        if !all.contains_key(&key) && all.len() >= KEPT {
            let oldest = all.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                all.remove(&oldest);
            }
        }
        all.insert(key, (*uses, arguments));
    }
}

fn raw(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_is_kept() {
        let known = Known::default();
        let task = TaskInfo {
            name: "t".to_owned(),
            doc: String::new(),
            params: Vec::new(),
            result_schema: None,
            limits: Default::default(),
            retry: None,
            at_most_once: false,
            wants: Vec::new(),
            extra: Vec::new(),
        };
        let arguments = Arc::new(Arguments::of(&task));
        let key = |at: usize| -> Key {
            (
                TenantName::default(),
                Digest::of(b"component"),
                format!("t{at}"),
            )
        };
        for at in 0..=KEPT {
            known.keep(key(at), Arc::clone(&arguments));
            assert!(known.kept(&key(0)).is_some());
        }
        assert_eq!(known.kept.lock().unwrap().1.len(), KEPT);
        assert!(known.kept(&key(1)).is_none() && known.kept(&key(KEPT)).is_some());
    }
}
