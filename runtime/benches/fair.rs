//! What a flood of one tenant does to another's single tasks, in a lane of their own and
//! behind the flood in the same queue; and what lanes cost.
//!
//! The flood's messages wait before the workers start. A probe is one message of a task
//! that does nothing, sent when the one before it was over; its time runs from before it is
//! published to its stored result, looked for every millisecond, so it is an upper bound of
//! the time to its start. Probes end with the flood.
//!
//! The cost: a queue of empty tasks is worked off, and the rate is taken while between nine
//! and one tenths of it are left, by a worker without tenants, one with a tenant that does
//! nothing, and one whose tenant has the messages; ratios are medians of those of each turn.
//!
//! Arguments: a component with the task `echo`, and one with the task `fibonacci`; `floods` or
//! `costs` where only one of the tables is wanted. A build without optimisation only shows
//! that all this works: it has few tasks.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its table, and how far it is"
)]
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to measure"
)]

#[path = "fair/place.rs"]
mod place;
#[path = "fair/scene.rs"]
mod scene;

use place::{Call, PATIENCE, Place};
use scene::{Kind, Scene};
use std::path::Path;
use std::time::Duration;

const RELEASE: bool = !cfg!(debug_assertions);
/// Messages of a flood.
const FLOOD: usize = if RELEASE { 100_000 } else { 300 };
/// Probes, one after the other, and those before them that are not counted: a module is
/// loaded when it is first used.
const PROBES: usize = if RELEASE { 500 } else { 5 };
const FIRST: usize = if RELEASE { 10 } else { 1 };
/// Probes after which it is looked whether the flood goes on.
const PART: usize = if RELEASE { 10 } else { 1 };
/// Messages of a turn that measures the cost, and turns of which the median counts.
const TURN: u32 = if RELEASE { 30_000 } else { 200 };
const TURNS: usize = if RELEASE { 9 } else { 1 };
/// Takes tens of milliseconds of CPU.
const LONG: Call = ("numbers.fibonacci", "[60000000]");
const EMPTY: Call = ("text.echo", "[1]");

const KINDS: [Kind; 3] = [
    Kind::Embedded,
    Kind::Redis { workers: 1 },
    Kind::Redis { workers: 2 },
];

