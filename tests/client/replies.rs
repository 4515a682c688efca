//! Results that come as replies (`rpc://`), from Python workers and from ours.

use crate::{PATIENCE, call, client, python, stage};
use celeriac::client::{CallFailed, Client, Json, State};
use serde_json::{Value, json};
use std::time::Duration;
use support::{Proxy, Rabbit, Redis, until};

const RPC: &str = "rpc://";

/// Calls a task and returns every state on its way, with what stands there.
async fn states(client: &Client, task: &str, args: &str) -> Vec<(State, Value)> {
    let handle = client.call(call(task, args)).await.unwrap();
    let mut seen = Vec::new();
    let mut see = |record: &celeriac::client::Record| {
        let result = record.result.as_deref().unwrap_or(b"null");
        seen.push((
            record.state.clone(),
            serde_json::from_slice(result).unwrap(),
        ));
    };
    let ended = client.wait(handle.id(), None, &mut see).await.unwrap();
    see(&ended.unwrap());
    seen
}

async fn assert_python_replies(release: &str, broker: &str) {
    let _worker = python(release).worker(broker, RPC, "celery");
    let client = client(broker, RPC).await;
    let sum = client.call(call("py.add", "[2, 3]")).await.unwrap();
    assert_eq!(sum.get(PATIENCE).await.unwrap().as_str(), "5");
    assert_eq!(sum.record().await.unwrap().unwrap().state, State::Success);
    let boom = client.call(call("py.boom", "[]")).await.unwrap();
    let failed = boom.get(PATIENCE).await.unwrap_err();
    let raised = failed.exception().unwrap();
    assert_eq!(
        (raised.class.as_str(), raised.message.as_str()),
        ("LookupError", "from Python")
    );
    assert!(
        raised
            .trace
            .as_ref()
            .is_some_and(|trace| trace.contains("boom"))
    );
    // Each state on the way is a message, and none is left out.
    let progress = || State::Custom("PROGRESS".to_owned());
    let page = |page| (progress(), json!({"current": page, "total": 2}));
    let pages = states(&client, "py.progress", "[2]").await;
    assert_eq!(pages, [page(1), page(2), (State::Success, json!(2))]);
    // Who waits no longer leaves the others alone, and may ask again.
    let nap = client.call(call("py.nap", "[1]")).await.unwrap();
    let early = nap.get(Some(Duration::ZERO)).await.unwrap_err();
    assert!(
        matches!(early, CallFailed::TimedOut { state: None }),
        "{early}"
    );
    let calls = (0..20).map(|number| call("py.add", &format!("[{number}, 1]")));
    let group = client.group(calls.collect()).await.unwrap();
    let sums = group.get(PATIENCE).await.unwrap();
    let sums: Vec<u64> = sums.iter().filter_map(Json::parse).collect();
    assert_eq!(sums, (1..=20).collect::<Vec<_>>());
    assert_eq!(nap.get(PATIENCE).await.unwrap().as_str(), "\"from Python\"");
    // What is linked answers too, if that is asked for before.
    let mut next = call("py.add", "[10]");
    let heard = client.expect(&mut next).await.unwrap();
    let mut first = call("py.add", "[1, 1]");
    first.link(&next.signature()).unwrap();
    client.call(first).await.unwrap();
    assert_eq!(heard.get(PATIENCE).await.unwrap().as_str(), "12");
    // Of what others called, nothing is known.
    let other = client.handle(boom.id().clone());
    drop(boom);
    let failed = other.get(None).await.unwrap_err();
    assert!(matches!(failed, CallFailed::NoResults), "{failed}");
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_worker_replies_through_rabbitmq() {
    let rabbit = Rabbit::start();
    for release in ["5.7", "5.4"] {
        assert_python_replies(release, &rabbit.url()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_worker_replies_through_redis() {
    let redis = Redis::start();
    for release in ["5.7", "5.4"] {
        assert_python_replies(release, &redis.url(0)).await;
    }
    // The queues of those who waited are gone.
    let left = redis.cli(0, &["--scan", "--pattern", "????????-????-????-*"]);
    assert_eq!(left, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_workers_reply_to_rust_through_both_brokers() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for broker in [redis.url(0), rabbit.url()] {
        let stage = stage()
            .with("broker", &broker)
            .with("result_backend", RPC)
            .with("worker.consumer_timeout", "2h");
        for module in ["text", "report"] {
            stage.push(module);
        }
        let _worker = stage.server(&["worker"]);
        let client = client(&broker, RPC).await;
        let words = client.call(call("text.word_count", r#"["a b c"]"#));
        let words = words.await.unwrap().get(PATIENCE).await.unwrap();
        assert_eq!(words.as_str(), "3");
        let wrong = client.call(call("text.word_count", "[]")).await.unwrap();
        let failed = wrong.get(PATIENCE).await.unwrap_err();
        assert_eq!(failed.exception().unwrap().class, "TypeError");
        let pages = states(&client, "report.build", r#"["t", 3, 20]"#).await;
        let (last, before) = pages.split_last().unwrap();
        assert_eq!(last.0, State::Success);
        assert!(
            before.iter().all(|(state, _)| state.as_str() == "PROGRESS"),
            "{before:?}"
        );
        assert!(!before.is_empty());
        client.close().await;
    }
}

/// A reply that comes meanwhile waits in the queue, which outlives the connection.
async fn assert_heard_again(release: &str, broker: &str, way: &Proxy, through: &str) {
    let _worker = python(release).worker(broker, RPC, "celery");
    let client = client(through, RPC).await;
    let sum = client.call(call("py.add", "[2, 3]")).await.unwrap();
    assert_eq!(sum.get(PATIENCE).await.unwrap().as_str(), "5");
    for number in 0..5 {
        let nap = client.call(call("py.shared", "[20]")).await.unwrap();
        let sum = client.call(call("py.add", &format!("[{number}, 1]")));
        let sum = sum.await.unwrap();
        way.cut();
        let sum = sum.get(PATIENCE).await.unwrap();
        assert_eq!(sum.parse(), Some(number + 1));
        assert!(nap.get(PATIENCE).await.is_ok());
    }
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_survives_the_connection_of_its_caller_in_rabbitmq() {
    let rabbit = Rabbit::start();
    let way = Proxy::to(rabbit.port());
    let through = rabbit.url_through(way.port());
    assert_heard_again("5.7", &rabbit.url(), &way, &through).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_survives_the_connection_of_its_caller_in_redis() {
    let redis = Redis::start();
    let way = Proxy::to(redis.port());
    let through = format!("redis://127.0.0.1:{}/0", way.port());
    assert_heard_again("5.4", &redis.url(0), &way, &through).await;
}

/// A client that goes away takes its queue along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_replies_ends_with_its_client() {
    let rabbit = Rabbit::start();
    let client = client(&rabbit.url(), RPC).await;
    let mut unheard = call("no.worker", "[]");
    let _handle = client.expect(&mut unheard).await.unwrap();
    let queue = unheard.reply_to.unwrap();
    let place = format!("/api/queues/{}/{queue}", rabbit.vhost());
    let found = || rabbit.http("GET", &place, &Value::Null).0;
    until("it is there", || (found() == 200).then_some(()));
    client.close().await;
    until("it is gone", || (found() == 404).then_some(()));
}
