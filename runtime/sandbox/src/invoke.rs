//! Runs one attempt: a fresh store, limits armed before the guest's first
//! instruction, and a classified end.

mod classify;
mod json;
mod tally;

pub(crate) use classify::{FRAMES, Fault, fault};
pub(crate) use json::check_json;
pub(crate) use tally::{Exceeded, Tally};

use crate::attempt::{Attempt, Call, Progress};
use crate::bill::Open;
use crate::bindings::celeriac::task::types as shared;
use crate::bindings::exports::celeriac::task::handler as wire;
use crate::component::Component;
use crate::cpu::{Deadlines, Meter, Metered};
use crate::defence::{Defence, stands};
use crate::engine::Live;
use crate::error::SandboxError;
use crate::grants::Grants;
use crate::host::Host;
use crate::limits::Limits;
use crate::log::Log;
use crate::outcome::{Limit, LimitHit, Outcome};
use crate::submit::Submitted;
use crate::uses::{Capability, Use, Uses};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::{Store, UpdateDeadline};

/// Open component handles of one guest, as a second bound below the host's own.
const COMPONENT_HANDLES: usize = 4_096;
/// What one host call may carry beyond a result and a failure: names, fields,
/// and the lists around them.
const CALL_SLACK: u64 = 256 << 10;

/// How an attempt ended, and what it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What the guest did.
    pub outcome: Outcome,
    /// What it took.
    pub usage: Usage,
    /// What it logged.
    pub log: Log,
    /// The first [`Attempt::keep_progress`] progress updates.
    pub progress: Vec<Progress>,
    /// What it submitted.
    pub submitted: Submitted,
}

/// What an attempt took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Time from start to end, instantiation included.
    pub wall: Duration,
    /// CPU time of the threads that ran it.
    pub cpu: Duration,
    /// Highest sum of memories and tables, bytes.
    pub memory_peak_bytes: u64,
    /// Bytes that came in: the arguments, and what grants brought.
    pub bytes_in: u64,
    /// Bytes that went out: the result, and what grants took.
    pub bytes_out: u64,
    /// Calls of functions of the host, WASI's included.
    pub host_calls: u64,
    /// What it did with its grants, and what it was denied.
    pub uses: Uses,
}

impl Usage {
    /// Adds what another attempt took that ran after this one. Time passes by itself: the
    /// wall time stays as it is.
    pub fn add(&mut self, more: &Self) {
        self.cpu = self.cpu.saturating_add(more.cpu);
        self.memory_peak_bytes = self.memory_peak_bytes.max(more.memory_peak_bytes);
        self.bytes_in = self.bytes_in.saturating_add(more.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(more.bytes_out);
        self.host_calls = self.host_calls.saturating_add(more.host_calls);
        self.uses.add(&more.uses);
    }
}

/// A store with its limits armed.
pub(crate) struct Armed<'a> {
    pub(crate) inner: Store<Host>,
    pub(crate) meter: Arc<Meter>,
    deadlines: Deadlines,
    arguments: u64,
    /// What it takes goes here, when it ends or is cut off.
    bill: Option<Open>,
    _live: Live<'a>,
}

impl Component {
    /// Runs one attempt of one task in a store made for it alone.
    ///
    /// Everything the guest does is in the report. Dropping the future ends
    /// the guest at once; a guest that waits occupies no thread.
    /// The future must be polled within a Tokio runtime with time enabled.
    ///
    /// # Errors
    /// A [`SandboxError`] when the host could not run it: no attempt was made.
    pub async fn invoke(
        &self,
        call: &Call,
        limits: &Limits,
        grants: &Grants,
        attempt: Attempt,
    ) -> Result<Report, SandboxError> {
        let wanted = (call.args.len() + call.kwargs.len()) as u64;
        if wanted > limits.arguments_bytes {
            return Ok(refused(Limit::Arguments, limits.arguments_bytes, wanted));
        }
        let mut store = arm(self, limits, grants.clone(), attempt);
        store.arguments = wanted;
        let answer = {
            let inner = &mut store.inner;
            let run = async {
                let task = self.pre().instantiate_async(&mut *inner).await?;
                task.celeriac_task_handler()
                    .call_run(inner, borrow(call))
                    .await
            };
            timed(&store.meter, limits.wall, run).await
        };
        let outcome = match answer {
            Ok(Ok(payload)) => classify::returned(payload, limits),
            Ok(Err(error)) => classify::reported(error, limits, store.inner.data()),
            Err(error) => match fault(&error, store.inner.data(), limits, self.engine().slots()) {
                Fault::Guest(outcome) => outcome,
                Fault::Host(error) => return Err(error),
            },
        };
        Ok(store.report(outcome))
    }
}

