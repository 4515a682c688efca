//! A component taken into the sandbox.

use crate::call::TaskCall;
use crate::error::HarnessError;
use crate::host::host;
use crate::run::Run;
use crate::{artifact, build};
use celeriac_build::Target;
use celeriac_sandbox::{Component, TaskInfo};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A component that a worker would accept, ready to run. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Module(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    component: Component,
    tasks: Vec<TaskInfo>,
}

type Known = Mutex<HashMap<(PathBuf, Target), Result<Module, Arc<HarnessError>>>>;

impl Module {
    /// Builds the crate in `folder` and takes its component in, once per process
    /// and target; [`module!`](crate::module) calls it for the crate under test.
    ///
    /// # Panics
    /// When the crate does not build or a worker would refuse the component,
    /// with the reason.
    #[track_caller]
    #[must_use]
    pub fn build(folder: impl AsRef<Path>, target: Target) -> Self {
        static KNOWN: OnceLock<Known> = OnceLock::new();
        let key = (folder.as_ref().to_owned(), target);
        let known = KNOWN.get_or_init(Known::default);
        // Held while building: the other tests of this process need the same.
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let module = known.entry(key).or_insert_with(|| {
            let component = build::component(folder.as_ref(), target)?;
            Self::try_open(component)
        });
        let module = module.clone();
        drop(known);
        or_panic(module)
    }

    /// Takes in the component of a file.
    ///
    /// # Panics
    /// When it cannot be read or a worker would refuse it, with the reason.
    #[track_caller]
    #[must_use]
    pub fn open(path: impl AsRef<Path>) -> Self {
        or_panic(Self::try_open(path))
    }

    /// Takes in the component of a file.
    ///
    /// # Errors
    /// When it cannot be read, or a worker would refuse it.
    pub fn try_open(path: impl AsRef<Path>) -> Result<Self, Arc<HarnessError>> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(HarnessError::file("read", path))?;
        let artifact = artifact::artifact(path, &bytes)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::load(name.trim_end_matches(".unknown"), &artifact)
    }

    /// Takes in a component that is in memory, under a name for reports.
    ///
    /// # Errors
    /// When a worker would refuse it.
    pub fn from_bytes(name: &str, component: &[u8]) -> Result<Self, Arc<HarnessError>> {
        Self::load(name, &artifact::compile(component)?)
    }

    fn load(name: &str, artifact: &[u8]) -> Result<Self, Arc<HarnessError>> {
        let host = host()?;
        let component = host.engine.load(artifact).map_err(HarnessError::Sandbox)?;
        let tasks = host
            .runtime
            .block_on(component.describe())
            .map_err(HarnessError::Refused)?;
        Ok(Self(Arc::new(Inner {
            name: name.to_owned(),
            component,
            tasks,
        })))
    }

    /// Runs a task with positional arguments under the limits it asks for.
    ///
    /// # Panics
    /// When the sandbox itself is in trouble.
    #[track_caller]
    #[must_use]
    pub fn call(&self, task: &str, args: Vec<Value>) -> Run {
        self.task(task).args(args).run()
    }

    /// Starts a call of a task; its methods set the circumstances, and
    /// [`TaskCall::run`] runs it.
    pub fn task(&self, name: &str) -> TaskCall {
        TaskCall::new(self.clone(), name)
    }

    /// Returns the module's name: that of its file or crate.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns what the component says about its tasks.
    #[must_use]
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.0.tasks
    }

    /// Returns the interfaces the component imports.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        self.0.component.imports()
    }

    pub(crate) fn component(&self) -> &Component {
        &self.0.component
    }
}

#[track_caller]
#[expect(
    clippy::panic,
    reason = "a test learns of a bad module by a panic at its own line"
)]
fn or_panic(module: Result<Module, Arc<HarnessError>>) -> Module {
    match module {
        Ok(module) => module,
        Err(error) => panic!("{error}"),
    }
}
