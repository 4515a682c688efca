//! A push: from uploaded bytes to a version that runs.
//!
//! Checks come first and cost little, then the compiler in its child process,
//! then the component's own words; the rows come last, in one transaction. A
//! push that is killed on the way leaves files without rows, nothing else.

mod compared;

use super::components::Held;
use super::digest::Digest;
use super::error::{Cause, Refused, RegistryError};
use super::rows::{self, Begin, Publish};
use super::{ComingComponent, Registry};
use crate::policy::canary::Rule;
use crate::policy::compat::{Changes, Finding};
use crate::task::{ModuleName, Portion, Release, TenantName};
use bytes::Bytes;
use celeriac_sandbox::{Refusal, SandboxError, TaskInfo, inspect};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How often a push begins again when a collection took its files, or another push was
/// quicker.
const TRIES: u32 = 3;

/// How far a push is, for whoever waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushStep {
    /// The bytes are an acceptable component.
    Checked {
        /// The component.
        digest: Digest,
        /// Its size.
        bytes: u64,
    },
    /// The compiler runs; this is what takes long.
    Compiling,
    /// Native code is there.
    Compiled {
        /// How long it took; `None` when it was there before.
        took: Option<Duration>,
        /// Bytes of native code.
        bytes: u64,
    },
    /// The component told its tasks.
    Described {
        /// How many.
        tasks: usize,
    },
    /// The rows are written: workers load it now.
    Published,
}

/// What its author wants of a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// What the version is called.
    pub release: Option<Release>,
    /// Whether it may be called older than the current one.
    pub older: bool,
    /// Whether it may break callers of the current version.
    pub breaking: bool,
    /// The share of the tasks it gets, as a canary, and when it is given up.
    pub canary: Option<(Portion, Rule)>,
    /// Only look whether it would be taken, and what it would change.
    pub dry: bool,
}

/// The version that a push is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Its number.
    pub version: u32,
    /// What its author calls it.
    pub release: Option<Release>,
    /// The size of its component.
    pub bytes: u64,
}

/// A push that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The module.
    pub module: ModuleName,
    /// Its version; after a dry run 0 where it would be a new one.
    pub version: u32,
    /// What its author calls it.
    pub release: Option<Release>,
    /// Whether it is the current version now: a canary is not, nor is what waits because
    /// another version is pinned.
    pub runs: bool,
    /// The version that was current before.
    pub before: Option<Before>,
    /// What it changes, compared with that.
    pub changes: Changes,
    /// What it breaks for callers of that.
    pub breaks: Vec<Finding>,
    /// The component.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// What it says about its tasks.
    pub tasks: Vec<TaskInfo>,
    /// Names of the grants its tasks would like to have, sorted.
    pub asks_for: Vec<String>,
    /// Names of the interfaces it imports.
    pub imports: Vec<String>,
    /// Whether the module ran this very component already; no version was made.
    pub unchanged: bool,
    /// The generation in which workers see it, see [`Registry::wait_live`].
    pub generation: u64,
}

impl Registry {
    /// Takes a component in as the newest version of a module, and makes it the
    /// current one, where it breaks no callers of the version before. Safe to run at once with other pushes, of the same module
    /// too, and to drop on the way.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] with the author's fault; [`RegistryError::Version`];
    /// [`RegistryError::Killed`], [`RegistryError::Full`], [`RegistryError::Crowded`],
    /// [`RegistryError::ModuleBytes`],
    /// [`RegistryError::Collected`],
    /// [`RegistryError::CompilerSlow`], [`RegistryError::CompilerMissing`],
    /// [`RegistryError::Storage`], [`RegistryError::Database`],
    /// [`RegistryError::Sandbox`].
    pub async fn push(
        &self,
        tenant: &TenantName,
        module: &ModuleName,
        component: Bytes,
        report: &mut (dyn FnMut(PushStep) + Send),
    ) -> Result<Pushed, RegistryError> {
        let wishes = Wishes::default();
        self.push_as(tenant, module, component, &wishes, report)
            .await
    }

