//! Guests that misuse what they were granted, beside a neighbour: HTTP, the stores, and
//! the right to send tasks.

use crate::beside::{Row, assert_contained, roomy};
use crate::bystanders::load;
use crate::parties::{Sent, Shelf};
use crate::servers::{
    elsewhere, endless, half_a_body, half_a_head, hello, many_headers, serve, silent,
};
use bytes::Bytes;
use celeriac_harness::{Value, json, mib, ms};
use celeriac_sandbox::{Component, Egress, EgressLimits, EgressSettings};
use std::sync::Arc;

type Endings = &'static [&'static str];

/// A guest that does much and comes to an end, with these arguments.
fn busy(component: &Component, task: &str, args: &Value, endings: Endings) -> Row {
    let mut row = Row::new(component, task, endings);
    row.name = format!("{task}{args}");
    row.limits = roomy(mib(64));
    row.call.args = Bytes::from(args.to_string());
    row
}

/// Grants a row a server of the test.
fn reaching(mut row: Row, url: &str) -> Row {
    row.grants.http.hosts = vec![url.parse().expect("a host")];
    row.grants.http.private = vec!["127.0.0.1".parse().expect("an address")];
    row
}

/// A guest that waits for whoever never comes.
pub(crate) fn waiting(mut row: Row) -> Row {
    row.limits.wall = ms(300);
    row
}

#[test]
fn servers_that_are_slow_or_never_end_are_outlived_beside_a_neighbour() {
    let web = load("web");
    let asks = |task, url: &str, endings| reaching(busy(&web, task, &json!([url]), endings), url);
    let slow = |url: String| waiting(asks("fetch", &url, &["time limit"]));
    let mut body = asks("size", &serve(endless), &["failure"]);
    let settings = EgressSettings {
        limits: EgressLimits {
            bytes_in: mib(8),
            ..EgressLimits::default()
        },
        ..EgressSettings::default()
    };
    body.attempt.egress = Egress::new(settings).expect("the host is well");
    assert_contained(vec![
        slow(serve(silent)),
        slow(serve(half_a_head)),
        slow(serve(half_a_body)),
        body,
        asks("fetch", &serve(many_headers), &["failure"]),
        asks("fetch", &serve(elsewhere), &["result"]),
    ]);
}

#[test]
fn floods_of_requests_end_at_their_limits_beside_a_neighbour() {
    let web = load("web");
    let asks = |task, args: Value, url: &str| reaching(busy(&web, task, &args, &["result"]), url);
    let (endless, hello) = (serve(endless), serve(hello));
    let urls = vec![&hello; 90];
    assert_contained(vec![
        asks("hoard", json!([endless, 20]), &endless),
        asks("drops", json!([hello, 10_000]), &hello),
        asks("together", json!([urls]), &hello),
        busy(&web, "long_words", &json!([500, 2 << 20]), &["result"]),
        busy(&web, "header_flood", &json!([33_000]), &["host-call"]),
    ]);
}

#[test]
fn addresses_inside_are_denied_beside_a_neighbour() {
    let web = load("web");
    let server = serve(hello);
    let port = server.rsplit(':').next().expect("a port");
    let places = ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "localhost"];
    let near = places.map(|place| format!("http://{place}:{port}"));
    let far = ["http://169.254.169.254", "http://[fd00:ec2::254]"].map(str::to_owned);
    let rows = near.iter().chain(&far).map(|url| {
        let mut row = busy(&web, "fetch", &json!([url]), &["failure"]);
        // Its name is granted, and its address is not.
        row.grants.http.hosts = vec![url.parse().expect("a host")];
        row
    });
    assert_contained(rows.collect());
}

#[test]
fn floods_of_what_is_kept_end_at_their_room_beside_a_neighbour() {
    let (odd, hostile) = (load("odd"), load("hostile"));
    let keeps = |component: &Component, task, args: Value, endings| {
        let mut row = busy(component, task, &args, endings);
        row.grants.key_value = mib(1);
        row.grants.scratch = mib(8);
        row.attempt.keeper = Some(Arc::new(Shelf::default()));
        row
    };
    assert_contained(vec![
        keeps(&odd, "fills", json!([1_000_000, 6, 0]), &["result"]),
        keeps(&odd, "fills", json!([1_000_000, 6, 60_000]), &["result"]),
        keeps(&odd, "counts", json!(["key", 10_000]), &["result"]),
        keeps(&hostile, "keep_a_large_batch", json!([]), &["result"]),
        keeps(&hostile, "keep_a_large_value", json!([]), &["result"]),
        keeps(&hostile, "hoard_buckets", json!([]), &["host-call"]),
        keeps(&hostile, "fill_the_scratch", json!([]), &["result"]),
        keeps(
            &hostile,
            "scratch_files_without_end",
            json!([]),
            &["result"],
        ),
    ]);
}

#[test]
fn a_fork_bomb_with_a_grant_ends_at_its_number_beside_a_neighbour() {
    let hostile = load("hostile");
    let mut row = busy(&hostile, "submit_bomb", &json!([]), &["result"]);
    row.grants.submit = vec!["*".to_owned()];
    row.attempt.sender = Some(Arc::new(Sent));
    assert_contained(vec![row]);
}
