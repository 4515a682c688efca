//! Guests that nobody waits for any more, wherever they are just then: the host is free
//! of them at once, and a neighbour finishes meanwhile.

use crate::beside::{ABANDONED, Row, assert_contained, raw, roomy};
use crate::bystanders::load;
use crate::parties::Mute;
use crate::raw::{Raw, jobs};
use crate::servers::{head, serve, silent};
use bytes::Bytes;
use celeriac_harness::{json, mib};
use std::sync::Arc;
use tokio::sync::Notify;

/// Leaves a guest alone when it waits for somebody who never answers.
fn leave(mut row: Row, asked: &Arc<Notify>) -> Row {
    row.limits = roomy(mib(64));
    row.abandoned = Some(Arc::clone(asked));
    row
}

/// What is over before anybody looks.
fn at_once() -> Arc<Notify> {
    let notify = Notify::new();
    notify.notify_one();
    Arc::new(notify)
}

#[test]
fn guests_that_are_left_alone_during_a_call_of_the_host_are_gone() {
    let (web, odd) = (load("web"), load("odd"));
    let mut rows = Vec::new();

    let asked = Arc::new(Notify::new());
    let heard = Arc::clone(&asked);
    let url = serve(move |stream| {
        head(stream)?;
        heard.notify_one();
        silent(stream)
    });
    let mut fetches = Row::new(&web, "fetch", &[ABANDONED]);
    fetches.call.args = Bytes::from(json!([url]).to_string());
    fetches.grants.http.hosts = vec![url.parse().expect("a host")];
    fetches.grants.http.private = vec!["127.0.0.1".parse().expect("an address")];
    rows.push(leave(fetches, &asked));

    let mute = Arc::new(Mute::default());
    let mut keeps = Row::new(&odd, "keeps", &[ABANDONED]);
    keeps.call.args = Bytes::from_static(br#"["key", "value"]"#);
    keeps.grants.key_value = mib(1);
    keeps.attempt.keeper = Some(Arc::clone(&mute) as _);
    rows.push(leave(keeps, &mute.0));

    let mute = Arc::new(Mute::default());
    let sends = jobs("(call $submit (call $new) (i32.const 0) (i32.const 700)) i32.const 512");
    let sends = vec![("sends", sends.component(), &[ABANDONED] as _)];
    for mut row in raw(&roomy(mib(64)), sends) {
        row.grants.submit = vec!["*".to_owned()];
        row.attempt.sender = Some(Arc::clone(&mute) as _);
        rows.push(leave(row, &mute.0));
    }

    // A wait begins with the first look at it.
    let hostile = load("hostile");
    for task in ["sleep_in_context", "sleep_in_wasi"] {
        rows.push(leave(Row::new(&hostile, task, &[ABANDONED]), &at_once()));
    }
    assert_contained(rows);
}

#[test]
fn guests_that_are_left_alone_while_they_compute_are_gone() {
    let place = |change: fn(&mut Raw)| {
        let mut raw = Raw::default();
        change(&mut raw);
        raw.component()
    };
    let guests: Vec<(_, _, &'static [&'static str])> = vec![
        (
            "while its instance is made",
            place(|raw| raw.start = "(loop (br 0))"),
            &[ABANDONED],
        ),
        (
            "while it makes room for its arguments",
            place(|raw| raw.realloc = "(loop (br 0)) unreachable"),
            &[ABANDONED],
        ),
        (
            "while it runs",
            place(|raw| raw.run = "(loop (br 0)) unreachable"),
            &[ABANDONED],
        ),
        (
            "after its return",
            place(|raw| raw.post_return = "(loop (br 0))"),
            &[ABANDONED],
        ),
    ];
    let rows = raw(&roomy(mib(64)), guests).into_iter();
    assert_contained(rows.map(|row| leave(row, &at_once())).collect());
}
