//! The result documents that we write are those that Celery's workers write.

use crate::capture::{commands, names, read};
use celeriac::celery::result::{Document, Found};
use celeriac::task::{Exception, State};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What Celery adds with `result_extended`, which we do not.
const EXTENDED: [&str; 6] = ["name", "args", "kwargs", "worker", "retries", "queue"];

/// Exceptions whose arguments are not one text, and the text they are with us:
/// a guest's exception has one.
const ARGUMENTS: [(&str, &str, &str); 3] = [
    ("CustomError", r#"["x", {"k": [1]}]"#, r#"x, {"k":[1]}"#),
    ("SoftTimeLimitExceeded", "[]", ""),
    ("TimeLimitExceeded", "[1]", "1"),
];

/// One document of a capture.
struct Captured {
    name: String,
    text: String,
}

impl Captured {
    fn json(&self) -> Map<String, Value> {
        serde_json::from_str(&self.text).expect("a document")
    }

    /// The members that every worker writes, without those of `result_extended`.
    fn plain(&self) -> Map<String, Value> {
        let mut members = self.json();
        members.retain(|name, _| !EXTENDED.contains(&name.as_str()));
        members
    }
}

/// Every result document of every capture of a worker that is whole.
fn documents() -> Vec<Captured> {
    let mut documents = Vec::new();
    for name in names("worker_redis_") {
        let capture = read(&name);
        let stored = capture["backend_keys"].as_object().unwrap().iter();
        let stored = stored.filter(|(key, _)| key.starts_with("celery-task-meta-"));
        let stored = stored.map(|(_, held)| held["value"].as_str().unwrap());
        let written = commands(&capture, "SETEX celery-task-meta-");
        let written = written
            .iter()
            .filter_map(|command| command.splitn(4, ' ').nth(3));
        // A long value is cut.
        let whole = stored.chain(written).filter(|text| !text.contains('…'));
        documents.extend(whole.map(|text| Captured {
            name: name.clone(),
            text: text.to_owned(),
        }));
    }
    let trace = read("amqp_rpc_results");
    let bodies = trace["trace"].as_array().unwrap().iter();
    let bodies = bodies
        .map(|one| &one["body"])
        .filter(|body| body["status"].is_string());
    documents.extend(bodies.map(|body| Captured {
        name: "amqp_rpc_results".to_owned(),
        text: body.to_string(),
    }));
    documents
}

#[test]
fn each_state_that_a_worker_stores_is_captured() {
    let all: BTreeSet<String> = documents()
        .iter()
        .map(|document| document.json()["status"].as_str().unwrap().to_owned())
        .collect();
    let expected = ["FAILURE", "PROGRESS", "RETRY", "STARTED", "SUCCESS"];
    assert!(all.iter().eq(expected), "{all:?}");
}

/// What a client would see of a failure of ours with the same exception.
fn arguments(exception: &Exception, theirs: &Value) -> Value {
    let class = exception.class.as_str();
    let known = ARGUMENTS.iter().find(|(known, ..)| *known == class);
    match known {
        Some((_, arguments, text)) => {
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            assert_eq!(*theirs, arguments, "{class}");
            assert_eq!(exception.message, *text, "{class}");
            json!([text])
        }
        None => theirs.clone(),
    }
}

#[test]
fn our_document_of_the_same_end_has_the_same_members() {
    for captured in documents() {
        let name = &captured.name;
        let mut theirs = captured.plain();
        let found = Found::read(&captured.text).expect("a document");
        let state = State::from_word(&found.status);
        let text = |member: &str| theirs[member].as_str().map(str::to_owned);
        let member = |member: &str| {
            theirs
                .get(member)
                .map(|value| value.as_str().unwrap().to_owned())
        };
        let (id, date) = (text("task_id").unwrap(), text("date_done"));
        let (group, parent) = (member("group_id"), member("parent_id"));
        let exception = match &state {
            State::Failure | State::Retry | State::Revoked => found.exception(),
            State::Started | State::Success | State::Custom(_) => None,
        };
        assert_eq!(date.is_some(), state.is_final(), "{name}: {state:?}");
        let ours = Document {
            task_id: &id,
            status: state.as_str(),
            result: found
                .result
                .as_deref()
                .map(|result| result.get())
                .filter(|_| exception.is_none()),
            exception: exception.as_ref(),
            date_done: date.map(|date| date.parse::<Timestamp>().unwrap()),
            group_id: group.as_deref(),
            parent_id: parent.as_deref(),
            children: &theirs["children"].to_string(),
            extended: None,
            celeriac: "{}",
        };
        let mut ours: Map<String, Value> = serde_json::from_str(&ours.text()).unwrap();
        assert!(ours.remove("celeriac").is_some());
        if let Some(exception) = &exception {
            let theirs = &mut theirs["result"]["exc_message"];
            *theirs = arguments(exception, theirs);
        }
        assert_eq!(json!(ours), json!(theirs), "{name}");
    }
}

#[test]
fn a_document_of_a_worker_without_extended_results_has_no_other_member() {
    for document in documents() {
        let is_plain = document.name == "worker_redis_not_extended";
        let extended = EXTENDED
            .iter()
            .filter(|name| document.json().contains_key(**name));
        assert_eq!(
            extended.count(),
            if is_plain { 0 } else { EXTENDED.len() },
            "{}",
            document.text
        );
    }
}

#[test]
fn a_date_is_written_as_workers_of_celery_write_it() {
    for captured in documents() {
        let Some(date) = captured.json()["date_done"].as_str().map(str::to_owned) else {
            continue;
        };
        let date_done = Some(date.parse::<Timestamp>().unwrap());
        let (status, celeriac) = ("SUCCESS", "{}");
        let ours = Document {
            task_id: "t",
            status,
            result: None,
            exception: None,
            date_done,
            group_id: None,
            parent_id: None,
            children: "",
            extended: None,
            celeriac,
        };
        let ours: Value = serde_json::from_str(&ours.text()).unwrap();
        assert_eq!(ours["date_done"], date);
    }
}
