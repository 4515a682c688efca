//! Tasks that send other tasks.

pub(crate) mod celery;

use crate::{failure, stage, success};
use serde_json::{Value, json};
use support::{Letter, Stage, until};

/// A stage whose module `odd` may send all of its own tasks.
fn granted() -> Stage {
    let stage = stage();
    stage.write(
        "celeriac.toml",
        "[grants.odd]\nsubmit = [\"odd.*\", \"text.*\", \"nobody.*\"]\n",
    );
    stage
}

/// The ids a task returned.
fn ids(stored: &Value) -> Vec<String> {
    serde_json::from_value(success(stored).clone()).expect("a list of ids")
}

#[test]
fn what_is_sent_at_once_runs_as_a_child_of_its_sender() {
    let stage = granted();
    stage.push("odd");
    let _dev = stage.dev();
    let id = stage.send("odd.sends", &["-a", r#"["odd.told", 2, "now", "ok"]"#]);
    let sent = ids(&stage.ended(&id));
    for (number, child) in sent.iter().enumerate() {
        let told = stage.ended(child);
        assert_eq!(
            *success(&told),
            json!([child, id, id, "celery", 0, null, number])
        );
    }
}

#[test]
fn what_is_sent_on_success_is_sent_only_then() {
    let stage = granted();
    stage.push("odd");
    let _dev = stage.dev();
    let stored = stage.call("odd.sends", r#"["odd.told", 3, "success", "ok"]"#);
    for child in ids(&stored) {
        success(&stage.ended(&child));
    }
    let stored = stage.call("odd.sends", r#"["odd.told", 3, "success", "fail"]"#);
    failure(&stored, "builtins.ValueError");
    let tally = stage.settled();
    assert_eq!((tally.state("SUCCESS"), tally.state("FAILURE")), (4, 1));
}

#[test]
fn a_retry_sends_once_what_has_a_key_or_waits_for_success() {
    let stage = granted();
    stage.push("odd");
    let _dev = stage.dev();
    let results = |args: &str| {
        let before = stage.settled().state("SUCCESS");
        let stored = stage.call("odd.sends", args);
        assert_eq!(stored["retries"], 1, "{stored}");
        for child in ids(&stored) {
            success(&stage.ended(&child));
        }
        stage.settled().state("SUCCESS") - before
    };
    // Two of both attempts together, and the sender itself.
    assert_eq!(results(r#"["odd.told", 2, "now", "retry", "a key"]"#), 3);
    assert_eq!(results(r#"["odd.told", 2, "success", "retry"]"#), 3);
    // Two of each attempt.
    assert_eq!(results(r#"["odd.told", 2, "now", "retry"]"#), 5);
}

#[test]
fn an_attempt_that_is_repeated_sends_the_same_tasks() {
    let stage = granted().with("worker.lease", "1s");
    stage.push("odd");
    let first = stage.dev();
    let id = stage.send("odd.sends", &["-a", r#"["odd.told", 2, "now", "wait"]"#]);
    let sent = until("it has sent", || {
        let stored = stage.stored(&id);
        (stored["state"] == "SENT").then(|| stored["result"].clone())
    });
    first.kill();
    let _second = stage.dev();
    let stored = stage.ended(&id);
    assert_eq!(stored["deliveries"], 2, "{stored}");
    assert_eq!(*success(&stored), sent, "{stored}");
}

#[test]
fn without_a_grant_it_is_denied_with_the_line_that_would_allow_it() {
    let stage = stage();
    stage.push("odd");
    let _dev = stage.dev();
    let stored = stage.call("odd.sends", r#"["odd.told", 1, "now", "ok"]"#);
    let message = failure(&stored, "celeriac.SubmitError");
    let line = r#"[grants."odd"] submit = ["odd.told"]"#;
    assert!(message.contains(line), "{message}");
}

#[test]
fn a_task_that_is_not_there_is_told_at_once() {
    let stage = granted();
    stage.push("odd");
    let _dev = stage.dev();
    for task in ["odd.nothing", "nobody.knows"] {
        let args = json!([task, 1, "success", "ok"]).to_string();
        let stored = stage.call("odd.sends", &args);
        let message = failure(&stored, "celeriac.SubmitError");
        assert!(message.contains("no such task"), "{message}");
    }
}

#[test]
fn one_attempt_sends_a_hundred_tasks_and_no_more() {
    let stage = granted();
    stage.push("odd");
    let _dev = stage.dev();
    let stored = stage.call("odd.sends", r#"["odd.told", 100, "success", "ok"]"#);
    assert_eq!(ids(&stored).len(), 100);
    let stored = stage.call("odd.sends", r#"["odd.told", 101, "success", "ok"]"#);
    let message = failure(&stored, "celeriac.SubmitError");
    assert!(
        message.contains("one attempt sends at most 100 tasks"),
        "{message}"
    );
}

#[test]
fn a_fork_bomb_ends_by_itself() {
    let stage = stage();
    stage.write(
        "celeriac.toml",
        "[grants.hostile]\nsubmit = [\"hostile.submit_bomb\"]\n",
    );
    stage.push("hostile");
    let _dev = stage.dev();
    // A small bomb: of 250 tasks, not of 10,000.
    let bomb = Letter::new("hostile.submit_bomb", "bomb", "[]");
    stage.post(&[bomb.header("x-celeriac-submits", json!(250))]);
    assert_eq!(*success(&stage.ended("bomb")), 100);
    // The first, 100 children that may send one task each, and those.
    assert_eq!(stage.settled().state("SUCCESS"), 201);
}

#[test]
fn a_task_that_sends_its_successor_does_so_as_often_as_its_workflow_may_send() {
    let stage = granted();
    stage.push("odd");
    let _dev = stage.dev();
    let pages = Letter::new("odd.pages", "pages", "[0]");
    stage.post(&[pages.header("x-celeriac-submits", json!(7))]);
    success(&stage.ended("pages"));
    assert_eq!(stage.settled().state("SUCCESS"), 8);
}

#[test]
fn a_job_has_a_queue_a_delay_a_priority_and_headers() {
    let stage = granted().with("worker.queues", "celery,side");
    stage.push("odd");
    let _dev = stage.server(&["dev"]);
    let id = stage.send("odd.furnishes", &["-a", "[]"]);
    let child = success(&stage.ended(&id))
        .as_str()
        .expect("an id")
        .to_owned();
    let told = stage.ended(&child);
    assert_eq!(*success(&told), json!([child, id, id, "side", 0, "7", 7]));
}

#[test]
fn a_job_has_no_queue_in_the_place_of_a_table() {
    let stage = stage();
    stage.write(
        "celeriac.toml",
        "[grants.odd]\nsubmit = [\"odd.*\"]\n[routes]\n\"odd.told\" = \"celeriac.parked.celery\"\n",
    );
    stage.push("odd");
    let _dev = stage.dev();
    let stored = stage.call("odd.sends", r#"["odd.told", 1, "now", "ok"]"#);
    let said = stored.to_string();
    assert!(said.contains("no queue can be called"), "{stored}");
    assert!(said.contains("celeriac.parked.celery"), "{stored}");
}

#[test]
fn headers_of_the_protocol_cannot_be_forged() {
    let stage = granted();
    stage.push("odd");
    let _dev = stage.dev();
    for name in ["root_id", "x-celeriac-submits", "x-delivery-count"] {
        let stored = stage.call("odd.forges", &json!([name]).to_string());
        let said = success(&stored).as_str().expect("a text");
        assert!(said.contains("belongs to the protocol"), "{name}: {said}");
    }
}

#[test]
fn a_task_hands_its_work_over_and_its_caller_gets_that_result() {
    let stage = granted();
    stage.push("odd");
    let _dev = stage.dev();
    let id = stage.send("odd.replaces", &["-a", r#"["odd.told"]"#]);
    let stored = stage.ended(&id);
    assert_eq!(*success(&stored), json!([id, id, id, "celery", 1, null, 7]));
}

#[test]
fn a_guest_sends_a_chain_of_a_chord_and_its_news() {
    let stage = stage();
    stage.write("celeriac.toml", "[grants.shop]\nsubmit = [\"shop.*\"]\n");
    stage.push("shop");
    let _dev = stage.dev();
    let stored = stage.call("shop.ship", r#"[17, ["tea", "cup", "pot"]]"#);
    let news = success(&stored).as_str().map(str::to_owned);
    let ended = stage.ended(&news.expect("the id of the last one"));
    assert_eq!(*success(&ended), "order 17: tea, cup, pot");
    // Itself, three packed, the parcel, the news.
    assert_eq!(stage.settled().state("SUCCESS"), 6);
}

#[test]
fn a_group_that_a_guest_sends_runs_as_a_whole() {
    let stage = granted();
    stage.push("odd");
    let _dev = stage.dev();
    let stored = stage.call("odd.groups", "[20]");
    assert!(success(&stored).is_string(), "{stored}");
    until("all of them ran", || {
        (stage.tally().state("SUCCESS") == 21).then_some(())
    });
}
