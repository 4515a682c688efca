//! What a small task feels of a hostile guest beside it: how long it takes alone, and on
//! the same threads as guests that do their worst, until each has ended at its limit and
//! begun again. The answer is a Markdown table of milliseconds.
//!
//! A call is made every few milliseconds, whether those before it came back or not, so
//! that one that is slow makes no other look quick; its time runs from there until its
//! result is there, waiting for a thread included.
//!
//! Arguments: the components `text`, `hostile` and `web`, in this order.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to measure"
)]

#[path = "neighbours/foes.rs"]
mod foes;
#[path = "neighbours/server.rs"]
mod server;

use bytes::Bytes;
use celeriac_sandbox::{
    Attempt, Call, Component, Engine, EngineSettings, Grants, Limits, Outcome, compile,
};
use foes::{FOES, Foe, Modules};
use std::num::NonZero;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;

/// Calls of one cell of the table; the 99th percentile is the worst but two of them.
const CALLS: usize = 300;
/// Between two calls.
const PAUSE: Duration = Duration::from_millis(5);
/// Most calls that are not back yet: the pool has a slot for each, and for the foes.
const WAITING: usize = 48;
/// Foes at once: one for each thread of a small machine, and four.
const CROWDS: [usize; 2] = [2, 8];

fn main() {
    let files: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument.ends_with(".wasm"))
        .collect();
    let engine = Engine::new(&EngineSettings::default()).expect("the engine starts");
    let load = |file: &String| {
        let wasm = std::fs::read(file).expect("the component can be read");
        let artifact = compile(&wasm).expect("the component compiles");
        engine.load(&artifact).expect("the artifact loads")
    };
    let components: Vec<Component> = files.iter().map(load).collect();
    let [text, hostile, web] =
        <[Component; 3]>::try_from(components).expect("three components are named");
    let modules = Modules { hostile, web };
    // As many threads as a worker has for its guests.
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let guests = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    let guests = guests.expect("the threads for guests start");
    let clock = Builder::new_current_thread().enable_time().build();
    let clock = clock.expect("a runtime starts");
    let measure =
        |foe, crowd| clock.block_on(latency(guests.handle(), &text, &modules, foe, crowd));
    measure(None, 0);
    let [few, many] = CROWDS;
    println!(
        "| beside, on {threads} threads | {few} of them: median, ms | 99th percentile, ms | {many} of them: median, ms | 99th percentile, ms |"
    );
    println!("|---|---|---|---|---|");
    let [median, high] = measure(None, 0);
    println!("| nobody | {median:.2} | {high:.2} | {median:.2} | {high:.2} |");
    for foe in &FOES {
        let [[a, b], [c, d]] = CROWDS.map(|crowd| measure(Some(foe), crowd));
        println!("| {} | {a:.2} | {b:.2} | {c:.2} | {d:.2} |", foe.name);
    }
}

/// Returns the median and the 99th percentile of the small task's times, milliseconds.
async fn latency(
    guests: &Handle,
    text: &Component,
    modules: &Modules,
    foe: Option<&'static Foe>,
    crowd: usize,
) -> [f64; 2] {
    let mut foes = JoinSet::new();
    for _ in 0..crowd {
        if let Some(foe) = foe {
            foes.spawn_on(foe.rage(modules.clone()), guests);
        }
    }
    let mut calls = JoinSet::new();
    let mut times = Vec::with_capacity(CALLS);
    let mut pace = tokio::time::interval(PAUSE);
    for _ in 0..CALLS {
        pace.tick().await;
        while calls.len() >= WAITING {
            times.extend(calls.join_next().await);
        }
        calls.spawn_on(call(text.clone(), Instant::now()), guests);
    }
    while let Some(time) = calls.join_next().await {
        times.push(time);
    }
    foes.shutdown().await;
    let times: Result<Vec<f64>, _> = times.into_iter().collect();
    let mut times = times.expect("every call comes back");
    times.sort_by(f64::total_cmp);
    [50, 99].map(|percent| {
        let at = (times.len() - 1) * percent / 100;
        times.get(at).copied().unwrap_or(f64::NAN)
    })
}

/// Calls the small task, and returns the milliseconds since a moment.
async fn call(text: Component, since: Instant) -> f64 {
    let call = Call {
        task: "echo".to_owned(),
        args: Bytes::from_static(b"[1]"),
        kwargs: Bytes::from_static(b"{}"),
    };
    let (limits, grants) = (Limits::default(), Grants::default());
    let report = text
        .invoke(&call, &limits, &grants, Attempt::default())
        .await;
    let outcome = report.expect("the host is well").outcome;
    assert_eq!(outcome, Outcome::Returned(Bytes::from_static(b"1")));
    since.elapsed().as_secs_f64() * 1e3
}
