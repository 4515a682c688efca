//! One call in the making: the arguments and the circumstances of a run.

use crate::host::host;
use crate::module::Module;
use crate::run::Run;
use crate::submitted::Outbox;
use bytes::Bytes;
use celeriac_sandbox::{
    Attempt, Call, Drawer, Egress, EgressLimits, EgressSettings, Grants, Interrupt, Interruption,
    Keeper, Limits, Report, SandboxError, Secret, Sender,
};
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Progress updates a run remembers: more than any test looks at, while a task
/// that sends millions is still bounded.
const PROGRESS_KEPT: usize = 1_000;

/// A call of one task with its circumstances. Unset ones are those of a first
/// attempt: no retries, first delivery, queue `celery`, no headers.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until `run`"]
pub struct TaskCall {
    module: Module,
    call: Call,
    limits: Limits,
    attempt: Attempt,
    interrupt: Option<(Duration, Interruption)>,
    http_limits: EgressLimits,
    grants: Grants,
    kept: Drawer,
}

impl TaskCall {
    pub(crate) fn new(module: Module, task: &str) -> Self {
        let limits = limits(&module, task);
        let attempt = Attempt {
            keep_progress: PROGRESS_KEPT,
            ..Attempt::default()
        };
        let call = Call {
            task: task.to_owned(),
            args: Bytes::from_static(b"[]"),
            kwargs: Bytes::from_static(b"{}"),
        };
        Self {
            module,
            call,
            limits,
            attempt,
            interrupt: None,
            http_limits: EgressLimits::default(),
            grants: Grants::default(),
            kept: Drawer::default(),
        }
    }

    /// Sets the positional arguments; see [`args!`](crate::args).
    pub fn args(self, args: Vec<Value>) -> Self {
        self.raw_args(Value::Array(args).to_string())
    }

    /// Sets the keyword arguments; see [`kwargs!`](crate::kwargs).
    pub fn kwargs<K: Into<String>>(self, kwargs: impl IntoIterator<Item = (K, Value)>) -> Self {
        let kwargs: Map<String, Value> = kwargs
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect();
        self.raw_kwargs(Value::Object(kwargs).to_string())
    }

    /// Sets the positional arguments as the bytes a message would carry, which
    /// need not be a JSON array.
    pub fn raw_args(mut self, args: impl Into<Bytes>) -> Self {
        self.call.args = args.into();
        self
    }

    /// Sets the keyword arguments as the bytes a message would carry.
    pub fn raw_kwargs(mut self, kwargs: impl Into<Bytes>) -> Self {
        self.call.kwargs = kwargs.into();
        self
    }

    /// Changes the limits, which are those the task asks for over the defaults
    /// of a worker.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Sets how often the task was retried before.
    pub fn retries(mut self, retries: u32) -> Self {
        self.attempt.retries = retries;
        self
    }

    /// Sets the number of retries after which the task fails.
    pub fn max_retries(mut self, max_retries: u32) -> Self {
        self.attempt.max_retries = Some(max_retries);
        self
    }

    /// Sets how often the message was delivered, this time included.
    pub fn deliveries(mut self, deliveries: u32) -> Self {
        self.attempt.deliveries = deliveries;
        self
    }

