//! Tasks of a Python worker, and of ours beside it.

use crate::{PATIENCE, call, client, python, stage};
use celeriac::celery::TaskCall;
use celeriac::client::{CallFailed, Json, State};
use celeriac::clock::{Clock, after};
use std::time::Duration;
use support::{Postgres, Rabbit, Redis, until};

async fn assert_called(release: &str, broker: &str, results: &str) {
    let _worker = python(release).worker(broker, results, "celery");
    let client = client(broker, results).await;
    let sum = client.call(call("py.add", "[2, 3]")).await.unwrap();
    assert_eq!(sum.get(PATIENCE).await.unwrap().as_str(), "5");
    assert_eq!(sum.record().await.unwrap().unwrap().state, State::Success);
    let boom = client.call(call("py.boom", "[]")).await.unwrap();
    let failed = boom.get(PATIENCE).await.unwrap_err();
    assert!(matches!(failed, CallFailed::Failed(_)), "{failed}");
    let raised = failed.exception().unwrap();
    assert_eq!(
        (raised.module.as_str(), raised.class.as_str()),
        ("builtins", "LookupError")
    );
    assert_eq!(raised.message, "from Python");
    assert!(
        raised
            .trace
            .as_ref()
            .is_some_and(|trace| trace.contains("boom"))
    );
    // What is delayed for a Python worker is delayed by that worker.
    let mut later = call("py.add", "[20, 1]");
    later.eta = Some(after(Clock::System.now(), Duration::from_secs(1)));
    let later = client.call(later).await.unwrap();
    let calls = (0..20).map(|number| call("py.add", &format!("[{number}, 1]")));
    let group = client.group(calls.collect()).await.unwrap();
    let sums = group.get(PATIENCE).await.unwrap();
    let sums: Vec<u64> = sums.iter().filter_map(Json::parse).collect();
    assert_eq!(sums, (1..=20).collect::<Vec<_>>());
    assert_eq!(later.get(PATIENCE).await.unwrap().as_str(), "21");
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_worker_is_called_and_its_results_and_exceptions_come_back() {
    let redis = Redis::start();
    assert_called("5.7", &redis.url(0), &redis.url(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_worker_of_the_oldest_release_is_called_through_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_called("5.4", &rabbit.url(), &redis.url(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_of_a_python_worker_come_back_out_of_a_sqlite_file() {
    let (rabbit, stage) = (Rabbit::start(), stage());
    let results = format!("db+sqlite:///{}", stage.path("results.sqlite").display());
    assert_called("5.7", &rabbit.url(), &results).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_of_a_python_worker_come_back_out_of_a_postgres_database() {
    let (rabbit, postgres) = (Rabbit::start(), Postgres::start());
    let results = postgres
        .url()
        .replace("postgresql", "db+postgresql+psycopg");
    assert_called("5.7", &rabbit.url(), &results).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_of_a_python_worker_come_back_out_of_a_folder() {
    let (redis, stage) = (Redis::start(), stage());
    let folder = stage.path("results");
    std::fs::create_dir(&folder).unwrap();
    let results = format!("file://{}", folder.display());
    assert_called("5.4", &redis.url(0), &results).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_worker_hears_that_a_task_is_revoked() {
    let redis = Redis::start();
    // A worker without threads hears nothing while it runs a task.
    let threads = ["-A", "worker", "worker", "-P", "threads", "-c", "1"];
    let alone = ["--without-gossip", "--without-mingle"];
    let threads = [&threads[..], &alone].concat();
    let _worker = python("5.7").celery(&threads, &redis.url(0), &redis.url(1));
    let client = client(&redis.url(0), &redis.url(1)).await;
    // It may answer before it listens, which is the one subscription it has.
    until("it listens", || {
        (redis.cli(0, &["PUBSUB", "NUMPAT"]) == "1").then_some(())
    });
    // What its pool has, nobody takes back; what waits for its time is looked at then.
    let unwanted = TaskCall {
        eta: Some(after(Clock::System.now(), Duration::from_secs(3))),
        ..call("py.add", "[1, 2]")
    };
    let unwanted = client.call(unwanted).await.unwrap();
    until("it is held", || {
        (redis.cli(0, &["HLEN", "unacked"]) == "1").then_some(())
    });
    unwanted.revoke(false).await.unwrap();
    let failed = unwanted.get(PATIENCE).await.unwrap_err();
    assert!(matches!(failed, CallFailed::Revoked(_)), "{failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_workers_are_called_the_same_way_through_both_brokers() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for broker in [redis.url(0), rabbit.url()] {
        let stage = stage()
            .with("broker", &broker)
            .with("result_backend", &redis.url(1))
            .with("worker.consumer_timeout", "2h");
        stage.push("text");
        let _worker = stage.server(&["worker"]);
        let client = client(&broker, &redis.url(1)).await;
        let words = call("text.word_count", r#"["a b c"]"#);
        let words = client.call(words).await.unwrap();
        assert_eq!(words.get(PATIENCE).await.unwrap().as_str(), "3");
        let mut later = call("text.echo", "[7]");
        later.eta = Some(after(Clock::System.now(), Duration::from_secs(1)));
        let later = client.call(later).await.unwrap();
        assert_eq!(later.get(PATIENCE).await.unwrap().as_str(), "7");
        let wrong = client.call(call("text.word_count", "[]")).await.unwrap();
        let failed = wrong.get(PATIENCE).await.unwrap_err();
        assert_eq!(failed.exception().unwrap().class, "TypeError");
        client.close().await;
    }
}
