//! Frames as no cell of ours and no worker would write them.

use super::wire::{self, Answer, Ask, FromCell, Kept, Most, Octets, Order, ToCell, Trouble};
use bytes::Bytes;
use celeriac_sandbox::{
    Attempt, Call, EgressSettings, Failure, Grants, Interruption, Job, KeepError, Level, Limits,
    Line, Log, Outcome, Progress, Report, Signature, Submission, SubmitError, Submitted, Usage,
    When, Wish,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use support::Corpus;

/// Beginnings of texts, lists, maps, bytes and extensions that never come, and what ends
/// or nests.
const WORDS: [&[u8]; 12] = [
    b"\xdb\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x00",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xdd\x00\x10\x00\x00",
    b"\x91",
    b"\x81",
    b"\xc0",
    b"\xc1",
    b"\xa4Done",
];
/// Bytes before the document of a frame.
const HEAD: usize = 4;

async fn written(message: &impl Serialize) -> Vec<u8> {
    let mut frame = Vec::new();
    wire::write(&mut frame, message).await.unwrap();
    frame
}

/// Reads a frame as both sides do.
async fn read<T: DeserializeOwned>(frame: &[u8]) -> Option<T> {
    let mut from = frame;
    let most = || Most::of(&Limits::default());
    wire::read(&mut from, most).await.ok().flatten()
}

/// Whatever is read can be written, and is then read as the same.
async fn assert_stays<T: Serialize + DeserializeOwned + Debug>(seeds: Vec<Vec<u8>>) {
    let documents = seeds.iter().map(|frame| frame[HEAD..].to_vec());
    let corpus = Corpus::new(documents.collect(), &WORDS);
    let count = 5_000;
    let mut passed = 0;
    for script in support::scripts(count) {
        let document = corpus.changed(&script);
        let length = u32::try_from(document.len()).unwrap().to_le_bytes();
        let Some(told) = read::<T>(&[&length, &document[..]].concat()).await else {
            continue;
        };
        let first = written(&told).await;
        let again = read::<T>(&first).await;
        let second = written(&again.expect("it was written")).await;
        assert_eq!(first, second, "{told:?}");
        passed += 1;
    }
    assert!((50..count - 50).contains(&passed), "{passed}");
}

fn job() -> Wish {
    Wish::Job(Job {
        task: "mail.send".to_owned(),
        args: Bytes::from_static(b"[1]"),
        kwargs: Bytes::from_static(b"{}"),
        queue: Some("mail".to_owned()),
        headers: [("a".to_owned(), "b".to_owned())].into(),
        ..Job::default()
    })
}

fn signature() -> Signature {
    Signature {
        json: Bytes::from_static(br#"{"task": "a.b"}"#),
        tasks: vec!["a.b".to_owned()],
    }
}

fn report(outcome: Outcome) -> FromCell {
    let end = Report {
        outcome,
        usage: Usage::default(),
        log: Log {
            lines: vec![Line {
                level: Level::Info,
                message: "counted".to_owned(),
                fields: vec![("words".to_owned(), "2".to_owned())],
                by_host: true,
            }],
            dropped_lines: 1,
            dropped_bytes: 80,
            room_lines: 1,
            room_bytes: 80,
        },
        progress: vec![progress()],
        submitted: Submitted {
            ids: vec!["id".to_owned()],
            on_success: vec![Submission {
                id: "id".to_owned(),
                wish: job(),
                index: 0,
            }],
            replacement: Some(signature()),
        },
    };
    FromCell::Done {
        run: 7,
        end: Ok(Box::new(end)),
    }
}

fn progress() -> Progress {
    Progress {
        state: "PROGRESS".to_owned(),
        meta: r#"{"current": 1}"#.to_owned(),
    }
}

#[tokio::test]
async fn whatever_a_cell_says_is_read_within_bounds_or_not_at_all() {
    let failed = Outcome::Failed(Failure {
        kind: "ValueError".to_owned(),
        message: "no".to_owned(),
        trace: None,
        retryable: Some(true),
    });
    let keys = || vec!["a".to_owned(), "b".to_owned()];
    let asks = [
        Ask::Wish {
            wish: job(),
            when: When::OnSuccess,
            index: 3,
        },
        Ask::Replace {
            signature: signature(),
        },
        Ask::Get { keys: keys() },
        Ask::Delete { keys: keys() },
        Ask::Keys { after: 9 },
        Ask::Increment {
            key: "n".to_owned(),
            delta: u64::MAX,
        },
    ];
    let asks = asks.map(|ask| FromCell::Ask { run: 1, ask });
    let others = [
        report(Outcome::Returned(Bytes::from_static(b"[1]"))),
        report(failed),
        FromCell::Progress {
            run: 2,
            progress: progress(),
        },
        FromCell::Ended {
            run: 3,
            usage: Usage::default(),
        },
        FromCell::Done {
            run: 4,
            end: Err(Trouble::Busy { slots: 64 }),
        },
    ];
    let mut seeds = Vec::new();
    for message in asks.iter().chain(&others) {
        seeds.push(written(message).await);
    }
    assert_stays::<FromCell>(seeds).await;
}

#[tokio::test]
async fn whatever_a_worker_says_is_read_within_bounds_or_not_at_all() {
    let order = Order {
        run: 1,
        code: 2,
        call: Call {
            task: "a".to_owned(),
            args: Bytes::from_static(b"[]"),
            kwargs: Bytes::from_static(b"{}"),
        },
        limits: Limits::default(),
        grants: Grants::default(),
        facts: Attempt::default(),
    };
    let answers = [
        Answer::Sent(Ok("id".to_owned())),
        Answer::Sent(Err(SubmitError::Denied("no".to_owned()))),
        Answer::Kept(Ok(Kept::Keys(vec!["a".to_owned()]))),
        Answer::Kept(Ok(Kept::Sum(7))),
        Answer::Kept(Err(KeepError::Full("full".to_owned()))),
    ];
    let answers = answers.map(|answer| ToCell::Answer { run: 1, answer });
    let others = [
        ToCell::Egress {
            settings: EgressSettings::default(),
            authorities: vec![Octets(Bytes::from_static(b"\x30\x82"))],
        },
        ToCell::Load {
            code: 1,
            artifact: Bytes::from_static(b"\x7fELF"),
        },
        ToCell::Run(Box::new(order)),
        ToCell::Interrupt {
            run: 1,
            reason: Interruption::Cancelled,
        },
        ToCell::Cancel { run: 1 },
    ];
    let mut seeds = Vec::new();
    for message in answers.iter().chain(&others) {
        seeds.push(written(message).await);
    }
    assert_stays::<ToCell>(seeds).await;
}
