//! Applications of Django and Flask whose tasks run in a worker of ours, and
//! Celery's beat, which sends them when it is time.

use crate::{celery, stage};
use serde_json::{Value, json};
use support::{Python, Rabbit, Redis, Stage, until};

/// Where what no worker of ours knows is handed on to; nobody takes from it.
const ELSEWHERE: &str = "forward:python";

/// The environment with both frameworks; Flask is also in that of the oldest release.
const APPS: &str = "5.7-apps";

/// An environment with a framework, and where its tasks and results go.
fn apps(release: &str, broker: &str, backend: &str) -> Python {
    celery::python(release)
        .with("BROKER", broker)
        .with("BACKEND", backend)
        .with("PYTHONDONTWRITEBYTECODE", "1")
}

fn beside(broker: &str, backend: &str) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.unknown_task", ELSEWHERE)
        .with("worker.consumer_timeout", "2h");
    for module in ["text", "flaky"] {
        stage.push(module);
    }
    stage
}

/// Returns how many messages of a queue wait.
fn waiting(stage: &Stage, queue: &str) -> u64 {
    let queues = stage.json(&["queues", queue]);
    queues["queues"][0]["ready"].as_u64().unwrap_or_default()
}

/// Returns all results that are stored in Redis as Celery stores them.
fn results(redis: &Redis) -> Vec<Value> {
    let keys = redis.cli(1, &["KEYS", "celery-task-meta-*"]);
    let read = |key: &str| serde_json::from_str(&redis.cli(1, &["GET", key]));
    let read = keys.lines().map(|key| read(key).expect("a document"));
    read.collect()
}

/// Returns how many of the results have this state and this value.
fn count(results: &[Value], state: &str, value: &Value) -> usize {
    let fits = |result: &&Value| result["status"] == state && result["result"] == *value;
    results.iter().filter(fits).count()
}

/// Returns the headers of a message that our worker handed on.
fn handed_on(broker: &Broker) -> Value {
    let (_, queue) = ELSEWHERE.split_once(':').expect("a queue");
    until("a message is handed on", || match broker {
        Broker::Redis(redis) => {
            let message = redis.cli(0, &["LINDEX", queue, "0"]);
            let message: Value = serde_json::from_str(&message).ok()?;
            Some(message["headers"].clone())
        }
        Broker::Rabbit(rabbit) => {
            let path = format!("/api/queues/{}/{queue}/get", rabbit.vhost());
            let wanted = json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"});
            let (status, body) = rabbit.http("POST", &path, &wanted);
            let messages: Value = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
            let headers = &messages.get(0)?["properties"]["headers"];
            Some(headers.clone())
        }
    })
}

enum Broker {
    Redis(Redis),
    Rabbit(Rabbit),
}

impl Broker {
    fn url(&self) -> String {
        match self {
            Self::Redis(redis) => redis.url(0),
            Self::Rabbit(rabbit) => rabbit.url(),
        }
    }
}

/// Beat runs first, so that what it sends is late before anybody takes it.
fn beat_drives_us(release: &str, broker: &Broker) {
    let redis = Redis::start();
    let stage = beside(&broker.url(), &redis.url(1));
    let diary = stage.path("schedule").display().to_string();
    let arguments = ["-A", "timetable", "beat", "-s", &diary];
    let beat = celery::python(release).celery(&arguments, &broker.url(), &redis.url(1));
    // Two entries a second, of which the first are two seconds old by then.
    until("some are late", || {
        (waiting(&stage, "ticks") >= 5).then_some(())
    });
    let worker = stage.server(&["worker", "-Q", "ticks"]);
    until("three in time", || {
        (count(&results(&redis), "SUCCESS", &json!(4)) >= 3).then_some(())
    });
    let headers = handed_on(broker);
    assert_eq!(headers["task"], "py.only", "{headers}");
    // Beat of 5.4 does not say that it was it.
    let is_told = headers["celery_beat_task"] == true;
    assert_eq!(is_told, release != "5.4", "{headers}");
    assert_eq!(headers["x-shop"], "7", "{headers}");
    beat.stop();
    assert_eq!(worker.stop().code, Some(0));
    let results = results(&redis);
    let late = results
        .iter()
        .filter(|result| result["status"] == "REVOKED")
        .count();
    // RabbitMQ drops what is late by itself, for Celery also sends it as a time to live: one
    // at most may become late on its way to us.
    match broker {
        Broker::Redis(_) => assert!(late > 0, "{results:?}"),
        Broker::Rabbit(_) => assert!(late <= 1, "{results:?}"),
    }
    let in_time = count(&results, "SUCCESS", &json!(4));
    assert_eq!(late + in_time, results.len(), "{results:?}");
}

#[test]
fn celerys_beat_drives_our_worker_over_redis() {
    beat_drives_us("5.7", &Broker::Redis(Redis::start()));
}

#[test]
fn celerys_beat_drives_our_worker_over_rabbitmq() {
    beat_drives_us("5.7", &Broker::Rabbit(Rabbit::start()));
}

#[test]
fn the_beat_of_the_oldest_release_drives_our_worker() {
    beat_drives_us("5.4", &Broker::Redis(Redis::start()));
}