/// The components that are pushed, by module.
type Components = [(&'static str, String); 2];

/// What a flood is made of.
struct Flood {
    name: String,
    call: Call,
    /// Whether a probe behind it, in its queue, is over while anybody watches.
    ends: bool,
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
    let only = |table: &str| std::env::args().any(|one| one == table);
    if !only("costs") {
        floods(&runtime, &components);
    }
    if !only("floods") {
        println!();
        println!(
            "| broker, workers | without tenants, tasks per second | beside an idle tenant \
             | against without | all of them the tenant's | against without |"
        );
        println!("|---|---|---|---|---|---|");
        for kind in KINDS {
            println!("{}", runtime.block_on(cost(kind, &components)));
        }
    }
}

fn floods(runtime: &tokio::runtime::Runtime, components: &Components) {
    let cpu = Scene::new(Kind::Embedded, components, false).cpu(LONG);
    let floods = [
        Flood {
            name: format!("{FLOOD} empty tasks"),
            call: EMPTY,
            ends: true,
        },
        Flood {
            name: format!("{FLOOD} tasks of {} ms of CPU", cpu.as_millis()),
            call: LONG,
            ends: false,
        },
    ];
    println!(
        "| broker, workers | the other tenant's flood | probes in | probes | median, ms \
         | 99th percentile, ms | most, ms |"
    );
    println!("|---|---|---|---|---|---|---|");
    for kind in KINDS {
        runtime.block_on(table(kind, components, &floods));
    }
}

async fn table(kind: Kind, components: &Components, floods: &[Flood]) {
    line(kind, "none", true, &apart(kind, components, None).await);
    for flood in floods {
        let times = apart(kind, components, Some(flood)).await;
        line(kind, &flood.name, true, &times);
        if flood.ends {
            let time = behind(kind, components, flood).await;
            line(kind, &flood.name, false, &[time]);
        }
    }
}

/// Times probes in a lane of their own, beside a flood in the other.
async fn apart(
    kind: Kind,
    components: &Components,
    flood: Option<&Flood>,
) -> Vec<Option<Duration>> {
    let scene = Scene::new(kind, components, true);
    let (flooded, quiet) = (scene.own().await, scene.tenants().await);
    if let Some(flood) = flood {
        flooded.post(flood.call, FLOOD).await;
    }
    let workers = scene.workers();
    for _ in 0..FIRST {
        quiet.probe(EMPTY).await;
    }
    let mut times = Vec::new();
    let mut left = flooded.left().await;
    while times.len() < PROBES {
        let mut part = Vec::new();
        for _ in 0..PART {
            part.push(quiet.probe(EMPTY).await);
        }
        // Those during which the flood ended were beside less than a flood.
        left = flooded.left().await;
        if flood.is_some() && left == 0 {
            break;
        }
        times.append(&mut part);
    }
    eprintln!(
        "{}: {} probes, {left} of the flood left",
        kind.name(),
        times.len()
    );
    drop(workers);
    flooded.close().await;
    quiet.close().await;
    times
}

/// Times one probe in the queue of the flood.
async fn behind(kind: Kind, components: &Components, flood: &Flood) -> Option<Duration> {
    let scene = Scene::new(kind, components, false);
    let flooded = scene.own().await;
    flooded.post(flood.call, FLOOD).await;
    let workers = scene.workers();
    let time = flooded.probe(EMPTY).await;
    drop(workers);
    flooded.close().await;
    time
}

fn line(kind: Kind, flood: &str, apart: bool, times: &[Option<Duration>]) {
    let lane = if apart {
        "a lane of their own"
    } else {
        "the queue of the flood"
    };
    let (broker, workers, count) = (kind.name(), kind.workers(), times.len());
    let begin = format!("| {broker}, {workers} | {flood} | {lane} | {count}");
    if times.iter().any(Option::is_none) {
        println!("{begin} | over {} s | | |", PATIENCE.as_secs());
        return;
    }
    let times = times.iter().flatten().map(|time| time.as_secs_f64() * 1e3);
    let times = sorted(times.collect());
    println!(
        "{begin} | {:.1} | {:.1} | {:.1} |",
        at(&times, 0.5),
        at(&times, 0.99),
        at(&times, 1.0)
    );
}

/// A row of the table of costs. Machines are noisy: each turn compares its own rates, which
/// are taken in another order than in the turn before.
async fn cost(kind: Kind, components: &Components) -> String {
    let cases = [(false, false), (true, false), (true, true)];
    let mut turns: Vec<[f64; 3]> = Vec::new();
    for turn in 0..TURNS {
        let mut rates = [0.0; 3];
        let mut order: Vec<_> = rates.iter_mut().zip(cases).collect();
        order.rotate_left(turn % cases.len());
        for (measured, (tenant, its)) in order {
            *measured = rate(kind, components, tenant, its).await;
        }
        let [without, beside, its] = rates;
        eprintln!(
            "{}, turn {}: {without:.0}/s, {beside:.0}/s, {its:.0}/s",
            kind.name(),
            turn + 1
        );
        turns.push(rates);
    }
    let of = |read: &dyn Fn(&[f64; 3]) -> f64| at(&sorted(turns.iter().map(read).collect()), 0.5);
    format!(
        "| {}, {} | {:.0} | {:.0} | {:.2} | {:.0} | {:.2} |",
        kind.name(),
        kind.workers(),
        of(&|[without, _, _]| *without),
        of(&|[_, beside, _]| *beside),
        of(&|[without, beside, _]| beside / without),
        of(&|[_, _, its]| *its),
        of(&|[without, _, its]| its / without),
    )
}

/// Empty tasks a second: of `default`, or of the tenant beside it.
async fn rate(kind: Kind, components: &Components, tenant: bool, its: bool) -> f64 {
    let scene = Scene::new(kind, components, tenant);
    let place: Place = match its {
        true => scene.tenants().await,
        false => scene.own().await,
    };
    place
        .post(EMPTY, usize::try_from(TURN).expect("it is small"))
        .await;
    let workers = scene.workers();
    let (first, began) = place.down_to(u64::from(TURN / 10 * 9)).await;
    let (last, ended) = place.down_to(u64::from(TURN / 10)).await;
    drop(workers);
    place.close().await;
    let done = u32::try_from(first - last).expect("it is small");
    f64::from(done) / (ended - began).as_secs_f64()
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
