//! One cell, from the side of its worker: a process, and the attempts that it runs.

use super::wire::{self, Ask, FROM_CELL, FromCell, Order, ToCell, Trouble};
use crate::registry::{Digest, Loaded};
use bytes::Bytes;
use celeriac_sandbox::{Limits, Open, Progress, Report, SandboxError, Usage};
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
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Events of one run that wait (8): its guest waits for the answer to each but the last.
const EVENTS: usize = 8;
/// Most components of one cell (8): one for each version of a module that was pushed
/// meanwhile. Then another cell takes its place, and the old code is freed.
const CODES: usize = 8;
/// How long a run may go on that was told to end (5 s): its guest is dropped at its next
/// tick, and the rest is a busy machine.
const OBEYS: Duration = Duration::from_secs(5);
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
    /// Without a bound: each run adds a few, and runs have one.
    orders: mpsc::UnboundedSender<ToCell>,
    codes: Mutex<HashMap<Digest, u32>>,
    runs: Arc<Runs>,
    next: AtomicU64,
    kill: CancellationToken,
}

/// What is told of a run.
#[derive(Debug)]
pub(super) enum Event {
    Ask(Ask),
    Done(Result<Box<Report>, Trouble>),
}

/// A run of a cell; dropped, its guest ends.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) number: u64,
    pub(super) events: mpsc::Receiver<Event>,
    cell: Arc<Cell>,
}

#[derive(Debug)]
struct Entry {
    events: mpsc::Sender<Event>,
    progress: Option<watch::Sender<Option<Progress>>>,
    limits: Limits,
    bill: Open,
}

/// A run that was told to end.
#[derive(Debug)]
struct Cut {
    told: Instant,
    limits: Limits,
    bill: Open,
}

/// The runs of a cell while it is there, and then why it is not.
#[derive(Debug, Default)]
struct Runs(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    entries: HashMap<u64, Entry>,
    ending: HashMap<u64, Cut>,
    gone: Option<String>,
}

