//! A component on this machine, run without a broker: what `celeriac build`,
//! `test` and `run` share.

use super::exit::{Exit, Problem};
use super::screen::Screen;
use crate::config::Config;
use crate::task::ModuleName;
use anyhow::Context as _;
use bytes::Bytes;
use celeriac_build::{Built, Guest, Target};
use celeriac_sandbox::{
    Attempt, Call, Component, Engine, EngineSettings, Grants, Limits, Report, TaskInfo,
};
use std::path::Path;
use std::time::Duration;

/// Attempts at once: the commands run one task after another.
const ATTEMPTS: u32 = 4;
/// Most letters in which a wrong task name may differ from the one suggested.
const NEAR: usize = 3;

/// A component, taken in as a worker would take it in.
pub(crate) struct Local {
    component: Component,
    tasks: Vec<TaskInfo>,
    defaults: Limits,
    ceiling: Limits,
}

/// Builds the crate in `folder`.
///
/// # Errors
/// When Cargo fails or no toolchain can build for the target.
pub(crate) async fn build(folder: &Path, target: Target, screen: &Screen) -> anyhow::Result<Built> {
    if !folder.join("Cargo.toml").exists() {
        let problem = Problem::usage(format!("{} is no task crate", folder.display()));
        return Err(problem.hint("celeriac new NAME makes one").into());
    }
    let _spinner = screen.spinner(format!("building {} ({target})", name(folder)));
    let guest = Guest::new(folder).target(target).quiet(true);
    Ok(tokio::task::spawn_blocking(move || guest.build()).await??)
}

/// Takes in the component of a file, as a worker with this configuration would.
///
/// # Errors
/// When it cannot be read, or a worker would refuse it.
pub(crate) async fn load(path: &Path, config: &Config, screen: &Screen) -> anyhow::Result<Local> {
    let spinner = screen.spinner(format!("compiling {}", path.display()));
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {path:?}"))?;
    let refused =
        |reason| Problem::new(Exit::Refused, format!("refused: {}: {reason}", name(path)));
    let compiled = tokio::task::spawn_blocking(move || celeriac_sandbox::compile(&bytes));
    let artifact = compiled.await?.map_err(refused)?;
    let settings = EngineSettings {
        attempts: ATTEMPTS,
        ..EngineSettings::default()
    };
    let component = Engine::new(&settings)?.load(&artifact)?;
    let tasks = component.describe().await.map_err(refused)?;
    drop(spinner);
    Ok(Local {
        component,
        tasks,
        defaults: config.limits.clone(),
        ceiling: config.ceiling.clone(),
    })
}

impl Local {
    /// Returns the tasks, as the component described them.
    pub(crate) fn tasks(&self) -> &[TaskInfo] {
        &self.tasks
    }

    /// Returns the interfaces it imports.
    pub(crate) fn imports(&self) -> &[String] {
        self.component.imports()
    }

    /// Finds a task; without a name the only one.
    ///
    /// # Errors
    /// When there is no such task, or more than one to choose from.
    pub(crate) fn task(&self, name: Option<&str>) -> Result<&TaskInfo, Problem> {
        let names: Vec<&str> = self.tasks.iter().map(|task| task.name.as_str()).collect();
        let Some(name) = name else {
            return match self.tasks.as_slice() {
                [only] => Ok(only),
                _ => {
                    Err(Problem::usage("which task?").hint(format!("it has {}", names.join(", "))))
                }
            };
        };
        if let Some(task) = self.tasks.iter().find(|task| task.name == name) {
            return Ok(task);
        }
        let near = names
            .iter()
            .map(|known| (strsim::levenshtein(known, name), known))
            .min();
        let hint = match near {
            Some((distance, known)) if distance <= NEAR => format!("did you mean '{known}'?"),
            _ => format!("it has {}", names.join(", ")),
        };
        Err(Problem::new(Exit::NotFound, format!("there is no task '{name}'")).hint(hint))
    }

    /// Runs one attempt of a task, with what it is granted, under the limits it asks for.
    ///
    /// # Errors
    /// When the sandbox itself is in trouble.
    pub(crate) async fn run(
        &self,
        task: &TaskInfo,
        (args, kwargs): (String, String),
        grants: &Grants,
        attempt: Attempt,
    ) -> anyhow::Result<Report> {
        let call = Call {
            task: task.name.clone(),
            args: Bytes::from(args),
            kwargs: Bytes::from(kwargs),
        };
        let limits = self.limits(task);
        let report = self.component.invoke(&call, &limits, grants, attempt);
        Ok(report.await?)
    }

    /// Returns what the task asks for, else the defaults; never more than may
    /// be asked for.
    fn limits(&self, task: &TaskInfo) -> Limits {
        let (asked, given, most) = (&task.limits, &self.defaults, &self.ceiling);
        let soft = asked.soft_wall_ms.map(Duration::from_millis);
        Limits {
            wall: asked
                .wall_ms
                .map_or(given.wall, Duration::from_millis)
                .min(most.wall),
            soft: soft.or(given.soft),
            cpu: asked
                .cpu_ms
                .map_or(given.cpu, Duration::from_millis)
                .min(most.cpu),
            memory: asked.memory_bytes.unwrap_or(given.memory).min(most.memory),
            result_bytes: asked
                .result_bytes
                .unwrap_or(given.result_bytes)
                .min(most.result_bytes),
            ..given.clone()
        }
    }
}

/// Returns the name of the module that a component is likely to be pushed as: that of its
/// file.
pub(crate) fn module(component: &Path) -> Option<ModuleName> {
    let stem = component.file_stem()?.to_str()?;
    stem.trim_end_matches(".unknown").parse().ok()
}

/// Returns the last part of a path, as people call what is there.
fn name(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
