//! Every place a task can be in, in words.

use super::*;
use crate::broker::{Depth, Found, Looked, Place};
use crate::celery::TaskCall;
use crate::cli::why::seen::Taker;
use crate::results::{Record, RunUsage};
use crate::task::{Exception, Fence, State, TaskId, TenantName};

fn now() -> Timestamp {
    "2030-01-31T14:01:48Z".parse().unwrap()
}

fn later() -> Timestamp {
    "2030-01-31T14:05:00Z".parse().unwrap()
}

fn taker(worker: &str, held: Option<(&str, Option<Timestamp>)>) -> Taker {
    Taker {
        worker: worker.to_owned(),
        held: held.map(|(quota, until)| (quota.to_owned(), until)),
    }
}

fn seen() -> Seen {
    Seen {
        id: TaskId::parse("7f3a").unwrap(),
        now: now(),
        keeps_results: true,
        record: None,
        looked: Looked {
            found: None,
            reach: Reach::All(vec!["celery".to_owned()]),
        },
        depths: Vec::new(),
        is_revoked: false,
        killed: None,
        workers: Vec::new(),
        takers: None,
        max_retries: None,
        rate: None,
    }
}

fn record(state: State) -> Record {
    Record {
        id: TaskId::parse("7f3a").unwrap(),
        task: "shop.pay".to_owned(),
        fence: Fence {
            retries: 1,
            deliveries: 1,
        },
        state,
        result: None,
        exception: Some(Exception::new(
            "builtins",
            "ConnectionError",
            "connect timed out\nat line 3",
        )),
        due: Some(later()),
        worker: "w@box".to_owned(),
        usage: RunUsage::default(),
        log: None,
        written_at: "2030-01-31T14:01:43Z".parse().unwrap(),
    }
}

fn found(place: Place, retries: u64, eta: Option<&str>) -> Seen {
    let mut message = TaskCall::new("shop.pay", "[]", "{}").unwrap().message("me");
    for (name, value) in [("retries", json!(retries)), ("eta", json!(eta))] {
        message.headers.insert(name.to_owned(), value);
    }
    let queue = "celery".to_owned();
    Seen {
        looked: Looked {
            found: Some(Found {
                queue,
                place,
                message,
            }),
            ..seen().looked
        },
        ..seen()
    }
}

fn words(seen: &Seen) -> String {
    let verdict = judge(seen);
    let head = format!("{}{}", verdict.head, verdict.rest);
    assert_eq!(verdict.document["why"], head);
    [head]
        .into_iter()
        .chain(verdict.more)
        .collect::<Vec<_>>()
        .join("\n")
}

fn parked() -> Place {
    Place::Parked { until: later() }
}

#[test]
fn a_task_that_is_over_is_told_from_its_record() {
    for (state, text) in [
        (
            State::Failure,
            "failed 5 s ago on w@box: ConnectionError: connect timed out",
        ),
        (
            State::Revoked,
            "revoked 5 s ago on w@box: ConnectionError: connect timed out",
        ),
    ] {
        let record = Some(record(state));
        let text = format!("{text}\nits result: celeriac result 7f3a");
        assert_eq!(words(&Seen { record, ..seen() }), text);
    }
    let success = Record {
        exception: None,
        worker: String::new(),
        usage: RunUsage {
            queue_wait_ms: 1,
            run_us: 13_000,
            cpu_us: 9_000,
            memory_peak_bytes: 3_355_444,
            ..RunUsage::default()
        },
        ..record(State::Success)
    };
    let over = Seen {
        record: Some(success),
        is_revoked: true,
        ..seen()
    };
    assert_eq!(
        words(&over),
        "succeeded 5 s ago\n\
         its last run was over in 14 ms (queue 1 ms, cpu 9 ms, peak 3.2 MiB)\nits result: celeriac result 7f3a"
    );
}

#[test]
fn what_is_parked_says_until_when_and_why() {
    let until = "parked in queue celery until 14:05:00 UTC (in 3 min 12 s): ";
    let eta = Some("2030-01-31T14:05:00+00:00");
    let retried = Seen {
        record: Some(record(State::Retry)),
        max_retries: Some(5),
        ..found(parked(), 2, eta)
    };
    assert_eq!(
        words(&retried),
        format!("{until}retry 2 of 5 after ConnectionError: connect timed out")
    );
    let unrecorded = found(parked(), 2, eta);
    assert_eq!(words(&unrecorded), format!("{until}retry 2"));
    let asked = found(parked(), 0, eta);
    assert_eq!(
        words(&asked),
        format!("{until}its eta, as its caller asked")
    );
    let rated = Seen {
        rate: Some("10/m".to_owned()),
        ..found(parked(), 0, None)
    };
    assert_eq!(words(&rated), format!("{until}its rate limit of 10/m"));
    let put_off = found(parked(), 0, Some("2030-01-31T14:00:00+00:00"));
    assert_eq!(
        words(&put_off),
        format!("{until}a worker put it off, and its log says why")
    );
    let unseen = Seen {
        record: Some(record(State::Retry)),
        looked: Looked::nowhere(),
        ..seen()
    };
    assert_eq!(
        words(&unseen),
        "parked until 14:05:00 UTC (in 3 min 12 s): retry 2 after ConnectionError: connect timed out\n\
         this broker shows no messages"
    );
}

#[test]
fn what_waits_says_which_quota_of_its_tenant_is_full_and_until_when() {
    let full = Seen {
        takers: Some(vec![
            taker("a@b", Some(("cpu_per_hour", Some(later())))),
            taker("c@d", Some(("suspended", None))),
        ]),
        ..found(Place::Ready { ahead: 0 }, 0, None)
    };
    assert_eq!(
        words(&full),
        "waiting in queue celery, the next to be taken\n\
         taken from by a@b, c@d\n\
         not taken by a@b until 14:05:00 UTC (in 3 min 12 s): its tenant's quota cpu_per_hour is full\n\
         not taken by c@d: its tenant is suspended"
    );
}

