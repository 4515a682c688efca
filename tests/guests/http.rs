//! Guests that send requests by HTTP, over the real engine.

use crate::servers::{endless, hello, measure, serve, silent};
use celeriac_harness::{Capability, Limit, Module, Outcome, Run, Target, TaskCall, Use, json, ms};

fn web(task: &str) -> TaskCall {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/web");
    Module::build(folder, Target::Wasip2).task(task)
}

fn http(run: &Run) -> Use {
    run.usage().uses.of(Capability::Http)
}

/// Lets a task reach a server of the test.
fn reach(task: &str, url: &str) -> TaskCall {
    web(task).may_reach(url).may_connect("127.0.0.1")
}

#[test]
fn without_a_grant_a_component_that_knows_http_runs_and_is_denied() {
    let run = web("fetch")
        .args(vec![json!("https://api.example.com/")])
        .run();
    let failure = run.failure();
    assert_eq!(failure.kind, "HttpError");
    assert_eq!(failure.message, "ErrorCode::HttpRequestDenied");
    assert_eq!(run.log(), ["no grant to reach https://api.example.com"]);
    assert_eq!((http(&run).calls, http(&run).denied), (0, 1));
    assert_eq!(http(&run).bytes_out, 0);
}

#[test]
fn a_granted_task_gets_and_posts() {
    let url = serve(hello);
    let run = reach("fetch", &url).args(vec![json!(url)]).run();
    let headers = json!({"x-from": "here", "content-length": "5"});
    assert_eq!(run.result(), json!([200, headers, "hello"]));
    let url = serve(measure);
    let text = "x".repeat(10_000);
    let run = reach("post", &url)
        .args(vec![json!(url), json!(text), json!(300)])
        .run();
    assert_eq!(
        run.result(),
        json!([201, {"content-length": "7"}, "3000000"])
    );
    assert!(http(&run).bytes_out > 3_000_000);
}

#[test]
fn requests_at_once_wait_for_each_other() {
    let url = serve(hello);
    let urls = vec![url.clone(); 30];
    let run = reach("together", &url).args(vec![json!(urls)]).run();
    assert_eq!(run.result(), json!(vec![5; 30]));
}

#[test]
fn answers_that_are_hoarded_end_at_the_limit() {
    let url = serve(endless);
    let run = reach("hoard", &url).args(vec![json!(url), json!(20)]).run();
    let (kept, why): (usize, String) = run.json();
    assert_eq!(kept, 8);
    assert!(why.contains("ConnectionLimitReached"), "{why}");
    assert!(run.log()[0].contains("http.in_flight"), "{:?}", run.log());
}

#[test]
fn a_body_without_end_ends_at_the_limit_and_is_never_held() {
    let url = serve(endless);
    let run = reach("size", &url)
        .http_limits(|limits| limits.bytes_in = 8 << 20)
        .args(vec![json!(url)])
        .run();
    let message = &run.failure().message;
    assert!(
        message.contains("size exceeds limit: 8388608 bytes"),
        "{message}"
    );
    assert!(run.peak_memory() < 4 << 20);
}

#[test]
fn a_silent_server_costs_no_more_than_the_time_limit() {
    let url = serve(silent);
    let run = reach("fetch", &url)
        .limits(|limits| limits.wall = ms(300))
        .args(vec![json!(url)])
        .run();
    assert_eq!(run.limit(), Limit::Wall);
}

#[test]
fn requests_that_are_begun_and_dropped_are_counted_and_end_at_the_limit() {
    let url = serve(hello);
    let run = reach("drops", &url)
        .args(vec![json!(url), json!(1_000)])
        .run();
    assert_eq!(run.result(), 1_000);
    assert_eq!((http(&run).calls, http(&run).denied), (100, 900));
}

#[test]
fn thirty_three_thousand_headers_never_leave_the_guest() {
    let run = web("header_flood").args(vec![json!(33_000)]).run();
    assert!(
        matches!(run.outcome(), Outcome::Trapped(_) | Outcome::LimitHit(_)),
        "{:?}",
        run.outcome()
    );
    assert_eq!(
        web("header_flood").args(vec![json!(100)]).run().result(),
        100
    );
}

#[test]
fn headers_of_the_connection_are_not_for_guests() {
    for name in [
        "host",
        "connection",
        "transfer-encoding",
        "te",
        "expect",
        "proxy-authorization",
    ] {
        let args = vec![json!("https://a.test"), json!(name), json!("x")];
        let run = web("with_header").args(args).run();
        assert_eq!(run.failure().message, "HeaderError::Forbidden", "{name}");
    }
}

#[test]
fn what_is_written_into_requests_that_are_never_sent_is_short() {
    let words = |bytes: usize| web("long_words").args(vec![json!(500), json!(bytes)]).run();
    assert_eq!(words(64).result(), json!([true, true]));
    assert_eq!(words(65).result(), json!([false, true]));
    assert_eq!(words(513).result(), json!([false, false]));
    assert_eq!(words(2 << 20).result(), json!([false, false]));
}
