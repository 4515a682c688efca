//! The cell's side: `celeriac cell`. It runs what it is told, and tells what came of it.

use super::cell::unpoisoned;
use super::post::Post;
use super::wire::{self, Answer, FromCell, Octets, Order, TO_CELL, ToCell, Trouble};
use crate::confine;
use celeriac_sandbox::{
    Bill, Component, Egress, Engine, EngineSettings, Interrupt, Report, SandboxError,
};
use std::collections::HashMap;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Messages that wait to be told (64): whoever has more to tell waits.
const TOLD: usize = 64;

/// Runs guests for the worker on the other end of standard input and output, until that
/// ends; only with a network they may send by HTTP. The whole of the subcommand `celeriac cell`.
#[must_use]
pub fn serve(attempts: u32, threads: usize, network: bool) -> ExitCode {
    // Before there are threads.
    let _walls = confine::cell(network);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .enable_all()
        .build();
    let served = runtime.and_then(|runtime| {
        let served = runtime.block_on(work(attempts));
        // Reading standard input holds a thread that nothing wakes.
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is gone.
            drop(io::Write::write_all(
                &mut io::stderr(),
                format!("{error}\n").as_bytes(),
            ));
            ExitCode::FAILURE
        }
    }
}

/// What the cell has, and who runs in it.
#[derive(Debug)]
pub(super) struct Floor {
    told: mpsc::Sender<FromCell>,
    runs: Mutex<HashMap<u64, Guest>>,
}

/// A guest that runs.
#[derive(Debug)]
struct Guest {
    interrupt: Interrupt,
    /// Where it waits for the answer to its wish.
    answer: Option<oneshot::Sender<Answer>>,
    /// Ends it for nobody.
    end: CancellationToken,
}

async fn work(attempts: u32) -> io::Result<()> {
    // A service manager stops all processes of a service at once, and the worker first
    // lets tasks end: whoever feeds a cell ends it.
    let _ignored = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    ];
    let settings = EngineSettings {
        attempts,
        ..EngineSettings::default()
    };
    let engine = Engine::new(&settings).map_err(io::Error::other)?;
    let (told, mut out) = mpsc::channel(TOLD);
    let floor = Arc::new(Floor {
        told,
        runs: Mutex::default(),
    });
    let tell = async move {
        let mut stdout = tokio::io::stdout();
        while let Some(message) = out.recv().await {
            wire::write(&mut stdout, &message).await?;
        }
        Ok(())
    };
    tokio::select! {
        ended = hear(&engine, &floor) => ended,
        broken = tell => broken,
    }
}

/// Does what it is told until nobody is there.
async fn hear(engine: &Engine, floor: &Arc<Floor>) -> io::Result<()> {
    let mut stdin = tokio::io::stdin();
    let mut codes: HashMap<u32, Result<Component, String>> = HashMap::new();
    let mut guests = JoinSet::new();
    let mut egress = Egress::default();
    while let Some(order) = wire::read(&mut stdin, || TO_CELL).await? {
        while guests.try_join_next().is_some() {}
        match order {
            ToCell::Egress {
                settings,
                authorities,
            } => {
                let authorities = authorities.into_iter().map(|Octets(one)| one);
                egress = Egress::trusting(settings, authorities.collect());
            }
            ToCell::Load { code, artifact } => {
                let component = engine.load(&artifact);
                codes.insert(code, component.map_err(|error| error.to_string()));
            }
            ToCell::Run(mut order) => {
                order.facts.egress = egress.clone();
                let component = codes.get(&order.code).cloned();
                let component = component.unwrap_or_else(|| Err("it was not loaded".to_owned()));
                begin(floor, &mut guests, component, *order);
            }
            ToCell::Interrupt { run, reason } => {
                if let Some(guest) = unpoisoned(&floor.runs).get(&run) {
                    guest.interrupt.raise(reason);
                }
            }
            ToCell::Cancel { run } => {
                // One that has ended is told of already.
                if let Some(guest) = unpoisoned(&floor.runs).get(&run) {
                    guest.end.cancel();
                }
            }
            ToCell::Answer { run, answer } => {
                let mut runs = unpoisoned(&floor.runs);
                let waits = runs.get_mut(&run).and_then(|guest| guest.answer.take());
                // It may have ended meanwhile.
                let _gone = waits.map(|waits| waits.send(answer));
            }
        }
    }
    Ok(())
}

fn begin(
    floor: &Arc<Floor>,
    guests: &mut JoinSet<()>,
    component: Result<Component, String>,
    mut order: Order,
) {
    let run = order.run;
    let interrupt = Interrupt::default();
    order.facts.interrupt = interrupt.clone();
    let bill = Bill::default();
    order.facts.bill = bill.clone();
    let end = CancellationToken::new();
    let guest = Guest {
        interrupt,
        answer: None,
        end: end.clone(),
    };
    unpoisoned(&floor.runs).insert(run, guest);
    let floor = Arc::clone(floor);
    guests.spawn(async move {
        let cancelled = end
            .run_until_cancelled(attempt(&floor, component, order))
            .await;
        unpoisoned(&floor.runs).remove(&run);
        // One of both, when its sandbox is gone and its place is free: nothing follows.
        let last = match cancelled {
            Some(end) => FromCell::Done { run, end },
            None => {
                bill.closed().await;
                let usage = bill.total();
                FromCell::Ended { run, usage }
            }
        };
        floor.tell(last).await;
    });
}

/// Runs one attempt, tells how far it is, and returns how it ended.
async fn attempt(
    floor: &Arc<Floor>,
    component: Result<Component, String>,
    order: Order,
) -> Result<Box<Report>, Trouble> {
    let Order {
        run,
        code: _,
        call,
        limits,
        grants,
        mut facts,
    } = order;
    let (progress, mut latest) = watch::channel(None);
    facts.progress = Some(progress);
    let post = Arc::new(Post::new(Arc::clone(floor), run));
    facts.keeper = Some(post.clone());
    facts.sender = Some(post);
    let invoked = async {
        match component {
            Ok(component) => component.invoke(&call, &limits, &grants, facts).await,
            Err(reason) => Err(SandboxError::Broken { reason }),
        }
    };
    tokio::pin!(invoked);
    let end = loop {
        tokio::select! {
            biased;
            end = &mut invoked => break end,
            Ok(()) = latest.changed() => {
                let progress = latest.borrow_and_update().clone();
                if let Some(progress) = progress {
                    floor.tell(FromCell::Progress { run, progress }).await;
                }
            }
        }
    };
    match end {
        Ok(report) => Ok(Box::new(report)),
        Err(SandboxError::Busy { slots }) => Err(Trouble::Busy { slots }),
        Err(error) => Err(Trouble::Broken {
            reason: error.to_string(),
        }),
    }
}

impl Floor {
    /// Remembers where a guest waits for an answer.
    pub(super) fn waits(&self, run: u64, answer: oneshot::Sender<Answer>) {
        if let Some(guest) = unpoisoned(&self.runs).get_mut(&run) {
            guest.answer = Some(answer);
        }
    }

    pub(super) async fn tell(&self, message: FromCell) {
        // Without anybody to tell, the process ends.
        let _ended = self.told.send(message).await;
    }
}
