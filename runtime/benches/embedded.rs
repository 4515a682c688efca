//! How many durable no-op tasks a second the embedded broker carries: queue
//! filled first, then the burn-down is timed, from the first fetch until the
//! last message is acknowledged. Every result is read back and compared.
//!
//! Argument: a component whose task `echo` returns its argument.

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
use celeriac::events::Events;
use celeriac::registry::{Compiler, Registry, Resolver, Store};
use celeriac::results::Results;
use celeriac::results::embedded::EmbeddedResults;
use celeriac::shutdown::Shutdown;
use celeriac::task::{RateScope, Share, State, TaskId, TenantName};
use celeriac::telemetry::Metrics;
use celeriac::worker::meter::Meter;
use celeriac::worker::rates::Rates;
use celeriac::worker::revocations::{Clerk, Revocations};
use celeriac::worker::steering::{Pool, Steering};
use celeriac::worker::{Ground, Lanes, Parts, Retries, Settings};
use celeriac_sandbox::{Engine, EngineSettings, Limits};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tasks of one run.
const TASKS: usize = 20_000;
/// Runs of each concurrency; the median counts.
const RUNS: usize = 3;

fn main() {
    let component = std::env::args()
        .find(|argument| argument.ends_with(".wasm"))
        .expect("a component is named");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    println!("| attempts in flight | durable no-op tasks per second | against 64 |");
    println!("|---|---|---|");
    let mut base = None;
    for concurrency in [64, 16, 256] {
        let mut rates: Vec<f64> = (0..RUNS)
            .map(|_| runtime.block_on(burn_down(&component, concurrency)))
            .collect();
        rates.sort_by(f64::total_cmp);
        let rate = rates.get(RUNS / 2).copied().unwrap_or(f64::NAN);
        let base = *base.get_or_insert(rate);
        println!("| {concurrency} | {rate:.0} | {:.2} |", rate / base);
    }
}

async fn burn_down(component: &str, concurrency: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let database = Database::open(folder.path(), Clock::System)
        .await
        .expect("the database opens");
    let broker = Arc::new(EmbeddedBroker::new(database.clone()));
    let results = Arc::new(EmbeddedResults::new(database.clone()));
    let resolver = resolver(&database, folder.path(), component, concurrency).await;
    let ids = fill(&broker).await;
    let shutdown = Shutdown::new();
    let parts = Parts {
        broker: broker.clone(),
        results: results.clone(),
        shelves: results.clone(),
        resolver,
        clock: Clock::System,
        metrics: Arc::new(Metrics::new()),
        steering: Arc::new(steering(&results, &broker, concurrency)),
        events: Events::new("bench@localhost", TimeZone::UTC, Clock::System, false),
        egress: celeriac_sandbox::Egress::default(),
        tally: Arc::default(),
        share: Share::default(),
        settings: settings(),
    };
    let ground = Ground {
        guest_threads: 2,
        isolate: false,
        most: concurrency,
        egress: celeriac_sandbox::Egress::default(),
    };
    let (lanes, runner) = Lanes::new(&ground, shutdown.clone()).expect("the worker starts");
    lanes.open(parts, lanes.stop()).await;
    let began = Instant::now();
    let burn = async {
        let mut commits = database.watch();
        loop {
            let depth = broker.depth("celery").await.expect("the broker answers");
            if depth.ready + depth.leased.unwrap_or_default() == 0 {
                break;
            }
            commits.changed().await.expect("the database answers");
            // Asking after every commit would be part of what is measured.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shutdown.stop();
        began.elapsed()
    };
    let (drained, took) = tokio::join!(runner.run(), burn);
    assert_eq!(drained.expect("the worker works").finished, TASKS as u64);
    verify(&results, &ids).await;
    database.close().await;
    TASKS as f64 / took.as_secs_f64()
}

async fn resolver(
    database: &Database,
    folder: &Path,
    component: &str,
    concurrency: usize,
) -> Resolver {
    let engine = Engine::new(&EngineSettings {
        attempts: u32::try_from(concurrency).expect("it is small"),
        ..EngineSettings::default()
    });
    let compiler = Compiler::program(env!("CARGO_BIN_EXE_celeriac"), ["compile"]);
    let registry = Registry::open(
        Store::file(database.clone()),
        folder,
        engine.expect("the engine starts"),
        compiler,
    )
    .await;
    let registry = registry.expect("the registry opens");
    let bytes = std::fs::read(component).expect("the component can be read");
    let name = "bench".parse().expect("it is a name");
    registry
        .push(&TenantName::default(), &name, bytes.into(), &mut |_| {})
        .await
        .expect("the component is accepted");
    registry
        .resolver("bench")
        .await
        .expect("the registry answers")
}

async fn fill(broker: &EmbeddedBroker) -> Vec<TaskId> {
    let mut ids = Vec::with_capacity(TASKS);
    let mut all = Vec::with_capacity(TASKS);
    for number in 0..TASKS {
        let call =
            TaskCall::new("bench.echo", &format!("[{number}]"), "{}").expect("the call is good");
        ids.push(call.id.clone());
        all.push(Outgoing {
            queue: "celery".to_owned(),
            message: call.message("bench"),
            due: None,
            key: None,
        });
    }
    for part in all.chunks(1_000) {
        broker
            .publish(part.to_vec())
            .await
            .expect("the broker takes messages");
    }
    ids
}

async fn verify(results: &EmbeddedResults, ids: &[TaskId]) {
    for (number, id) in ids.iter().enumerate() {
        let record = results
            .get(id)
            .await
            .expect("the backend answers")
            .expect("there is a result");
        assert_eq!(record.state, State::Success);
        assert_eq!(
            record.result.expect("a success has a result"),
            number.to_string()
        );
    }
}

fn steering(
    results: &Arc<EmbeddedResults>,
    broker: &EmbeddedBroker,
    concurrency: usize,
) -> Steering {
    let clerk = Clerk {
        orders: results.clone(),
        results: results.clone(),
        clock: Clock::System,
        name: "bench@localhost".to_owned(),
        keep: Duration::from_secs(86_400),
        result_keep: None,
    };
    let rates = Rates::new(
        BTreeMap::new(),
        RateScope::Worker,
        results.clone(),
        Clock::System,
        broker.profile().delay_step,
    );
    let queues = vec!["celery".to_owned()];
    let revocations = Revocations::new(clerk);
    let pool = Arc::new(Pool::new(concurrency, concurrency));
    Steering::new(queues, pool, revocations, rates, Meter::new(Clock::System))
}

fn settings() -> Settings {
    Settings {
        tenant: TenantName::default(),
        name: "bench@localhost".to_owned(),
        queues: vec!["celery".to_owned()],
        drain: Duration::from_secs(30),
        forward: None,
        timezone: jiff::tz::TimeZone::UTC,
        accept: Default::default(),
        max_deliveries: 5,
        run_ahead: 100,
        repair_time: Duration::from_secs(600),
        max_retries: Retries {
            default: 3,
            cap: 100,
        },
        retry_delay: Duration::from_secs(180),
        result_keep: Some(Duration::from_secs(86_400)),
        track_started: false,
        result_extended: false,
        defaults: Limits::default(),
        ceiling: Limits::default(),
        grants: BTreeMap::new(),
        aliases: BTreeMap::new(),
        routes: BTreeMap::new(),
    }
}
