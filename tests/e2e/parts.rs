//! Links, steps, members and bodies with options of their own: what our worker sends for
//! them and makes of them is what a worker of Celery does, asked the same in the same test.

use crate::{celery, stage};
use serde_json::{Value, json};
use std::path::Path;
use support::{PythonWorker, Rabbit, Redis, Server, Stage};

/// The queue of Celery's worker, and that of ours.
const QUEUES: [&str; 2] = ["theirs", "ours"];

/// Both workers on one broker, with the same tasks.
struct Both {
    release: &'static str,
    broker: String,
    backend: String,
    _stage: Stage,
    ours: Server,
    _theirs: PythonWorker,
}

impl Both {
    fn start(release: &'static str, broker: &str, backend: &str) -> Self {
        let stage = stage()
            .with("broker", broker)
            .with("result_backend", backend)
            .with("worker.result_extended", "true")
            .with("worker.consumer_timeout", "2h");
        for module in ["text", "flaky", "numbers", "odd"] {
            stage.push(module);
        }
        let ours = stage.server(&["worker", "-Q", QUEUES[1]]);
        let pool = ["-A", "reference", "worker", "-P", "prefork", "-c", "4"];
        let quiet = ["--without-mingle", "--without-gossip", "-l", "warning"];
        let arguments = [&pool[..], &["-Q", QUEUES[0]], &quiet].concat();
        let theirs = celery::python(release).celery(&arguments, broker, backend);
        Self {
            release,
            broker: broker.to_owned(),
            backend: backend.to_owned(),
            _stage: stage,
            ours,
            _theirs: theirs,
        }
    }

    /// Returns what a client saw of Celery's worker and of ours.
    fn ask(&self, scene: &str) -> [Value; 2] {
        std::thread::scope(|scope| {
            QUEUES
                .map(|queue| {
                    let arguments = [scene, &self.broker, &self.backend, queue].map(str::to_owned);
                    scope.spawn(move || {
                        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                        celery::python(self.release).run("parts.py", &arguments)
                    })
                })
                .map(|client| client.join().expect("the client ends"))
        })
    }
}

/// What the same part is sent as, by both.
fn assert_sent(release: &'static str, broker: &str, backend: &str) {
    let both = Both::start(release, broker, backend);
    let [mut theirs, mut ours] = both.ask("sent");
    assert_spot(&ours);
    for seen in [&mut theirs, &mut ours] {
        let parts = seen.as_object_mut().expect("an object");
        assert_eq!(parts.len(), 8 * 17);
        // In Celery such a body has nothing of the priority that it was given.
        parts["body.priority"]["priority"] = json!(null);
        for part in parts.values_mut() {
            // What kombu writes into Redis where nobody named one.
            if part["priority"] == 0 {
                part["priority"] = json!(null);
            }
            // Older releases say so where nothing is said, and no task can choose.
            if release == "5.4" && part["ignore_result"] == false {
                part["ignore_result"] = json!(null);
            }
        }
    }
    for (name, part) in theirs.as_object_mut().expect("an object") {
        if name.ends_with(".form") {
            assert_eq!(part["form"], json!(["application/x-gzip", 1]), "{name}");
            // Ours are JSON that every client reads, and kept.
            part["form"] = json!([null, 2]);
        }
        assert_eq!(ours[name], *part, "{name}");
    }
    assert_eq!(both.ours.stop().code, Some(0));
}

/// Some of it, lest both be wrong.
fn assert_spot(ours: &Value) {
    for place in [
        "link", "links", "errback", "step", "member", "header", "body", "chord",
    ] {
        let part = |name: &str| &ours[format!("{place}.{name}")];
        assert_eq!(part("ignored")["ignore_result"], true, "{place}");
        assert_eq!(part("limits")["timelimit"], json!([9.0, 4.5]), "{place}");
        assert_eq!(part("priority")["priority"], 7, "{place}");
        assert_eq!(part("countdown")["eta"], true, "{place}");
        assert_eq!(part("expires")["expires"], true, "{place}");
        assert_eq!(part("shadow")["shadow"], "a shadow", "{place}");
        assert_eq!(part("headers")["own"]["x-shop"], "seven", "{place}");
        assert_eq!(part("stamps")["stamped"], json!(["many", "order"]));
        assert_eq!(part("reprs")["hidden"], json!([true, true]), "{place}");
        assert_eq!(part("linked")["links"][0], json!(["text.echo"]), "{place}");
    }
}

#[test]
fn what_follows_is_sent_with_its_own_options_as_by_a_worker_of_celery_over_redis() {
    let redis = Redis::start();
    assert_sent("5.7", &redis.url(0), &redis.url(1));
    assert_sent("5.4", &redis.url(2), &redis.url(3));
}

#[test]
fn what_follows_is_sent_with_its_own_options_as_by_a_worker_of_celery_over_rabbitmq() {
    for release in ["5.7", "5.4"] {
        let (rabbit, redis) = (Rabbit::start(), Redis::start());
        assert_sent(release, &rabbit.url(), &redis.url(1));
    }
}

/// What the same part comes to, with both.
fn assert_served(release: &'static str, broker: &str, backend: &str) {
    let both = Both::start(release, broker, backend);
    let [theirs, ours] = both.ask("served");
    let scenes = theirs.as_array().expect("a list").iter();
    for (scene, seen) in scenes.zip(ours.as_array().expect("a list")) {
        for (name, part) in scene.as_object().expect("an object") {
            // Workers of older releases store a failure that nobody wants to know.
            let is_told = ["failed", "rest", "broken"].contains(&name.as_str());
            if release == "5.7" || !is_told {
                assert_eq!(seen[name], *part, "{release} {name}");
            }
        }
    }
    let [ignored, bounded, marked] = [0, 1, 2].map(|scene| &ours[scene]);
    assert_eq!(
        ignored["step"],
        json!([["returned", 10], "PENDING", "SUCCESS"])
    );
    assert_eq!(ignored["failed"], json!([true, "PENDING"]));
    assert_eq!(ignored["rest"], json!(["returned", "PENDING"]));
    assert_eq!(
        bounded["hard step"],
        "billiard.exceptions.TimeLimitExceeded"
    );
    assert_eq!(bounded["late member"], "celery.exceptions.TaskRevokedError");
    assert_eq!(bounded["delayed body"], json!([["returned", [1, 2]], true]));
    assert_eq!(marked["header"], json!(["returned", "seven"]));
    assert_eq!(both.ours.stop().code, Some(0));
}

#[test]
fn options_of_links_steps_members_and_bodies_do_what_they_do_in_celery_over_redis() {
    let redis = Redis::start();
    assert_served("5.7", &redis.url(0), &redis.url(1));
    assert_served("5.4", &redis.url(2), &redis.url(3));
}

#[test]
fn options_of_links_steps_members_and_bodies_do_what_they_do_in_celery_over_rabbitmq() {
    for release in ["5.7", "5.4"] {
        let (rabbit, redis) = (Rabbit::start(), Redis::start());
        assert_served(release, &rabbit.url(), &redis.url(1));
    }
}

#[test]
fn options_of_links_steps_and_bodies_do_what_they_do_in_celery_with_results_in_a_sqlite_file() {
    let (redis, folder) = (Redis::start(), stage());
    let file = |folder: &Path| folder.join("results.sqlite").display().to_string();
    let backend = format!("db+sqlite:///{}", file(folder.folder()));
    assert_served("5.7", &redis.url(0), &backend);
}