#[test]
fn what_waits_says_behind_how_many_and_who_takes_from_there() {
    let nobody = Seen {
        takers: Some(Vec::new()),
        ..found(Place::Ready { ahead: 12 }, 0, None)
    };
    assert_eq!(
        words(&nobody),
        "waiting in queue celery behind about 12 others\n\
         no worker that answers takes from it: start one with `celeriac worker -Q celery`"
    );
    let first = Seen {
        takers: Some(vec![taker("a@b", None), taker("c@d", None)]),
        is_revoked: true,
        ..found(
            Place::Ready { ahead: 0 },
            3,
            Some("2030-02-01T14:05:00+00:00"),
        )
    };
    assert_eq!(
        words(&first),
        "waiting in queue celery, the next to be taken\n\
         it is revoked: it will not run, and ends as REVOKED when a worker takes it\n\
         not to run before 2030-02-01 14:05:00 UTC (in 1 d)\nretry 3\ntaken from by a@b, c@d"
    );
}

#[test]
fn what_a_worker_has_is_told_by_that_worker() {
    let hold = |runs| Hold {
        worker: "w@box".to_owned(),
        runs,
        since: Some("2030-01-31T14:01:45Z".parse().unwrap()),
        task: Some("shop.pay".to_owned()),
        queue: Some("celery".to_owned()),
    };
    let running = Seen {
        workers: vec![hold(true)],
        ..seen()
    };
    assert_eq!(
        words(&running),
        "running on w@box since 14:01:45 UTC (for 3 s)"
    );
    let document = judge(&running).document;
    assert_eq!(
        (&document["place"], &document["task"], &document["queue"]),
        (&json!("running"), &json!("shop.pay"), &json!("celery"))
    );
    let waits = Seen {
        workers: vec![hold(false)],
        ..seen()
    };
    assert!(words(&waits).starts_with("in hand of w@box, which waits"));
    let silent = found(
        Place::Leased {
            until: Some(later()),
        },
        0,
        None,
    );
    assert_eq!(
        words(&silent),
        "held from queue celery by a worker that does not answer\n\
         unless it gives a sign of life, others may take it at 14:05:00 UTC (in 3 min 12 s)"
    );
    let celerys = Seen {
        record: Some(record(State::Started)),
        ..found(Place::Leased { until: None }, 0, None)
    };
    assert_eq!(
        words(&celerys),
        "held from queue celery by a worker that does not answer, perhaps w@box\n\
         others get it when the visibility timeout of the broker is over"
    );
}

#[test]
fn a_dead_letter_says_why_it_died() {
    let dead = Place::Dead {
        reason: "no task \"shop.pay\" is registered here".to_owned(),
        died_at: "2030-01-31T14:01:43Z".parse().unwrap(),
    };
    assert_eq!(
        words(&found(dead, 0, None)),
        "dead letter of queue celery, 5 s ago: no task \"shop.pay\" is registered here\n\
         its neighbours: celeriac queues celery --dead"
    );
}

#[test]
fn what_is_unknown_says_where_was_looked_and_what_that_can_mean() {
    let verdict = judge(&seen());
    assert_eq!(
        (verdict.exit, &verdict.document["place"]),
        (Exit::NotFound, &json!("unknown"))
    );
    assert_eq!(
        words(&seen()),
        "unknown: no worker that answers has it\n\
         nothing is stored of it: it has not ended, its result expired, or it was sent with ignore_result\n\
         it is not in celery\nor it was never sent to this broker, or was purged"
    );
    let queues = vec!["celery".to_owned()];
    let depth = Depth {
        ready: 7,
        ..Depth::default()
    };
    let hidden = Seen {
        keeps_results: false,
        looked: Looked {
            found: None,
            reach: Reach::DeadLetters(queues.clone()),
        },
        depths: vec![("celery".to_owned(), depth)],
        ..seen()
    };
    let text = words(&hidden);
    for part in [
        "no results are kept here: name the place",
        "it is no dead letter of celery; this broker shows no message that waits",
        "queue celery holds 7 messages ready to be taken: it may be there",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let longer = Reach::Part {
        queues: queues.clone(),
        longer: queues,
    };
    let looked = Looked {
        found: None,
        reach: longer,
    };
    let text = words(&Seen { looked, ..seen() });
    assert!(
        text.contains("as far as was looked: celery have more than 10000 messages"),
        "{text}"
    );
    let lost = Seen {
        record: Some(record(State::Started)),
        ..seen()
    };
    assert!(
        words(&lost).starts_with("STARTED was told 5 s ago by w@box, which does not answer"),
        "{}",
        words(&lost)
    );
}

#[test]
fn what_is_killed_says_what_becomes_of_it() {
    let kill = |hold| {
        let aim = crate::registry::Aim::Module(TenantName::default(), "shop".parse().unwrap());
        Some(crate::registry::Kill {
            aim,
            reason: "it loops".to_owned(),
            hold,
            killed_at: now(),
        })
    };
    for (place, hold, end) in [
        (
            Place::Ready { ahead: 0 },
            false,
            "it ends as FAILURE when a worker takes it",
        ),
        (parked(), true, "it waits until it is allowed again"),
    ] {
        let seen = Seen {
            killed: kill(hold),
            ..found(place, 0, None)
        };
        let line = format!(
            "module shop is killed: it loops: {end}; \
             `celeriac kill --undo --module shop` allows it again"
        );
        assert_eq!(words(&seen).lines().nth(1), Some(line.as_str()));
    }
}
