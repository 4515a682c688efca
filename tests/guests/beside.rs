//! Runs guests beside a neighbour: on one thread, with the host's memory measured.

use crate::bystanders::{Peak, call, load};
use celeriac_harness::{Limits, Outcome, mib, ms};
use celeriac_sandbox::{Attempt, Call, Component, Engine, EngineSettings, Grants};
use std::cell::Cell;
use std::sync::Arc;
use tokio::sync::Notify;

/// What the host may hold for one guest beyond the guest's own memory: a result, a log,
/// what a call carries, and the neighbour.
const BESIDE: u64 = mib(48);
/// Runs of the neighbour beside each guest.
const RUNS: u32 = 3;
/// The ending of a guest that nobody waits for any more.
pub(crate) const ABANDONED: &str = "abandoned";

/// A guest, what it is given, and the endings it may come to.
pub(crate) struct Row {
    pub(crate) name: String,
    component: Component,
    pub(crate) call: Call,
    pub(crate) limits: Limits,
    pub(crate) grants: Grants,
    pub(crate) attempt: Attempt,
    /// After this, and after its neighbour, nobody waits for it any more.
    pub(crate) abandoned: Option<Arc<Notify>>,
    pub(crate) endings: &'static [&'static str],
}

impl Row {
    pub(crate) fn new(component: &Component, task: &str, endings: &'static [&'static str]) -> Self {
        Self {
            name: task.to_owned(),
            component: component.clone(),
            call: call(task),
            limits: soon(),
            grants: Grants::default(),
            attempt: Attempt::default(),
            abandoned: None,
            endings,
        }
    }

    async fn run(&self) -> Outcome {
        let attempt = self.attempt.clone();
        let run = self
            .component
            .invoke(&self.call, &self.limits, &self.grants, attempt);
        run.await.expect("the host is well").outcome
    }

    /// Runs it to its end, or until nobody waits for it any more.
    async fn attack(&self, neighbours: &Notify) -> String {
        let Some(abandoned) = &self.abandoned else {
            return ending(&self.run().await);
        };
        let leaves = async {
            abandoned.notified().await;
            neighbours.notified().await;
        };
        tokio::select! {
            biased;
            outcome = self.run() => ending(&outcome),
            () = leaves => ABANDONED.to_owned(),
        }
    }
}

/// Limits that a guest reaches soon.
pub(crate) fn soon() -> Limits {
    Limits {
        cpu: ms(100),
        wall: ms(10_000),
        ..Limits::default()
    }
}

/// Limits for guests that do much and come to an end.
pub(crate) fn roomy(memory: u64) -> Limits {
    Limits {
        cpu: ms(60_000),
        wall: ms(100_000),
        memory,
        ..Limits::default()
    }
}

fn ending(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Returned(_) => "result".to_owned(),
        Outcome::BadResult { .. } => "bad result".to_owned(),
        Outcome::Failed(_) => "failure".to_owned(),
        Outcome::LimitHit(hit) => format!("{} limit", hit.limit.name()),
        Outcome::Trapped(trap) => trap.code.clone(),
        Outcome::Exited { code } => format!("exit {code}"),
        Outcome::Retry(_) | Outcome::Reject(_) | Outcome::Ignore | Outcome::Interrupted { .. } => {
            format!("{outcome:?}")
        }
    }
}

/// Rows of tasks of the hostile component.
pub(crate) fn hostile(
    limits: &Limits,
    tasks: &[(&'static str, &'static [&'static str])],
) -> Vec<Row> {
    let component = load("hostile");
    let row = |(task, endings): &(&'static str, &'static [&'static str])| Row {
        limits: limits.clone(),
        ..Row::new(&component, task, endings)
    };
    tasks.iter().map(row).collect()
}

/// Rows of components that no compiler makes.
pub(crate) fn raw(
    limits: &Limits,
    guests: Vec<(&str, Vec<u8>, &'static [&'static str])>,
) -> Vec<Row> {
    let engine = Engine::new(&EngineSettings::default()).expect("the engine starts");
    let row = |(name, bytes, endings): (&str, Vec<u8>, &'static [&'static str])| {
        let artifact = celeriac_sandbox::compile(&bytes);
        let artifact = artifact.unwrap_or_else(|error| panic!("{name}: {error}"));
        let component = engine.load(&artifact).expect("it loads");
        Row {
            name: name.to_owned(),
            limits: limits.clone(),
            ..Row::new(&component, "task", endings)
        }
    };
    guests.into_iter().map(row).collect()
}

/// Runs each guest with a neighbour beside it, all on this thread.
pub(crate) fn assert_contained(rows: Vec<Row>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let quiet = Row {
        limits: Limits::default(),
        ..Row::new(&load("hostile"), "use_nothing", &["result"])
    };
    runtime.block_on(quiet.run());
    for row in rows {
        let peak = Peak::begin();
        let (finished, gone) = (Cell::new(0), Notify::new());
        let neighbours = async {
            for _ in 0..RUNS {
                let ended = ending(&quiet.run().await);
                assert_eq!(ended, "result", "beside {}", row.name);
                finished.set(finished.get() + 1);
            }
            gone.notify_one();
        };
        let attack = async { (row.attack(&gone).await, finished.get()) };
        let ((ended, meanwhile), ()) = runtime.block_on(async { tokio::join!(attack, neighbours) });
        assert!(
            row.endings.contains(&ended.as_str()),
            "{}: {ended}",
            row.name
        );
        // Whoever takes time lets others have it.
        if matches!(ended.as_str(), "cpu limit" | "time limit" | ABANDONED) {
            assert_eq!(meanwhile, RUNS, "beside {}", row.name);
        }
        let grown = peak.grown();
        let allowed = row.limits.memory + BESIDE;
        assert!(grown <= allowed, "{}: {grown} bytes of {allowed}", row.name);
    }
}