    /// Sets the task id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.attempt.id = id.into();
        self
    }

    /// Sets the id of the workflow's first task.
    pub fn root_id(mut self, id: impl Into<String>) -> Self {
        self.attempt.root_id = Some(id.into());
        self
    }

    /// Sets the id of the task that sent this one.
    pub fn parent_id(mut self, id: impl Into<String>) -> Self {
        self.attempt.parent_id = Some(id.into());
        self
    }

    /// Sets the queue the message comes from.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.attempt.queue = queue.into();
        self
    }

    /// Adds a message header the task may read.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attempt.headers.insert(name.into(), value.into());
        self
    }

    /// Grants the task to send a task: a name, or the beginning of one and a `*`.
    /// Nothing is really sent; [`Run::submitted`] tells what would be.
    pub fn may_submit(mut self, task: impl Into<String>) -> Self {
        self.grants.submit.push(task.into());
        self
    }

    /// Grants the task a configuration value.
    pub fn value(mut self, name: impl Into<String>, value: &str) -> Self {
        self.grants.values.insert(name.into(), value.into());
        self
    }

    /// Grants the task a secret.
    pub fn secret(mut self, name: impl Into<String>, secret: &str) -> Self {
        self.grants.secrets.insert(name.into(), Secret::new(secret));
        self
    }

    /// Grants the task a key-value store with room for so many bytes. It is empty, and of this
    /// run alone; [`Run::kept`] tells what is in it at the end.
    pub fn key_value(mut self, bytes: u64) -> Self {
        self.grants.key_value = bytes;
        self
    }

    /// Puts a value into the key-value store.
    pub fn kept(self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.kept.put(key.into(), value.into());
        self
    }

    /// Grants the task so many bytes of scratch files.
    pub fn scratch(mut self, bytes: u64) -> Self {
        self.grants.scratch = bytes;
        self
    }

    /// Grants the task to reach a host by HTTP, as the key `http` of an operator's
    /// `[grants.WHOM]` does: `api.example.com`, `*.example.org:8443`,
    /// `http://127.0.0.1:8080`. Requests are really sent.
    ///
    /// # Panics
    /// When it is no host.
    #[track_caller]
    #[expect(clippy::panic, reason = "a test learns of it at its own line")]
    pub fn may_reach(mut self, host: &str) -> Self {
        match host.parse() {
            Ok(host) => self.grants.http.hosts.push(host),
            Err(error) => panic!("{host:?}: {error}"),
        }
        self
    }

    /// Grants the task to connect to addresses that are not of the public internet, as
    /// the key `http_private` does: `127.0.0.1`, `10.1.2.0/24`.
    ///
    /// # Panics
    /// When it is no network.
    #[track_caller]
    #[expect(clippy::panic, reason = "a test learns of it at its own line")]
    pub fn may_connect(mut self, network: &str) -> Self {
        match network.parse() {
            Ok(network) => self.grants.http.private.push(network),
            Err(error) => panic!("{network:?}: {error}"),
        }
        self
    }

    /// Changes what the task may use of HTTP, which is the default of a worker.
    pub fn http_limits(mut self, change: impl FnOnce(&mut EgressLimits)) -> Self {
        change(&mut self.http_limits);
        self
    }

    /// Asks the task to stop after some time, as a revoke, a shutdown or the
    /// soft limit does. With zero it is asked before it starts.
    pub fn interrupt_after(mut self, time: Duration, reason: Interruption) -> Self {
        self.interrupt = Some((time, reason));
        self
    }

    /// Runs the task once, in a memory of its own.
    ///
    /// # Panics
    /// When the sandbox itself is in trouble; whatever the task does is a [`Run`].
    #[track_caller]
    #[must_use]
    #[expect(
        clippy::panic,
        reason = "a test learns of trouble by a panic at its own line"
    )]
    pub fn run(self) -> Run {
        let name = format!("{}.{}", self.module.name(), self.call.task);
        let limits = self.limits.clone();
        let host = match host() {
            Ok(host) => host,
            Err(error) => panic!("{name}: {error}"),
        };
        let outbox = Arc::new(Outbox::default());
        // A call may be cloned and run again, each time with what was put there.
        let kept = Arc::new(self.kept.clone());
        match host.runtime.block_on(self.invoke(&outbox, &kept)) {
            Ok(report) => Run::new(name, limits, report, (outbox.take(), kept.take())),
            Err(error) => panic!("{name}: {error}"),
        }
    }

    async fn invoke(
        mut self,
        outbox: &Arc<Outbox>,
        kept: &Arc<Drawer>,
    ) -> Result<Report, SandboxError> {
        // A call that was cloned and ran already may have raised its own.
        let interrupt = Interrupt::default();
        self.attempt.interrupt = interrupt.clone();
        let component = self.module.component().clone();
        let sender: Arc<dyn Sender> = outbox.clone();
        self.attempt.sender = Some(sender);
        self.attempt.egress = Egress::new(EgressSettings {
            limits: self.http_limits,
            ..EgressSettings::default()
        })?;
        let keeper: Arc<dyn Keeper> = kept.clone();
        self.attempt.keeper = Some(keeper);
        let grants = self.grants;
        let raise = async {
            match self.interrupt {
                Some((time, reason)) if time.is_zero() => interrupt.raise(reason),
                Some((time, reason)) => {
                    tokio::time::sleep(time).await;
                    interrupt.raise(reason);
                }
                None => {}
            }
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            never = raise => match never {},
            report = component.invoke(&self.call, &self.limits, &grants, self.attempt) => report,
        }
    }
}

/// Returns what a worker would allow the task that has no tenant: what it asks
/// for, else the defaults.
fn limits(module: &Module, task: &str) -> Limits {
    let mut limits = Limits::default();
    let Some(info) = module.tasks().iter().find(|info| info.name == task) else {
        return limits;
    };
    let asked = &info.limits;
    if let Some(wall) = asked.wall_ms {
        limits.wall = Duration::from_millis(wall);
    }
    limits.soft = asked
        .soft_wall_ms
        .map(Duration::from_millis)
        .or(limits.soft);
    if let Some(cpu) = asked.cpu_ms {
        limits.cpu = Duration::from_millis(cpu);
    }
    limits.memory = asked.memory_bytes.unwrap_or(limits.memory);
    limits.result_bytes = asked.result_bytes.unwrap_or(limits.result_bytes);
    limits
}
