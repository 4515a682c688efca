//! What the sandbox costs: one dispatch (fresh store and instance, one typed
//! call, drop) against bare Wasmtime doing the same without any limit.
//!
//! Both run the same component in the same process, in turns, so that a noisy
//! machine disturbs both alike. The answer is a Markdown table of ratios.
//!
//! Arguments: the component built for wasm32-wasip2, and the one built for
//! wasm32-unknown-unknown.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to measure"
)]

#[path = "dispatch/bare.rs"]
mod bare;

use bytes::Bytes;
use celeriac_sandbox::{
    Attempt, Call, Component, Engine, EngineSettings, Grants, Limits, Outcome, compile,
};
use std::time::{Duration, Instant};

/// Dispatches of one turn.
const TURN: u32 = 5_000;
/// Turns of each side. A turn takes some 50 ms, and a shared machine changes its
/// speed within seconds: few turns scatter widely.
const TURNS: usize = 41;

fn main() {
    let files: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument.ends_with(".wasm"))
        .collect();
    println!(
        "| component | threads | bare, us | sandbox, us | ratio | its quartiles | sandbox, per second | against one thread |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (file, kind) in files
        .iter()
        .zip(["wasm32-wasip2", "wasm32-unknown-unknown"])
    {
        let wasm = std::fs::read(file).expect("the component can be read");
        let ours = Ours::new(&wasm);
        let bare = bare::Bare::new(&wasm);
        let mut one = None;
        for threads in [1, 2] {
            let turns = turns(threads, &bare, &ours);
            let [_, bare, _] = quartiles(turns.iter().map(|(bare, _)| *bare));
            let [_, ours, _] = quartiles(turns.iter().map(|(_, ours)| *ours));
            let [low, ratio, high] = quartiles(turns.iter().map(|(bare, ours)| ours / bare));
            let rate = 1e6 / ours * f64::from(threads);
            let one = *one.get_or_insert(rate);
            println!(
                "| {kind} | {threads} | {bare:.1} | {ours:.1} | {ratio:.2} | {low:.2} to {high:.2} | {rate:.0} | {:.2} |",
                rate / one
            );
        }
    }
}

/// Returns the turns of both sides in pairs, microseconds for one dispatch on one
/// thread. The two of a pair follow each other, so that their ratio is of one
/// moment of the machine.
fn turns(threads: u32, bare: &bare::Bare, ours: &Ours) -> Vec<(f64, f64)> {
    let pair = |_| {
        (
            spread(threads, || bare.turn(TURN)),
            spread(threads, || ours.turn(TURN)),
        )
    };
    (0..TURNS).map(pair).collect()
}

/// Runs a turn on each thread and returns microseconds for one dispatch.
fn spread(threads: u32, turn: impl Fn() + Sync) -> f64 {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(&turn);
        }
    });
    began.elapsed().as_secs_f64() * 1e6 / f64::from(TURN)
}

/// Returns the lower quartile, the median and the upper quartile.
fn quartiles(all: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| {
        let at = (all.len() - 1) * quarter / 4;
        all.get(at).copied().unwrap_or(f64::NAN)
    })
}

/// The sandbox with every limit on.
struct Ours {
    component: Component,
    limits: Limits,
    call: Call,
}

impl Ours {
    fn new(wasm: &[u8]) -> Self {
        let artifact = compile(wasm).expect("the component compiles");
        let engine = Engine::new(&EngineSettings::default()).expect("the engine starts");
        assert!(
            engine.is_pooled(),
            "without a pool there is nothing to compare"
        );
        Self {
            component: engine.load(&artifact).expect("the artifact loads"),
            limits: Limits {
                soft: Some(Duration::from_secs(10)),
                ..Limits::default()
            },
            call: Call {
                task: "echo".to_owned(),
                args: Bytes::from_static(b"[1]"),
                kwargs: Bytes::from_static(b"{}"),
            },
        }
    }

    fn turn(&self, times: u32) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.expect("a runtime starts").block_on(async {
            for _ in 0..times {
                let attempt = Attempt::default();
                let report = self
                    .component
                    .invoke(&self.call, &self.limits, &Grants::default(), attempt)
                    .await;
                let outcome = report.expect("the host is fine").outcome;
                assert_eq!(outcome, Outcome::Returned(Bytes::from_static(b"1")));
            }
        });
    }
}
