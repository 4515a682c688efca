//! The cell's side: `celeriac cell`. It runs what it is told, and tells what came of it.

use super::cell::unpoisoned;
use super::wire::{self, Ask, FromCell, Order, TO_CELL, ToCell, Trouble};
use celeriac_sandbox::{
    Component, Engine, EngineSettings, Interrupt, SandboxError, Sender, Sending, Signature,
    SubmitError, When, Wish,
};
use std::collections::HashMap;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

/// Messages that wait to be told (64): whoever has more to tell waits.
const TOLD: usize = 64;

/// Runs guests for the worker on the other end of standard input and output, until that
/// ends. The whole of the subcommand `celeriac cell`.
#[must_use]
pub fn serve(attempts: u32, threads: usize) -> ExitCode {
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
struct Floor {
    told: mpsc::Sender<FromCell>,
    runs: Mutex<HashMap<u64, Guest>>,
}

/// A guest that runs.
#[derive(Debug)]
struct Guest {
    interrupt: Interrupt,
    /// Where it waits for the answer to its wish.
    answer: Option<oneshot::Sender<Result<String, SubmitError>>>,
    end: Option<AbortHandle>,
}

async fn work(attempts: u32) -> io::Result<()> {
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
    while let Some(order) = wire::read(&mut stdin, TO_CELL).await? {
        while guests.try_join_next().is_some() {}
        match order {
            ToCell::Load { code, artifact } => {
                let component = engine.load(&artifact.0);
                codes.insert(code, component.map_err(|error| error.to_string()));
            }
            ToCell::Run(order) => {
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
                if let Some(end) = unpoisoned(&floor.runs).remove(&run).and_then(|one| one.end) {
                    end.abort();
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
    let guest = Guest {
        interrupt,
        answer: None,
        end: None,
    };
    unpoisoned(&floor.runs).insert(run, guest);
    let end = guests.spawn(attempt(Arc::clone(floor), component, order));
    if let Some(guest) = unpoisoned(&floor.runs).get_mut(&run) {
        guest.end = Some(end);
    }
}

/// Runs one attempt, and tells how far it is and how it ended.
async fn attempt(floor: Arc<Floor>, component: Result<Component, String>, order: Order) {
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
    facts.sender = Some(Arc::new(Post {
        floor: Arc::clone(&floor),
        run,
    }));
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
    unpoisoned(&floor.runs).remove(&run);
    let end = match end {
        Ok(report) => Ok(Box::new(report)),
        Err(SandboxError::Busy { slots }) => Err(Trouble::Busy { slots }),
        Err(error) => Err(Trouble::Broken {
            reason: error.to_string(),
        }),
    };
    floor.tell(FromCell::Done { run, end }).await;
}

impl Floor {
    async fn tell(&self, message: FromCell) {
        // Without anybody to tell, the process ends.
        let _ended = self.told.send(message).await;
    }
}

/// Passes on what a guest wants sent.
#[derive(Debug)]
struct Post {
    floor: Arc<Floor>,
    run: u64,
}

impl Post {
    async fn ask(&self, ask: Ask) -> Result<String, SubmitError> {
        let run = self.run;
        let (answer, answered) = oneshot::channel();
        if let Some(guest) = unpoisoned(&self.floor.runs).get_mut(&run) {
            guest.answer = Some(answer);
        }
        self.floor.tell(FromCell::Wish { run, ask }).await;
        let gone = |_| SubmitError::Unavailable("the worker is gone".to_owned());
        answered.await.map_err(gone)?
    }
}

impl Sender for Post {
    fn send<'a>(&'a self, wish: &'a Wish, when: When, index: u32) -> Sending<'a> {
        let wish = wish.clone();
        Box::pin(self.ask(Ask::Wish { wish, when, index }))
    }

    fn replace<'a>(&'a self, signature: &'a Signature) -> Sending<'a> {
        let signature = signature.clone();
        Box::pin(self.ask(Ask::Replace { signature }))
    }
}
