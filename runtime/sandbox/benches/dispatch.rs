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
/// Turns of each side.
const TURNS: usize = 9;

fn main() {
    let files: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument.ends_with(".wasm"))
        .collect();
    println!(
        "| component | threads | bare, us | sandbox, us | ratio | sandbox, per second | against one thread |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (file, kind) in files
        .iter()
        .zip(["wasm32-wasip2", "wasm32-unknown-unknown"])
    {
        let wasm = std::fs::read(file).expect("the component can be read");
        let ours = Ours::new(&wasm);
        let bare = bare::Bare::new(&wasm);
        let mut one = None;
        for threads in [1, 2] {
            let (bare, ours) = turns(threads, &bare, &ours);
            let rate = 1e6 / ours * f64::from(threads);
            let one = *one.get_or_insert(rate);
            println!(
                "| {kind} | {threads} | {bare:.1} | {ours:.1} | {:.2} | {rate:.0} | {:.2} |",
                ours / bare,
                rate / one
            );
        }
    }
}

/// Returns the medians of both sides, microseconds for one dispatch on one thread.
fn turns(threads: u32, bare: &bare::Bare, ours: &Ours) -> (f64, f64) {
    let (mut of_bare, mut of_ours) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        of_bare.push(spread(threads, || bare.turn(TURN)));
        of_ours.push(spread(threads, || ours.turn(TURN)));
    }
    (median(of_bare), median(of_ours))
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

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
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
