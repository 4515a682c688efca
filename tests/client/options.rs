//! What a call may have beside its arguments: time limits, stamps and what follows it.

use crate::{PATIENCE, call, client, python, stage};
use celeriac::client::CallFailed;
use std::time::Duration;
use support::{Rabbit, Redis};

async fn assert_heeded(release: &str, broker: &str, results: &str) {
    let _worker = python(release).worker(broker, results, "celery");
    let client = client(broker, results).await;
    let mut told = call("py.request", "[]");
    told.time_limit = Some(Duration::from_secs(30));
    told.soft_time_limit = Some(Duration::from_millis(2_500));
    told.stamps.insert("batch".to_owned(), "b7".to_owned());
    told.reply_to = Some("nobody".to_owned());
    let told = client.call(told).await.unwrap();
    assert_eq!(
        told.get(PATIENCE).await.unwrap().as_str(),
        r#"[[30.0, 2.5], {"batch": "b7"}, ["batch"], "nobody"]"#
    );
    // The result comes before the arguments of what is linked.
    let (mut sum, next) = (call("py.add", "[2, 3]"), call("py.add", "[10]"));
    sum.link(&next.signature()).unwrap();
    client.call(sum).await.unwrap();
    let next = client.handle(next.id).get(PATIENCE).await.unwrap();
    assert_eq!(next.as_str(), "15");
    let (mut boom, news) = (call("py.boom", "[]"), call("py.echo", "[]"));
    boom.link_error(&news.signature()).unwrap();
    let boom = client.call(boom).await.unwrap();
    let news = client.handle(news.id).get(PATIENCE).await.unwrap();
    assert_eq!(news.parse(), Some(boom.id().as_str()));
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_stamps_and_links_of_a_call_are_heeded_by_python_over_redis() {
    let redis = Redis::start();
    assert_heeded("5.7", &redis.url(0), &redis.url(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_stamps_and_links_of_a_call_are_heeded_by_python_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_heeded("5.4", &rabbit.url(), &redis.url(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_links_of_a_call_are_heeded_by_our_workers() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for (broker, results) in [(redis.url(0), 1), (rabbit.url(), 2)] {
        let results = redis.url(results);
        let stage = stage()
            .with("broker", &broker)
            .with("result_backend", &results)
            .with("worker.consumer_timeout", "2h");
        for module in ["text", "report"] {
            stage.push(module);
        }
        let _worker = stage.server(&["worker"]);
        let client = client(&broker, &results).await;
        let mut nap = call("report.nap", "[60000]");
        nap.time_limit = Some(Duration::from_secs(1));
        let news = call("text.echo", "[]");
        nap.link_error(&news.signature()).unwrap();
        let nap = client.call(nap).await.unwrap();
        let failed = nap.get(PATIENCE).await.unwrap_err();
        assert!(matches!(failed, CallFailed::Failed(_)), "{failed}");
        assert_eq!(failed.exception().unwrap().class, "TimeLimitExceeded");
        let news = client.handle(news.id).get(PATIENCE).await.unwrap();
        assert_eq!(news.parse(), Some(nap.id().as_str()));
        client.close().await;
    }
}
