//! What a flood of one tenant does to another's single task, with a lane of its own and behind
//! the flood in the same queue; and what lanes cost a worker whose other tenants do nothing.
//!
//! The flood's messages are in the embedded file before the worker starts. A probe is one
//! message; its time runs from before it is published to its stored result, looked for every
//! millisecond: the task does nothing, so that is when it started.
//!
//! Arguments: a component with the task `echo`, and one with the task `fibonacci`. A build
//! without optimisation only shows that all this works: it has few tasks.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to measure"
)]

use celeriac::broker::embedded::EmbeddedBroker;
use celeriac::broker::{Broker, Outgoing};
use celeriac::celery::TaskCall;
use celeriac::clock::Clock;
use celeriac::database::Database;
use celeriac::results::Results;
use celeriac::results::embedded::EmbeddedResults;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Server, Stage};

const RELEASE: bool = !cfg!(debug_assertions);
/// Messages of a flood.
const FLOOD: usize = if RELEASE { 100_000 } else { 300 };
/// Probes in a lane of their own, one after the other.
const PROBES: usize = if RELEASE { 500 } else { 5 };
/// Messages of a turn that measures the cost, and turns of which the median counts.
const TURN: usize = if RELEASE { 30_000 } else { 200 };
const TURNS: usize = if RELEASE { 5 } else { 1 };
/// How long a probe behind the flood is waited for.
const PATIENCE: Duration = Duration::from_secs(if RELEASE { 120 } else { 20 });
/// Takes about 50 ms of CPU.
const LONG: (&str, &str) = ("numbers.fibonacci", "[60000000]");
const EMPTY: (&str, &str) = ("text.echo", "[1]");

/// The place of one tenant's messages and results.
struct Place {
    database: Database,
    broker: EmbeddedBroker,
    results: EmbeddedResults,
}

impl Place {
    async fn open(folder: &Path) -> Self {
        let database = Database::open(folder, Clock::System)
            .await
            .expect("the database opens");
        Self {
            broker: EmbeddedBroker::new(database.clone()),
            results: EmbeddedResults::new(database.clone()),
            database,
        }
    }

    async fn post(&self, (task, args): (&str, &str), count: usize) {
        let all: Vec<Outgoing> = (0..count)
            .map(|_| Outgoing {
                queue: "celery".to_owned(),
                message: TaskCall::new(task, args, "{}")
                    .expect("the call is good")
                    .message("bench"),
                due: None,
                key: None,
            })
            .collect();
        for part in all.chunks(1_000) {
            let posted = self.broker.publish(part.to_vec()).await;
            posted.expect("the broker takes messages");
        }
    }

    /// Sends a task that does nothing, and returns how long it took to be over.
    async fn probe(&self) -> Option<Duration> {
        let call = TaskCall::new(EMPTY.0, EMPTY.1, "{}").expect("the call is good");
        let id = call.id.clone();
        let began = Instant::now();
        let message = Outgoing {
            queue: "celery".to_owned(),
            message: call.message("bench"),
            due: None,
            key: None,
        };
        let posted = self.broker.publish(vec![message]).await;
        posted.expect("the broker takes messages");
        while began.elapsed() < PATIENCE {
            let record = self.results.get(&id).await.expect("the results answer");
            if record.is_some_and(|record| record.is_last()) {
                return Some(began.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        None
    }
}

fn main() {
    let named = |part: &str| {
        let found = std::env::args().find(|one| {
            let file = Path::new(one).file_name().and_then(|name| name.to_str());
            file.is_some_and(|name| name.contains(part) && name.ends_with(".wasm"))
        });
        found.expect("a component is named")
    };
    let components = [("text", named("text")), ("numbers", named("numbers"))];
    let runtime = tokio::runtime::Runtime::new().expect("the threads start");
    println!("| flood of {FLOOD} | probe | probes | median, ms | 99th percentile, ms | most, ms |");
    println!("|---|---|---|---|---|---|");
    for (what, flood) in [("empty tasks", EMPTY), ("tasks of 50 ms of CPU", LONG)] {
        for own in [true, false] {
            let times = runtime.block_on(probes(&components, flood, own));
            line(what, own, times);
        }
    }
    println!();
    println!("| lanes | empty tasks per second |");
    println!("|---|---|");
    for (what, tenant) in [("one", false), ("two, one of them idle", true)] {
        let rates = (0..TURNS).map(|_| runtime.block_on(rate(&components, tenant)));
        println!("| {what} | {:.0} |", at(&sorted(rates.collect()), 0.5));
    }
}

fn line(what: &str, own: bool, times: Vec<Option<Duration>>) {
    let lane = if own {
        "in a lane of its own"
    } else {
        "behind the flood"
    };
    let count = times.len();
    let late = times.iter().any(Option::is_none);
    let times = times
        .into_iter()
        .flatten()
        .map(|time| time.as_secs_f64() * 1e3);
    let times = sorted(times.collect());
    match late {
        true => println!(
            "| {what} | {lane} | {count} | over {} s | | |",
            PATIENCE.as_secs()
        ),
        false => println!(
            "| {what} | {lane} | {count} | {:.1} | {:.1} | {:.1} |",
            at(&times, 0.5),
            at(&times, 0.99),
            at(&times, 1.0)
        ),
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a place in a short list"
)]
fn at(sorted: &[f64], part: f64) -> f64 {
    let place = (sorted.len() as f64 * part).ceil() as usize;
    let place = place.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// A stage with the modules, and a tenant `probe` where that is wanted.
fn stage(components: &[(&str, String)], tenant: bool) -> Stage {
    let stage = Stage::new(env!("CARGO_BIN_EXE_celeriac"), "");
    if tenant {
        stage.write("celeriac.toml", "[tenants.probe]\n");
    }
    for (name, path) in components {
        stage.json(&["push", path, "--name", name]);
        if tenant {
            stage.json(&["push", path, "--name", name, "-T", "probe"]);
        }
    }
    stage
}

async fn probes(
    components: &[(&str, String)],
    flood: (&str, &str),
    own: bool,
) -> Vec<Option<Duration>> {
    let stage = stage(components, own);
    let flooded = Place::open(&stage.data()).await;
    flooded.post(flood, FLOOD).await;
    let worker = worker(&stage);
    let mut times = Vec::new();
    if own {
        let lane = Place::open(&stage.data().join("tenants/probe")).await;
        for _ in 0..PROBES {
            times.push(lane.probe().await);
        }
        lane.database.close().await;
    } else {
        times.push(flooded.probe().await);
    }
    worker.kill();
    flooded.database.close().await;
    times
}

/// Empty tasks a second, from the start of the worker's work to its end.
async fn rate(components: &[(&str, String)], tenant: bool) -> f64 {
    let stage = stage(components, tenant);
    let lane = Place::open(&stage.data()).await;
    let worker = worker(&stage);
    let began = Instant::now();
    lane.post(EMPTY, TURN).await;
    loop {
        let depth = lane
            .broker
            .depth("celery")
            .await
            .expect("the broker answers");
        if depth.ready + depth.leased.unwrap_or_default() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = began.elapsed();
    worker.kill();
    lane.database.close().await;
    f64::from(u32::try_from(TURN).expect("it is small")) / took.as_secs_f64()
}

fn worker(stage: &Stage) -> Server {
    stage.server(&["worker"])
}
