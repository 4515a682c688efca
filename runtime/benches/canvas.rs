//! What a task costs in a small canvas and in a large one, through Redis with our
//! worker: the cost of a chain, a group or a chord has to grow with its number of
//! tasks and no faster.
//!
//! A turn: Celery's client sends one canvas, the worker starts, and the time is
//! taken between the first and the last stored result. Every result is read back
//! and compared. Celery's own worker takes the same turns beside ours.
//!
//! Arguments: a component with the tasks `add` and `total`, and which canvases (`chain`,
//! `group`, `chord`), unless all. A build without optimisation only shows that all this
//! works: it has few tasks.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its table, and how far it is"
)]
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to measure"
)]

#[path = "canvas/shape.rs"]
mod shape;
#[path = "canvas/watch.rs"]
mod watch;

use shape::{Shape, Worker};
use std::path::Path;
use std::time::Duration;
use support::{Python, Redis, Stage};
use watch::Watch;

/// Turns of each size; the median counts.
const TURNS: usize = if cfg!(debug_assertions) { 1 } else { 5 };
/// The databases of Redis that hold messages and results.
const BROKER: u32 = 0;
const RESULTS: u32 = 1;
/// Celery's release.
const RELEASE: &str = "5.7";

fn main() {
    let component = std::env::args()
        .find(|argument| argument.ends_with(".wasm"))
        .expect("a component is named");
    let stand = Stand::new(&component);
    let named: Vec<String> = std::env::args().collect();
    let is_named = |shape: &Shape| named.iter().any(|name| name == shape.word());
    let is_any = Shape::ALL.iter().any(is_named);
    let shapes = Shape::ALL.into_iter();
    let shapes = shapes.filter(|shape| !is_any || is_named(shape));
    let rows = shapes.flat_map(|shape| Worker::ALL.map(|worker| stand.row(shape, worker)));
    let rows: Vec<Row> = rows.collect();
    println!(
        "| canvas | worker | tasks | seconds | per task, us | tasks | seconds | per task, us \
         | large against small |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for row in rows {
        println!("{}", row.line());
    }
}

/// What one turn took, and for how many results.
#[derive(Debug, Clone, Copy)]
struct Took {
    time: Duration,
    results: u32,
}

impl Took {
    fn per_task(self) -> f64 {
        self.time.as_secs_f64() / f64::from(self.results.max(1))
    }
}

/// The turns of one shape, the small size and the large one in pairs.
struct Row {
    shape: Shape,
    worker: Worker,
    turns: Vec<[Took; 2]>,
}

impl Row {
    fn line(&self) -> String {
        let of = |read: &dyn Fn(&[Took; 2]) -> f64| median(self.turns.iter().map(read).collect());
        let [small, large] = self.shape.sizes();
        format!(
            "| {} | {} | {small} | {:.3} | {:.0} | {large} | {:.3} | {:.0} | {:.2} |",
            self.shape,
            self.worker,
            of(&|[small, _]| small.time.as_secs_f64()),
            of(&|[small, _]| small.per_task() * 1e6),
            of(&|[_, large]| large.time.as_secs_f64()),
            of(&|[_, large]| large.per_task() * 1e6),
            of(&|[small, large]| large.per_task() / small.per_task()),
        )
    }
}

/// Everything the turns need.
struct Stand {
    redis: Redis,
    stage: Stage,
    python: Python,
}

impl Stand {
    /// Prepares turns; `component` is pushed as the module `bench`.
    fn new(component: &str) -> Self {
        let redis = Redis::start();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
        let stage = Stage::new(env!("CARGO_BIN_EXE_celeriac"), "")
            .with("broker", &redis.url(BROKER))
            .with("result_backend", &redis.url(RESULTS));
        stage.json(&["push", component, "--name", "bench"]);
        Self {
            redis,
            stage,
            python: Python::new(&target, RELEASE, root.join("tests/python")),
        }
    }

    fn row(&self, shape: Shape, worker: Worker) -> Row {
        let turns = (1..=TURNS).map(|turn| {
            shape.sizes().map(|size| {
                let took = self.turn(shape, size, worker);
                eprintln!(
                    "{shape} of {size}, {worker}, turn {turn}: {took:?}, load {}",
                    load()
                );
                took
            })
        });
        Row {
            shape,
            worker,
            turns: turns.collect(),
        }
    }

    fn turn(&self, shape: Shape, size: u32, worker: Worker) -> Took {
        let flushed = self.redis.cli(BROKER, &["FLUSHALL"]);
        assert_eq!(flushed, "OK", "a server of our own is emptied");
        let (broker, results) = (self.redis.url(BROKER), self.redis.url(RESULTS));
        let arguments = [&broker, &results, shape.word(), &size.to_string()];
        let ids = self.python.run("bench_canvas.py", &arguments);
        let ids: Vec<String> = serde_json::from_value(ids).expect("a list of ids");
        let expected = shape.results(size);
        assert_eq!(ids.len(), expected.len());
        let watch = Watch::begin(&results, &ids);
        let took = match worker {
            Worker::Ours => {
                let worker = self.stage.server(&["worker"]);
                let took = watch.end();
                let ended = worker.stop();
                assert_eq!(ended.code, Some(0), "{}", ended.log);
                took
            }
            Worker::Celery => {
                let arguments = ["-A", "bench_worker", "worker", "-c", "2"];
                let worker = self.python.celery(&arguments, &broker, &results);
                let took = watch.end();
                worker.stop();
                took
            }
        };
        watch::verify(&results, &ids, &expected);
        for [command, key] in [["LLEN", "celery"], ["HLEN", "unacked"]] {
            assert_eq!(self.redis.cli(BROKER, &[command, key]), "0", "{key}");
        }
        took
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns how busy the machine was in the last minute, our own work included.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