/// Visits the pages of a Django application whose broker and results are these.
fn check_django(stage: &Stage, broker: &str, backend: &str) {
    let _worker = stage.server(&["worker"]);
    let database = stage.path("django.db").display().to_string();
    let apps = apps(APPS, broker, backend).with("DATABASE", database);
    let seen = apps.run("visits.py", &["django"]);
    for (page, expected) in [
        ("words", json!([200, {"words": 6}])),
        ("all", json!([200, {"words": [1, 2, 3]}])),
        ("refused", json!([422, {"refused": "not in stock"}])),
        ("kinds", json!([200, {"same": true}])),
        ("later", json!([202, {"state": "SUCCESS", "result": 3}])),
    ] {
        assert_eq!(seen[page], expected, "{page}: {seen}");
    }
}

fn check_django_with_redis(broker: &Broker) {
    let redis = Redis::start();
    let stage = beside(&broker.url(), &redis.url(1));
    check_django(&stage, &broker.url(), &redis.url(1));
    // What was to be sent on commit was not sent when there was none.
    assert_eq!(results(&redis).len(), 7);
}

#[test]
fn the_pages_of_a_django_application_show_what_our_worker_made_over_redis() {
    check_django_with_redis(&Broker::Redis(Redis::start()));
}

#[test]
fn the_pages_of_a_django_application_show_what_our_worker_made_over_rabbitmq() {
    check_django_with_redis(&Broker::Rabbit(Rabbit::start()));
}

#[test]
fn the_pages_of_a_django_application_show_results_out_of_a_sqlite_file() {
    let rabbit = Rabbit::start();
    let stage = beside(&rabbit.url(), "disabled://");
    let backend = format!("db+sqlite:///{}", stage.path("results.sqlite").display());
    let stage = stage.with("result_backend", &backend);
    check_django(&stage, &rabbit.url(), &backend);
}

fn check_flask(release: &str, broker: &str, backend: &str) {
    let stage = beside(broker, backend);
    let _worker = stage.server(&["worker"]);
    let seen = apps(release, broker, backend).run("visits.py", &["flask"]);
    for (page, expected) in [
        ("words", json!([200, {"words": 6}])),
        ("joined", json!([200, {"joined": "a+ä+𝄞"}])),
        ("refused", json!([422, {"refused": "not in stock"}])),
        ("later", json!([202, {"state": "SUCCESS", "result": 3}])),
    ] {
        assert_eq!(seen[page], expected, "{page}: {seen}");
    }
}

#[test]
fn the_pages_of_a_flask_application_show_what_our_worker_made_over_redis() {
    let redis = Redis::start();
    check_flask(APPS, &redis.url(0), &redis.url(1));
}

#[test]
fn the_pages_of_a_flask_application_with_the_oldest_release_show_the_same() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    check_flask("5.4", &rabbit.url(), &redis.url(1));
}

#[test]
fn the_pages_of_a_flask_application_show_what_our_worker_made_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    check_flask(APPS, &rabbit.url(), &redis.url(1));
}

fn a_schedule_in_a_database_drives_us(broker: &Broker) {
    let redis = Redis::start();
    let stage = beside(&broker.url(), &redis.url(1));
    let database = stage.path("django.db").display().to_string();
    let apps = apps(APPS, &broker.url(), &redis.url(1)).with("DATABASE", database);
    let planned = apps.run("visits.py", &["plan"]);
    let new = json!([0, true]);
    assert_eq!(planned["words"], new, "{planned}");
    let worker = stage.server(&["worker", "-Q", "ticks"]);
    let arguments = [
        "-A",
        "django_app",
        "beat",
        "-S",
        "django",
        "--max-interval",
        "1",
    ];
    let beat = apps.celery(&arguments, &broker.url(), &redis.url(1));
    let only = json!("only once");
    until("three ticks and the one", || {
        let results = results(&redis);
        let ticks = count(&results, "SUCCESS", &json!(4));
        (ticks >= 3 && count(&results, "SUCCESS", &only) == 1).then_some(())
    });
    let headers = handed_on(broker);
    assert_eq!(headers["periodic_task_name"], "python", "{headers}");
    assert_eq!(headers["x-shop"], "7", "{headers}");
    until("the one is switched off in the database", || {
        let runs = apps.run("visits.py", &["runs"]);
        (runs["once"] == json!([0, false])).then_some(())
    });
    // How it ends is not ours to test: a signal in the middle of its own work with the
    // database has left it running. Killed, it sends nothing more; it may have counted what
    // it did not send. What it sent is what was in the queue, of which nothing is left.
    drop(beat);
    until("nothing waits", || {
        (waiting(&stage, "ticks") == 0).then_some(())
    });
    assert_eq!(worker.stop().code, Some(0));
    let results = results(&redis);
    let ticks = count(&results, "SUCCESS", &json!(4));
    assert!(ticks >= 3, "{results:?}");
    assert_eq!(count(&results, "SUCCESS", &only), 1, "{results:?}");
    assert_eq!(ticks + 1, results.len(), "{results:?}");
}

#[test]
fn the_schedule_in_a_django_database_drives_our_worker() {
    a_schedule_in_a_database_drives_us(&Broker::Redis(Redis::start()));
}

#[test]
fn the_schedule_in_a_django_database_drives_our_worker_over_rabbitmq() {
    a_schedule_in_a_database_drives_us(&Broker::Rabbit(Rabbit::start()));
}