impl Cell {
    /// Starts the process, and what reads and writes for it.
    pub(super) fn start(
        program: &Program,
        group: &str,
        tasks: &mut JoinSet<()>,
        runtime: &tokio::runtime::Handle,
    ) -> io::Result<Arc<Self>> {
        let _runtime = runtime.enter();
        let mut child = Command::new(&program.path)
            .arg0("celeriac")
            .args(&program.arguments)
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
        let (orders, orders_out) = mpsc::unbounded_channel();
        let cell = Arc::new(Self {
            orders,
            codes: Mutex::default(),
            runs: Arc::default(),
            next: AtomicU64::new(0),
            kill: CancellationToken::new(),
        });
        if let Some(stdin) = child.stdin.take() {
            tasks.spawn_on(give(stdin, orders_out), runtime);
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

    /// Tells whether it takes another run of this code.
    pub(super) fn takes(&self, digest: Digest) -> bool {
        let codes = unpoisoned(&self.codes);
        let has_room = codes.len() < CODES || codes.contains_key(&digest);
        has_room && self.runs.lock().gone.is_none() && !self.kill.is_cancelled()
    }

    /// Tells whether nothing runs in it.
    pub(super) fn is_idle(&self) -> bool {
        self.runs.lock().entries.is_empty()
    }

    /// Begins a run.
    pub(super) fn begin(
        self: &Arc<Self>,
        code: &Loaded,
        mut order: Order,
    ) -> Result<Run, SandboxError> {
        order.run = self.next.fetch_add(1, Ordering::Relaxed);
        let number = order.run;
        let (events, told) = mpsc::channel(EVENTS);
        let progress = order.facts.progress.take();
        let entry = Entry {
            events,
            progress,
            limits: order.limits.clone(),
            bill: order.facts.bill.open(),
        };
        self.runs.add(number, entry)?;
        // From here on its drop takes the entry away again.
        let run = Run {
            number,
            events: told,
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
    pub(super) fn kill(&self, why: String) {
        self.runs.gone(why);
        self.kill.cancel();
    }

    /// Says why it is gone.
    pub(super) fn lost(&self) -> SandboxError {
        let why = self.runs.lock().gone.clone();
        SandboxError::Lost {
            reason: why.unwrap_or_else(|| "it was stopped".to_owned()),
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
        let mut state = self.cell.runs.lock();
        // An entry that is still there is a guest that still runs.
        if let Some(Entry { limits, bill, .. }) = state.entries.remove(&run) {
            let told = Instant::now();
            state.ending.insert(run, Cut { told, limits, bill });
            self.cell.say(ToCell::Cancel { run });
        }
    }
}

impl Runs {
    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(&self.0)
    }

    fn add(&self, run: u64, entry: Entry) -> Result<(), SandboxError> {
        let mut state = self.lock();
        match &state.gone {
            // It was not told of the run.
            Some(reason) => Err(SandboxError::NotStarted {
                reason: reason.clone(),
            }),
            None => {
                state.entries.insert(run, entry);
                Ok(())
            }
        }
    }

    /// The first reason stays. All runs hear that nothing follows.
    fn gone(&self, why: String) {
        let mut state = self.lock();
        state.gone.get_or_insert(why);
        state.entries.clear();
        // What they took died with it.
        state.ending.clear();
    }

    /// Passes on what a cell told; an error is what none of ours would tell.
    fn told(&self, message: FromCell) -> Result<(), String> {
        let mut state = self.lock();
        let (run, event) = match message {
            FromCell::Progress { run, progress } => {
                // Of a run that was cancelled nobody wants to know.
                if let Some(entry) = state.entries.get(&run) {
                    progress.check(&entry.limits)?;
                    let latest = entry.progress.as_ref();
                    latest.map(|latest| latest.send_replace(Some(progress)));
                }
                return Ok(());
            }
            FromCell::Ended { run, usage } => {
                return match state.ending.remove(&run) {
                    Some(cut) => cut.ended(&usage),
                    None => Ok(()),
                };
            }
            FromCell::Ask { run, ask } => (run, Event::Ask(ask)),
            FromCell::Done { run, end } => {
                if let (Some(entry), Ok(report)) = (state.entries.get(&run), &end) {
                    report.usage.check(&entry.limits)?;
                }
                // It was over when it was told to end.
                if let (Some(cut), Ok(report)) = (state.ending.remove(&run), &end) {
                    cut.ended(&report.usage)?;
                }
                // It is over: its drop has nothing to cancel.
                if let Some(Entry { events, bill, .. }) = state.entries.remove(&run) {
                    if let Ok(report) = &end {
                        bill.close(&report.usage);
                    }
                    let _nobody = events.try_send(Event::Done(end));
                }
                return Ok(());
            }
        };
        // Of a run that was cancelled nobody wants to know.
        let Some(entry) = state.entries.get(&run) else {
            return Ok(());
        };
        match entry.events.try_send(event) {
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err("it asks again before it was answered".to_owned())
            }
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }
}

impl Cut {
    /// Notes what it took, as far as that can be.
    fn ended(self, usage: &Usage) -> Result<(), String> {
        usage.check(&self.limits)?;
        self.bill.close(usage);
        Ok(())
    }
}

/// Waits until a run goes on that was to end: a kill or an order to terminate must hold
/// even where the sandbox does not.
async fn disobeys(runs: &Runs) {
    loop {
        tokio::time::sleep(OBEYS).await;
        let state = runs.lock();
        let late = |cut: &Cut| cut.told.elapsed() > OBEYS;
        if state.ending.values().any(late) {
            return;
        }
    }
}

async fn give(mut stdin: ChildStdin, mut orders: mpsc::UnboundedReceiver<ToCell>) {
    while let Some(order) = orders.recv().await {
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
            let message = match wire::read(&mut stdout, FROM_CELL).await {
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
        () = disobeys(&runs) => "it did not end a run that it was told to end".to_owned(),
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
    runs.gone(why.clone());
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
