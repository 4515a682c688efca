//! Names that command a terminal, and what the program prints of them.

use crate::{celery, stage};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use support::{Rabbit, Redis, Server, Stage, until};

const ASKED: [&str; 9] = [
    "ping",
    "active",
    "reserved",
    "scheduled",
    "stats",
    "registered",
    "queues",
    "revoked",
    "report",
];
const IDS: [&str; 12] = [
    "bad-task",
    "bad-eta",
    "bad-type",
    "bad-compression",
    "unknown",
    "id\u{202e}\u{200b}",
    "shown",
    "waits",
    "stored",
    "failed",
    "retried",
    "custom",
];
/// How long answers are waited for: all of it each time, since nobody knows who will answer.
const BRIEF: [&str; 2] = ["-t", "400ms"];
/// The code of a program that nobody answered in time.
const NOBODY: i32 = 5;
/// What looks like a line of a log where it begins one.
const FORGED: &str = "12:00:00.000 ERROR forged";

/// Asserts that a terminal acts on nothing of a text, and no reader is misled.
fn assert_tame(what: &str, text: &str) {
    let acts = |letter: char| {
        letter.is_control() && !matches!(letter, '\n' | '\t')
            || matches!(letter, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0041}')
    };
    if let Some(at) = text.find(acts) {
        let near = text.get(at..).unwrap_or_default();
        panic!("{what}: {near:.60?} in\n{text:.2000?}");
    }
}

fn assert_unforged(what: &str, text: &str) {
    let forged = text.split('\n').find(|line| line.starts_with(FORGED));
    assert!(forged.is_none(), "{what}:\n{text}");
}

/// Runs a command for people and for programs, and returns what people see.
fn shown(stage: &Stage, arguments: &[&str]) -> String {
    let what = arguments.join(" ");
    let json = stage.run(&[arguments, &["--json"]].concat());
    assert_tame(&what, &json.out);
    assert_tame(&what, &json.err);
    if json.code != NOBODY {
        let _document = json.json();
    }
    let text = stage.run(arguments);
    assert_tame(&what, &text.out);
    assert_tame(&what, &text.err);
    assert!(!text.err.contains("panicked"), "{text}");
    text.out
}

/// Asks until the stranger is heard, and returns what people see then.
fn heard(stage: &Stage, arguments: &[&str]) -> String {
    let arguments = [arguments, &BRIEF].concat();
    until("the stranger is heard", || {
        Some(shown(stage, &arguments)).filter(|seen| seen.contains("forged"))
    })
}

fn assert_shown(stage: &Stage, worker: &Server) {
    heard(stage, &["inspect", "ping"]);
    for id in ["unknown", "bad-task", "bad-type", "shown"] {
        stage.ended(id);
    }
    for what in ASKED {
        assert_unforged(what, &heard(stage, &["inspect", what]));
    }
    for id in IDS {
        let seen = shown(stage, &[&["why", id][..], &BRIEF].concat());
        assert_unforged(id, &seen);
        // The text of an exception is the task's own, whatever its lines say.
        shown(stage, &["result", id]);
    }
    heard(stage, &["why", "held"]);
    assert_unforged("queues", &shown(stage, &["queues"]));
    let dead = shown(stage, &["queues", "celery", "--dead"]);
    assert!(dead.contains("forged"), "{dead}");
    assert_unforged("dead letters", &dead);
    let (_, metrics) = worker.get("/metrics").expect("numbers");
    assert_tame("metrics", &metrics);
    let refused = stage.run(&["result", "x", "--\u{1b}[2J\u{9b}1m"]);
    assert_eq!(refused.code, 2, "{refused}");
    assert_tame("an unknown option", &refused.err);
}

/// Reads lines until every event of the stranger was seen.
fn assert_events(stage: &Stage, more: &[&str]) {
    let mut listening = stage.command(&[&["events"][..], more].concat());
    let mut listening = listening
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let output = BufReader::new(listening.stdout.take().expect("an output"));
    let mut text = String::new();
    for line in output.split(b'\n') {
        let line = String::from_utf8(line.expect("a line")).expect("UTF-8");
        text.push_str(&line);
        text.push('\n');
        if text.matches("forged").count() > 8 && text.contains("worker-") {
            break;
        }
    }
    listening.kill().expect("it runs");
    listening.wait().expect("a child of ours");
    assert_tame("events", &text);
    assert_unforged("events", &text);
}

fn assert_tamed(broker: &str, backend: &str, format: &str) {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h");
    stage.push("text");
    let worker = stage.server(&["worker", "-E", "-l", "trace", "--log-format", format]);
    let stranger = celery::python("5.7").start("hostile_names.py", &[broker, backend]);
    assert_shown(&stage, &worker);
    assert_events(&stage, &[]);
    assert_events(&stage, &["--json"]);
    drop(stranger);
    let log = worker.log();
    assert!(log.contains("no.such\\u202e"), "{log}");
    assert_tame("the log", &log);
    assert_unforged("the log", &log);
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn nothing_that_a_stranger_named_commands_a_terminal_over_redis() {
    let redis = Redis::start();
    assert_tamed(&redis.url(0), &redis.url(1), "text");
}

#[test]
fn nothing_that_a_stranger_named_commands_a_terminal_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_tamed(&rabbit.url(), &redis.url(1), "json");
}
