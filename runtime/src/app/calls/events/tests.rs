use super::*;
use crate::results::RunUsage;
use crate::task::{Exception, Fence};
use bytes::Bytes;
use jiff::Timestamp;

fn record(state: State, run: (u32, u32), result: Option<&str>, log: Option<&str>) -> Record {
    Record {
        id: TaskId::parse("7").unwrap(),
        task: "m.t".to_owned(),
        fence: Fence {
            retries: run.0,
            deliveries: run.1,
        },
        state,
        result: result.map(|text| Bytes::from(text.to_owned())),
        exception: None,
        due: None,
        worker: "celeriac@box".to_owned(),
        usage: RunUsage::default(),
        log: log.map(str::to_owned),
        written_at: Timestamp::UNIX_EPOCH,
    }
}

fn progress(current: u32) -> Record {
    let meta = format!("{{\"current\": {current},\n \"total\": 1.10}}");
    record(
        State::Custom("PROGRESS".to_owned()),
        (0, 1),
        Some(&meta),
        None,
    )
}

fn done() -> Record {
    let log = r#"{"lines":[{"message":"a"},{"message":"b"}],"dropped_lines":0}"#;
    record(State::Success, (0, 1), Some("[1.10]"), Some(log))
}

fn told(record: Option<&Record>, seen: &mut Seen) -> Vec<TaskEvent> {
    news(&TaskId::parse("7").unwrap(), record, seen)
}

fn kinds(events: &[TaskEvent]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind).collect()
}

#[test]
fn each_thing_is_told_once_and_in_its_order() {
    let mut seen = Seen::default();
    let pending = told(None, &mut seen);
    assert_eq!(kinds(&pending), ["state"]);
    assert!(pending[0].data.contains(r#""state":"PENDING""#));
    assert_eq!(told(None, &mut seen), []);
    let started = record(State::Started, (0, 1), None, None);
    assert_eq!(kinds(&told(Some(&started), &mut seen)), ["state"]);
    assert_eq!(told(Some(&started), &mut seen), []);
    let half = told(Some(&progress(1)), &mut seen);
    assert_eq!(kinds(&half), ["progress"]);
    // On one line, with its digits.
    assert!(
        half[0]
            .data
            .contains(r#""meta":{"current": 1,  "total": 1.10}"#),
        "{}",
        half[0].data
    );
    assert_eq!(told(Some(&progress(1)), &mut seen), []);
    assert_eq!(kinds(&told(Some(&progress(2)), &mut seen)), ["progress"]);
    let end = told(Some(&done()), &mut seen);
    assert_eq!(kinds(&end), ["log", "log", "result"]);
    assert_eq!(end[0].data, r#"{"message":"a"}"#);
    assert!(
        end[2].data.contains(r#""result":[1.10]"#),
        "{}",
        end[2].data
    );
}

#[test]
fn whoever_comes_again_gets_what_is_new_and_always_the_end() {
    let mut seen = Seen::default();
    let first = told(Some(&progress(1)), &mut seen);
    let mut again = Seen::read(&first[0].id).unwrap();
    assert_eq!(told(Some(&progress(1)), &mut again), []);
    assert_eq!(kinds(&told(Some(&progress(2)), &mut again)), ["progress"]);
    let end = told(Some(&done()), &mut seen);
    let mut after_a_line = Seen::read(&end[0].id).unwrap();
    assert_eq!(
        kinds(&told(Some(&done()), &mut after_a_line)),
        ["log", "result"]
    );
    let mut after_the_end = Seen::read(&end[2].id).unwrap();
    assert_eq!(kinds(&told(Some(&done()), &mut after_the_end)), ["result"]);
}

#[test]
fn another_attempt_begins_anew() {
    let mut seen = Seen::default();
    let log = r#"{"lines":[{"message":"a"}]}"#;
    let failed = Record {
        exception: Some(Exception::new("builtins", "ValueError", "no")),
        ..record(State::Retry, (0, 1), None, Some(log))
    };
    assert_eq!(kinds(&told(Some(&failed), &mut seen)), ["log", "state"]);
    let again = record(State::Retry, (1, 1), None, Some(log));
    assert_eq!(kinds(&told(Some(&again), &mut seen)), ["log", "state"]);
}

#[test]
fn ids_of_events_that_are_none_of_ours_mean_nothing() {
    for text in [
        "",
        "7",
        "1.1.1",
        "1.1.1.x",
        "1.1.1.1.1",
        "-1.1.1.1",
        "99999999999.1.1.1",
    ] {
        assert_eq!(Seen::read(text), None, "{text}");
    }
    let seen = Seen {
        run: (1, 2),
        lines: 3,
        mark: 0xff,
        any: true,
    };
    assert_eq!(Seen::read(&seen.write()), Some(seen));
}

#[test]
fn a_log_that_is_none_has_no_lines() {
    for log in ["", "[]", "{}", r#"{"lines":7}"#] {
        let broken = record(State::Success, (0, 1), Some("1"), Some(log));
        assert_eq!(
            kinds(&told(Some(&broken), &mut Seen::default())),
            ["result"]
        );
    }
}
