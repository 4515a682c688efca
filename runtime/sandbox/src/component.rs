//! A component, compiled and linked, ready to be instantiated many times.

use crate::attempt::Attempt;
use crate::bindings::TaskPre;
use crate::bindings::exports::celeriac::task::manifest as wire;
use crate::engine::Engine;
use crate::error::{Refusal, SandboxError};
use crate::grants::Grants;
use crate::host::Host;
use crate::invoke::{self, Fault};
use crate::limits::Limits;
use crate::log::escape;
use crate::manifest::{self, AskedLimits, Param, ParamKind, RetryPolicy, TaskInfo};
use crate::outcome::Outcome;
use std::sync::Arc;

/// A component that can run attempts. Cheap to clone; the code lives as long
/// as the last clone.
#[derive(Clone)]
pub struct Component(Arc<Linked>);

struct Linked {
    engine: Engine,
    pre: TaskPre<Host>,
    imports: Vec<String>,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component")
            .field("imports", &self.0.imports)
            .finish_non_exhaustive()
    }
}

impl Component {
    pub(crate) fn load(engine: &Engine, artifact: &[u8]) -> Result<Self, SandboxError> {
        #[expect(
            unsafe_code,
            reason = "the caller of Engine::load vouches for the bytes: compile() made them"
        )]
        // SAFETY: see the reason above and the documentation of Engine::load.
        let component =
            unsafe { wasmtime::component::Component::deserialize(engine.wasmtime(), artifact) };
        let broken = |error: wasmtime::Error| SandboxError::Broken {
            reason: escape(&format!("{error:#}")),
        };
        let component = component.map_err(|error| {
            // More instances, memories or tables than a slot has: compiling
            // again would not help, and the engine has no type for it.
            if format!("{error:#}").contains("pooling allocator") {
                return broken(error);
            }
            SandboxError::Incompatible {
                reason: escape(&format!("{error:#}")),
            }
        })?;
        // The first attempt should not pay for mapping the image.
        component.initialize_copy_on_write_image().map_err(broken)?;
        let ty = component.component_type();
        let imports = ty
            .imports(engine.wasmtime())
            .map(|(name, _)| name.to_owned())
            .collect();
        let pre = engine
            .linker()
            .instantiate_pre(&component)
            .map_err(broken)?;
        let pre = TaskPre::new(pre).map_err(broken)?;
        Ok(Self(Arc::new(Linked {
            engine: engine.clone(),
            pre,
            imports,
        })))
    }

    /// Returns the names of what it imports, such as `celeriac:task/log@0.1.0`.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }

    /// Returns the native code it was loaded from, for an engine of another process.
    ///
    /// # Errors
    /// [`SandboxError::Broken`] when it cannot be written.
    pub fn artifact(&self) -> Result<Vec<u8>, SandboxError> {
        let component = self.pre().instance_pre().component();
        component.serialize().map_err(|error| SandboxError::Broken {
            reason: format!("{error:#}"),
        })
    }

    /// Asks the component what tasks it has, in a store with no grants and
    /// small limits, and checks the answer.
    ///
    /// # Errors
    /// A [`Refusal::Description`] when it fails to answer or the answer cannot
    /// be used.
    pub async fn describe(&self) -> Result<Vec<TaskInfo>, Refusal> {
        let limits = Limits::describe();
        let mut store = invoke::arm(self, &limits, Grants::default(), Attempt::default());
        let call = async {
            let task = self.pre().instantiate_async(&mut store.inner).await?;
            task.celeriac_task_manifest()
                .call_describe(&mut store.inner)
                .await
        };
        let answer = invoke::timed(&store.meter, limits.wall, call).await;
        let infos = match answer {
            Ok(infos) => infos,
            Err(error) => {
                let reason =
                    match invoke::fault(&error, store.inner.data(), &limits, self.engine().slots())
                    {
                        Fault::Guest(outcome) => words(&outcome),
                        Fault::Host(error) => error.to_string(),
                    };
                return Err(Refusal::Description { reason });
            }
        };
        manifest::check(infos.into_iter().map(read).collect())
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn pre(&self) -> &TaskPre<Host> {
        &self.0.pre
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::LimitHit(hit) => format!(
            "describe() hit its {} limit of {}",
            hit.limit.name(),
            hit.allowed
        ),
        Outcome::Trapped(trap) if trap.code == "host-call" => {
            format!("its types do not fit celeriac:task@0.1: {}", trap.message)
        }
        Outcome::Trapped(trap) => format!("describe() trapped: {}", trap.message),
        Outcome::Exited { code } => format!("describe() called exit({code})"),
        // `describe` has no other way to end.
        Outcome::Returned(_)
        | Outcome::BadResult { .. }
        | Outcome::Failed(_)
        | Outcome::Retry(_)
        | Outcome::Reject(_)
        | Outcome::Ignore
        | Outcome::Interrupted { .. } => "describe() did not answer".to_owned(),
    }
}

fn read(info: wire::TaskInfo) -> TaskInfo {
    TaskInfo {
        name: info.name,
        doc: info.doc,
        params: info.params.into_iter().map(read_param).collect(),
        result_schema: info.result_schema,
        limits: AskedLimits {
            wall_ms: info.limits.wall_ms,
            soft_wall_ms: info.limits.soft_wall_ms,
            cpu_ms: info.limits.cpu_ms,
            memory_bytes: info.limits.memory_bytes,
            result_bytes: info.limits.result_bytes,
        },
        retry: info.retry.map(|retry| RetryPolicy {
            max_retries: retry.max_retries,
            first_delay_ms: retry.first_delay_ms,
            max_delay_ms: retry.max_delay_ms,
            factor_milli: retry.factor_milli,
            jitter: retry.jitter,
            retry_kinds: retry.retry_kinds,
        }),
        at_most_once: info.at_most_once,
        wants: info.wants,
        extra: info.extra,
    }
}

fn read_param(param: wire::Param) -> Param {
    Param {
        name: param.name,
        kind: match param.kind {
            wire::ParamKind::PositionalOrKeyword => ParamKind::PositionalOrKeyword,
            wire::ParamKind::VarPositional => ParamKind::VarPositional,
            wire::ParamKind::KeywordOnly => ParamKind::KeywordOnly,
            wire::ParamKind::VarKeyword => ParamKind::VarKeyword,
        },
        required: param.required,
        default: param.default,
        schema: param.schema,
    }
}
