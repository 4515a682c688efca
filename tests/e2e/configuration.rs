//! Configurations that are wrong: where, why, and what was meant.

use crate::{stage, success};
use support::Stage;

fn with_file(text: &str) -> Stage {
    let stage = stage();
    stage.write("celeriac.toml", text);
    stage
}

#[test]
fn a_misspelt_key_fails_the_start_with_the_nearest_one() {
    let stage = with_file("[worker]\nconcurency = 8\n");
    for command in [
        &["dev"][..],
        &["modules"],
        &["config", "check"],
        &["call", "a.b"],
    ] {
        stage.run(command).refused(
            2,
            &[
                "worker.concurency",
                "worker.concurrency",
                "celeriac.toml",
                "2",
            ],
        );
    }
    assert!(!stage.data().exists());
    let stage = crate::stage().with("worker.concurency", "8");
    stage
        .run(&["config", "check"])
        .refused(2, &["CELERIAC_WORKER__CONCURENCY", "worker.concurrency"]);
}

#[test]
fn a_value_of_the_wrong_kind_or_out_of_range_names_the_bound() {
    for (text, words) in [
        (
            "[worker]\nconcurrency = 0\n",
            ["worker.concurrency is 0", "at least 1"],
        ),
        (
            "[worker]\nconcurrency = 5000\n",
            ["worker.concurrency is 5000", "at most 4000"],
        ),
        (
            "[worker]\nconcurrency = \"many\"\n",
            ["worker.concurrency", "many"],
        ),
        ("[worker]\nlease = 30\n", ["worker.lease", "30s"]),
        (
            "[worker]\nlease = \"1ms\"\n",
            ["worker.lease", "at least \"1s\""],
        ),
        ("[limits]\nmemory = \"64\"\n", ["limits.memory", "MiB"]),
        (
            "[limits]\nmemory = \"1GiB\"\n",
            ["limits.memory", "at most"],
        ),
        ("[worker]\nqueues = []\n", ["worker.queues", "1"]),
        ("[worker\n", ["celeriac.toml", "TOML"]),
    ] {
        with_file(text).run(&["config", "check"]).refused(2, &words);
    }
    let stage = stage().with("worker.listen", "here");
    stage
        .run(&["config", "check"])
        .refused(2, &["worker.listen", "here", "CELERIAC_WORKER__LISTEN"]);
}

#[test]
fn an_unknown_broker_names_those_that_work() {
    let stage = stage();
    for url in ["kafka://host", "celery", "http://x", ""] {
        stage
            .run(&["queues", "-b", url])
            .refused(2, &["--broker", "sqlite://"]);
    }
    stage
        .run(&["dev", "--result-backend", "mongodb://x"])
        .refused(2, &["--result-backend", "sqlite://"]);
}

#[test]
fn a_missing_file_that_was_named_is_an_error() {
    stage()
        .run(&["config", "check", "--config", "nowhere.toml"])
        .refused(2, &["nowhere.toml"]);
}

#[test]
fn flags_win_over_variables_and_these_over_the_file() {
    let stage = with_file("[worker]\nconcurrency = 5\nqueues = [\"a\"]\ndrain = \"7s\"\n")
        .with("worker.concurrency", "6");
    let dev = stage.dev();
    assert_eq!(
        (&dev.banner()["concurrency"], &dev.banner()["queues"][0]),
        (&6.into(), &"a".into())
    );
    drop(dev);
    let dev = stage.server(&["dev", "-c", "7", "-Q", "b,c"]);
    assert_eq!(
        (&dev.banner()["concurrency"], &dev.banner()["queues"][1]),
        (&7.into(), &"c".into())
    );
}

#[test]
fn broker_and_results_may_live_in_folders_of_their_own() {
    let stage = stage();
    let more = [
        "-b",
        "sqlite://messages",
        "--result-backend",
        "sqlite://results",
    ];
    let _dev = stage.server(&[&["dev"], &more[..]].concat());
    stage.push("text");
    let call = [
        &["call", "text.echo", "-a", "[1]", "--wait", "--json"],
        &more[..],
    ]
    .concat();
    assert_eq!(*success(&stage.run(&call).json()), 1);
    assert!(
        stage.path("messages/celeriac.db").exists() && stage.path("results/celeriac.db").exists()
    );
}

#[test]
fn a_chosen_port_that_is_taken_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    stage()
        .with("worker.listen", &address)
        .run(&["dev"])
        .refused(2, &[&address, "worker.listen"]);
}
