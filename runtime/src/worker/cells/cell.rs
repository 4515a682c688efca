//! One cell, from the side of its worker: a process, and the attempts that it runs.

use super::runs::{Event, Runs};
use super::wire::{self, Order, ToCell};
use crate::confine::Names;
use crate::registry::{Digest, Loaded};
use bytes::Bytes;
use celeriac_sandbox::SandboxError;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Most components of one cell (8): one for each version of a module that was pushed
/// meanwhile. Then another cell takes its place, and the old code is freed.
const CODES: usize = 8;
/// Most that is told of what a cell prints (64 KiB).
const PRINTED: u64 = 64 << 10;

/// The program of a cell.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

/// A process that runs guests.
#[derive(Debug)]
pub(super) struct Cell {
    /// Without a bound: each run adds four at most, and ends only when it was told.
    orders: mpsc::UnboundedSender<ToCell>,
    codes: Mutex<HashMap<Digest, u32>>,
    runs: Arc<Runs>,
    next: AtomicU64,
    /// The names of hosts as it reads them, where it has a network at all.
    names: Option<Names>,
    kill: CancellationToken,
}

/// A run of a cell; dropped, its guest ends.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) number: u64,
    pub(super) events: mpsc::Receiver<Event>,
    cell: Arc<Cell>,
}

impl Cell {
    /// Starts the process, and what reads and writes for it.
    pub(super) fn start(
        program: &Program,
        group: &str,
        network: bool,
        tasks: &mut JoinSet<()>,
        runtime: &tokio::runtime::Handle,
    ) -> io::Result<Arc<Self>> {
        let _runtime = runtime.enter();
        let mut child = Command::new(&program.path)
            .arg0("celeriac")
            .args(&program.arguments)
            .args(network.then_some("--network"))
            // It needs nothing of ours: it runs what nobody vouches for.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Control-C at a terminal is for the worker, which lets tasks end.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let names = network.then(Names::now);
        let (orders, orders_out) = mpsc::unbounded_channel();
        let cell = Arc::new(Self {
            orders,
            codes: Mutex::default(),
            runs: Arc::default(),
            next: AtomicU64::new(0),
            names,
            kill: CancellationToken::new(),
        });
        if let Some(stdin) = child.stdin.take() {
            tasks.spawn_on(give(stdin, orders_out, Arc::clone(&cell.runs)), runtime);
        }
        if let Some(stderr) = child.stderr.take() {
            tasks.spawn_on(repeat(stderr, group.to_owned()), runtime);
        }
        let stdout = child.stdout.take();
        let (runs, kill) = (Arc::clone(&cell.runs), cell.kill.clone());
        let watched = watch_over(child, stdout, runs, kill, group.to_owned());
        tasks.spawn_on(watched, runtime);
        Ok(cell)
    }

    /// Tells whether its guests can send by HTTP.
    pub(super) fn has_network(&self) -> bool {
        self.names.is_some()
    }

    /// Tells whether it takes another run of this code.
    pub(super) fn takes(&self, digest: Digest) -> bool {
        if self.names.as_ref().is_some_and(Names::are_old) {
            return false;
        }
        let codes = unpoisoned(&self.codes);
        let has_room = codes.len() < CODES || codes.contains_key(&digest);
        has_room && self.runs.why_gone().is_none() && !self.kill.is_cancelled()
    }

    /// Tells whether nothing runs in it.
    pub(super) fn is_idle(&self) -> bool {
        self.runs.is_empty()
    }

    /// Begins a run.
    pub(super) fn begin(
        self: &Arc<Self>,
        code: &Loaded,
        mut order: Order,
    ) -> Result<Run, SandboxError> {
        order.run = self.next.fetch_add(1, Ordering::Relaxed);
        let number = order.run;
        let progress = order.facts.progress.take();
        let bill = order.facts.bill.open();
        let events = self.runs.add(number, &order.limits, progress, bill)?;
        // From here on its drop takes the entry away again.
        let run = Run {
            number,
            events,
            cell: Arc::clone(self),
        };
        let mut codes = unpoisoned(&self.codes);
        order.code = match codes.get(&code.digest) {
            Some(known) => *known,
            None => {
                let number = u32::try_from(codes.len()).unwrap_or(u32::MAX);
                let artifact = Bytes::from(code.component.artifact()?);
                let load = ToCell::Load {
                    code: number,
                    artifact,
                };
                self.say(load);
                codes.insert(code.digest, number);
                number
            }
        };
        // While the codes are locked, so that no run overtakes its code.
        self.say(ToCell::Run(Box::new(order)));
        Ok(run)
    }

    /// Says something; a cell that is gone does not hear it, and its runs know.
    pub(super) fn say(&self, order: ToCell) {
        let _gone = self.orders.send(order);
    }

    /// Ends the process, and says why to all its runs.
    pub(super) fn kill(&self, why: &str) {
        self.runs.gone(why);
        self.kill.cancel();
    }

    /// Says why it is gone.
    pub(super) fn lost(&self) -> SandboxError {
        SandboxError::Lost {
            reason: self
                .runs
                .why_gone()
                .unwrap_or_else(|| "it was stopped".to_owned()),
        }
    }
}

impl Drop for Cell {
    /// Nobody waits for it any more: whatever still runs in it is not to go on.
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

impl Run {
    pub(super) fn cell(&self) -> &Cell {
        &self.cell
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let run = self.number;
        if self.cell.runs.drop_one(run) {
            self.cell.say(ToCell::Cancel { run });
        }
    }
}

async fn give(mut stdin: ChildStdin, mut orders: mpsc::UnboundedReceiver<ToCell>, runs: Arc<Runs>) {
    while let Some(order) = orders.recv().await {
        // Before it has it all: it may answer at once.
        runs.says(&order);
        // Whoever reads its answers sees how it ended.
        if wire::write(&mut stdin, &order).await.is_err() {
            return;
        }
    }
}

/// Passes on what a cell tells until it ends, and ends it when it must.
async fn watch_over(
    mut child: Child,
    stdout: Option<ChildStdout>,
    runs: Arc<Runs>,
    kill: CancellationToken,
    group: String,
) {
    let told = async {
        let Some(mut stdout) = stdout else {
            return "it has no standard output".to_owned();
        };
        loop {
            let message = match wire::read(&mut stdout, || runs.most()).await {
                Ok(Some(message)) => message,
                Ok(None) => return String::new(),
                Err(error) => return format!("it said nonsense: {error}"),
            };
            if let Err(wrong) = runs.told(message) {
                return wrong;
            }
        }
    };
    let mut why = tokio::select! {
        why = told => why,
        () = kill.cancelled() => "it was killed".to_owned(),
        () = runs.disobeyed() => "it did not end a run that it was told to end".to_owned(),
    };
    if why.is_empty() {
        // Nothing more comes: it is about to end by itself, unless it only pretends.
        let ended = tokio::time::timeout(Duration::from_secs(1), child.wait()).await;
        why = match ended {
            Ok(Ok(status)) => format!("it ended with {status}"),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it closed its standard output".to_owned(),
        };
    }
    runs.gone(&why);
    if let Err(error) = child.kill().await {
        tracing::error!(%error, group, "a process of guests cannot be killed");
    }
    tracing::debug!(group, why, "a process of guests is gone");
}

/// Repeats what a cell prints, as far as it is not too much.
async fn repeat(stderr: ChildStderr, group: String) {
    let mut lines = BufReader::new(stderr.take(PRINTED)).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line: String = String::from_utf8_lossy(&line)
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        tracing::warn!(group, line, "a process of guests says");
    }
}

/// Takes a lock whose data no panic can leave half changed.
pub(super) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