impl Armed<'_> {
    fn report(mut self, outcome: Outcome) -> Report {
        let result = outcome.result().map_or(0, |result| result.len() as u64);
        let usage = self.ends(result);
        let host = self.inner.data_mut();
        Report {
            outcome,
            usage,
            log: host.log.finish(),
            progress: host.progress.take(),
            submitted: host.outbox.take(),
        }
    }

    /// Adds up what it took, and puts that on its bill.
    fn ends(&mut self, result: u64) -> Usage {
        let host = self.inner.data_mut();
        let denied = Use {
            denied: host.outbox.denied(),
            ..Use::default()
        };
        host.uses.count(Capability::Submit, denied);
        host.uses.count(Capability::Http, host.http_use());
        host.uses.count(Capability::Secrets, host.secrets_sent());
        let (bytes_in, bytes_out) = host.uses.bytes();
        let usage = Usage {
            wall: self.deadlines.started.elapsed(),
            cpu: self.meter.finished(),
            memory_peak_bytes: host.tally.peak(),
            bytes_in: bytes_in.saturating_add(self.arguments),
            bytes_out: bytes_out.saturating_add(result),
            host_calls: host.calls,
            uses: host.uses,
        };
        if let Some(bill) = self.bill.take() {
            bill.close(&usage);
        }
        usage
    }
}

impl Drop for Armed<'_> {
    /// Nobody waits for its report: it was cut off, or the host is in trouble.
    fn drop(&mut self) {
        if self.bill.is_some() {
            self.ends(0);
        }
    }
}

/// Makes a store and arms every limit, before anything is instantiated: a
/// guest's start functions run under the same limits as its task.
pub(crate) fn arm<'a>(
    component: &'a Component,
    limits: &Limits,
    grants: Grants,
    attempt: Attempt,
) -> Armed<'a> {
    let engine = component.engine();
    let bill = attempt.bill.open();
    let deadlines = Deadlines::new(limits.wall, limits.soft);
    let mut store = Store::new(
        engine.wasmtime(),
        Host::new(attempt, limits, grants, deadlines),
    );
    if stands(Defence::Memory) {
        store.limiter(|host| &mut host.tally);
    }
    let call_bytes = limits
        .result_bytes
        .max(limits.failure_bytes)
        .max(limits.arguments_bytes)
        .saturating_add(CALL_SLACK);
    if stands(Defence::HostCall) {
        store.set_hostcall_fuel(usize::try_from(call_bytes).unwrap_or(usize::MAX));
    }
    if stands(Defence::Handles) {
        store.set_max_component_handles(COMPONENT_HANDLES);
    }
    store.set_epoch_deadline(1);
    let meter = Arc::new(Meter::default());
    let (clock, cpu, wall) = (meter.clone(), limits.cpu, limits.wall);
    store.epoch_deadline_callback(move |_| {
        let spent = clock.now();
        if spent > cpu && stands(Defence::Cpu) {
            return Err(Exceeded::new(Limit::Cpu, ms(cpu), Some(ms(spent))).into());
        }
        if Instant::now() >= deadlines.hard && stands(Defence::Wall) {
            return Err(Exceeded::new(Limit::Wall, ms(wall), None).into());
        }
        // Others may want the thread; the timer may want to end this.
        Ok(if stands(Defence::Yield) {
            UpdateDeadline::Yield(1)
        } else {
            UpdateDeadline::Continue(1)
        })
    });
    Armed {
        inner: store,
        meter,
        deadlines,
        arguments: 0,
        bill: Some(bill),
        _live: engine.live(),
    }
}

/// Polls a call under the wall limit, counting its CPU time.
pub(crate) async fn timed<T>(
    meter: &Arc<Meter>,
    wall: Duration,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let call = Metered::new(meter.clone(), call);
    if !stands(Defence::Wall) {
        return call.await;
    }
    match tokio::time::timeout(wall, call).await {
        Ok(answer) => answer,
        Err(_) => Err(Exceeded::new(Limit::Wall, ms(wall), None).into()),
    }
}

fn borrow(call: &Call) -> wire::Call<'_> {
    let payload = |data| shared::PayloadParam {
        content_type: "application/json",
        data,
    };
    wire::Call {
        task: &call.task,
        args: payload(&call.args),
        kwargs: payload(&call.kwargs),
    }
}

fn refused(limit: Limit, allowed: u64, wanted: u64) -> Report {
    Report {
        outcome: Outcome::LimitHit(LimitHit {
            limit,
            allowed,
            wanted: Some(wanted),
        }),
        usage: Usage::default(),
        log: Log::default(),
        progress: Vec::new(),
        submitted: Submitted::default(),
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