    /// Takes a component in as [`Registry::push`] does, as its author wishes.
    ///
    /// # Errors
    /// As [`Registry::push`].
    pub async fn push_as(
        &self,
        tenant: &TenantName,
        module: &ModuleName,
        component: Bytes,
        wishes: &Wishes,
        report: &mut (dyn FnMut(PushStep) + Send),
    ) -> Result<Pushed, RegistryError> {
        self.is_own().await?;
        let digest = self.check(module, component.clone()).await?;
        self.is_allowed(digest).await?;
        let bytes = component.len() as u64;
        report(PushStep::Checked { digest, bytes });
        for _ in 0..TRIES {
            let sweeps = rows::sweeps_now(self.store()).await?;
            let known = rows::component(self.store(), tenant, digest).await?;
            let (content, anew) = (component.clone(), known.is_none());
            self.components().put(digest, content, anew).await?;
            let _announced = match known.is_none() && !wishes.dry {
                true => self.announce(ComingComponent {
                    tenant: tenant.clone(),
                    digest,
                    bytes,
                }),
                false => None,
            };
            let subject = (tenant, module);
            let held = self
                .compiled(subject, digest, known.is_some(), report)
                .await?;
            let (tasks, imports) = self.described(module, known, &held).await?;
            report(PushStep::Described { tasks: tasks.len() });
            let compared = self.compare((tenant, module), &tasks, wishes).await?;
            let publish = Publish {
                tenant: tenant.clone(),
                module: module.clone(),
                digest,
                bytes,
                tasks: json(&tasks)?,
                imports: json(&imports)?,
                sweeps,
                file: self.components().file(digest),
                now_ms: self.clock().now_ms(),
                against: compared.before.as_ref().map(|before| before.version),
                release: wishes.release.clone(),
                older: wishes.older,
                breaks: compared.allowed()?,
                canary: wishes.canary.map(|(share, rule)| Begin { share, rule }),
                most: self.store().module_bytes(tenant),
                dry: wishes.dry,
            };
            let published = self.change(publish).await?;
            let Some(placed) = compared::placed((tenant, module), wishes, published)? else {
                continue;
            };
            if !wishes.dry {
                report(PushStep::Published);
            }
            let (named, size) = ((module, wishes.release.as_ref()), (digest, bytes));
            return Ok(compared.pushed(named, placed, (tasks, imports), size));
        }
        Err(RegistryError::Collected)
    }

    async fn check(&self, module: &ModuleName, component: Bytes) -> Result<Digest, RegistryError> {
        let checked = self
            .components()
            .blocking(move |_| Ok(inspect(&component).map(|()| Digest::of(&component))))
            .await?;
        checked.map_err(|refusal| refused(module, Cause::Unfit(refusal)))
    }

    /// Has the component compiled. What is there already is taken where `known`: where the
    /// tenant has it. A component that only others have is compiled again, so that neither the
    /// time of a push nor its words tell what others have.
    async fn compiled(
        &self,
        (tenant, module): (&TenantName, &ModuleName),
        digest: Digest,
        known: bool,
        report: &mut (dyn FnMut(PushStep) + Send),
    ) -> Result<Arc<Held>, RegistryError> {
        let components = self.components();
        let (there, subject) = (
            known && components.is_compiled(digest),
            (tenant, module.as_str()),
        );
        if !there {
            report(PushStep::Compiling);
        }
        let held = match known {
            true => components.get(digest, subject).await,
            false => components.compile_anew(digest, subject).await,
        };
        let held = match held {
            Ok(held) => held,
            Err(RegistryError::Sandbox(SandboxError::Broken { reason })) => {
                let reason = format!("it cannot be instantiated: {reason}");
                return Err(refused(
                    module,
                    Cause::Uncompilable {
                        reason,
                        remembered: None,
                    },
                ));
            }
            Err(error) => return Err(error),
        };
        let took = held.compiled.filter(|_| !there);
        report(PushStep::Compiled {
            took,
            bytes: held.bytes,
        });
        Ok(held)
    }

    /// Returns what a component says about its tasks, and what it imports. `known` is what it
    /// said when this tenant pushed it before.
    async fn described(
        &self,
        module: &ModuleName,
        known: Option<String>,
        held: &Held,
    ) -> Result<(Vec<TaskInfo>, Vec<String>), RegistryError> {
        // What an older version stored in another form is asked for again.
        let known = known.and_then(|tasks| serde_json::from_str(&tasks).ok());
        let tasks = match known {
            Some(tasks) => tasks,
            None => {
                // Never closed; were it, describing at once would be right.
                let _turn = self.describing().acquire().await;
                let described = held.component.describe().await;
                described.map_err(|refusal: Refusal| refused(module, Cause::Unfit(refusal)))?
            }
        };
        let imports = held
            .component
            .imports()
            .iter()
            .map(|name| (*name).clone())
            .collect();
        Ok((tasks, imports))
    }
}

fn refused(module: &ModuleName, cause: Cause) -> RegistryError {
    let subject = module.to_string();
    RegistryError::Refused(Box::new(Refused { subject, cause }))
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, RegistryError> {
    serde_json::to_string(value).map_err(|error| RegistryError::Storage {
        path: "tasks".into(),
        source: io::Error::other(error),
    })
}
