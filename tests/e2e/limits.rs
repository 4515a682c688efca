//! Every way in which a hostile guest ends, seen by its caller; the worker lives.

mod told;

use crate::{class, failure, stage, success};
use support::{Stage, until};

/// A stage whose limits are quickly reached, the one of computing first, also where many
/// others compute.
fn tight() -> Stage {
    stage()
        .with("limits.cpu", "100ms")
        .with("limits.wall", "5s")
}

/// Sends all tasks at once, and checks each ending.
fn endings(stage: &Stage, rows: &[(&str, &str, &str)]) {
    let sent: Vec<_> = rows
        .iter()
        .map(|row| stage.send(&format!("hostile.{}", row.0), &[]))
        .collect();
    for ((task, expected, word), id) in rows.iter().zip(sent) {
        let ended = stage.ended(&id);
        assert!(failure(&ended, expected).contains(word), "{task}: {ended}");
        assert_eq!(
            (&ended["retries"], &ended["deliveries"]),
            (&0.into(), &1.into()),
            "{task}: {ended}"
        );
    }
    assert_eq!(
        *success(&stage.call("hostile.echo_args", "[1]")),
        serde_json::json!([1])
    );
}

#[test]
fn time_is_limited() {
    let stage = tight();
    stage.push("hostile");
    let _dev = stage.dev();
    const TIME: &str = "billiard.exceptions.TimeLimitExceeded";
    endings(
        &stage,
        &[
            ("spin", TIME, "cpu limit of 100 ms"),
            ("poll_for_ever", TIME, "cpu limit"),
            ("fill_memory", TIME, "cpu limit"),
            ("sleep_in_context", TIME, "time limit of 5 s"),
            ("sleep_in_wasi", TIME, "time limit"),
            ("ignore_interruptions", TIME, "limit"),
            ("wait_zero_for_ever", TIME, "limit"),
            ("recurse", "celeriac.Trap", "recursion without end"),
        ],
    );
}

#[test]
fn abrupt_ends_have_their_class_and_a_panic_its_text() {
    let stage = tight();
    stage.push("hostile");
    let _dev = stage.dev();
    endings(
        &stage,
        &[
            (
                "panic",
                "celeriac.Trap",
                "the text of a panic, with a number: 42",
            ),
            ("unreachable", "celeriac.Trap", "unreachable"),
            ("abort", "celeriac.Trap", "unreachable"),
            ("exit_0", "celeriac.Exited", "exit(0)"),
            ("exit_1", "celeriac.Exited", "exit(1)"),
            (
                "claims_interrupted",
                "builtins.RuntimeError",
                "nothing interrupted it",
            ),
        ],
    );
}

#[test]
fn a_result_that_is_not_one_json_value_is_an_encode_error() {
    let stage = tight();
    stage.push("hostile");
    let _dev = stage.dev();
    const ENCODE: &str = "kombu.exceptions.EncodeError";
    endings(
        &stage,
        &[
            ("not_json", ENCODE, "not one JSON value"),
            ("two_values", ENCODE, "not one JSON value"),
            ("no_value", ENCODE, "not one JSON value"),
            ("not_a_number", ENCODE, "not one JSON value"),
            ("not_utf8", ENCODE, "not one JSON value"),
            ("lone_surrogate", ENCODE, "not one JSON value"),
            ("too_deep", ENCODE, "not one JSON value"),
        ],
    );
    // As deep as it may be: the document around it is too deep for this test.
    let ran = stage
        .run(&["call", "hostile.just_deep_enough", "--wait"])
        .good();
    assert!(ran.out.contains(&"[".repeat(128)), "{ran}");
}

#[test]
fn results_failures_and_logs_are_bounded() {
    let stage = stage();
    stage.push("hostile");
    let _dev = stage.dev();
    let over = stage.call("hostile.result_over_its_limit", "[]");
    assert!(
        failure(&over, "celeriac.LimitExceeded").contains("result limit of 4 MiB"),
        "{over}"
    );
    // 200 MiB fit into no memory of 64 MiB.
    failure(
        &stage.call("hostile.big_result", "[]"),
        "builtins.MemoryError",
    );
    let long = stage.call("hostile.long_failure", "[]");
    let text = failure(&long, "builtins.ValueError").len();
    assert!((60 << 10..70 << 10).contains(&text), "{text}");
    let named = stage.call("hostile.long_kind", "[]");
    assert!(class(&named).len() < 100, "{}", class(&named).len());
    assert_eq!(
        class(&stage.call("hostile.forged_kind", "[]")),
        "celeriac.OsSystem"
    );
    let flooded = stage.call("hostile.flood_log", "[]");
    assert!(flooded["log"].to_string().len() < 1 << 20);
}

#[test]
fn a_memory_hog_fails_at_its_limit_while_its_neighbour_finishes() {
    let stage = stage();
    stage.push("hostile");
    stage.push("report");
    let dev = stage.dev();
    let neighbour = stage.send("report.build", &["-a", r#"["Sales", 5, 1000]"#]);
    until("it runs", || {
        (dev.metric("celeriac_tasks_in_flight", &[]) > 0.5).then_some(())
    });
    let hogs: Vec<_> = (0..8)
        .map(|_| stage.send("hostile.eat_memory", &[]))
        .collect();
    for id in hogs {
        let ended = stage.ended(&id);
        assert!(
            failure(&ended, "builtins.MemoryError").contains("memory limit of 64 MiB"),
            "{ended}"
        );
        let peak = ended["usage"]["memory_peak_bytes"]
            .as_u64()
            .unwrap_or_default();
        assert!((48 << 20..=64 << 20).contains(&peak), "{peak}");
    }
    assert_eq!(success(&stage.ended(&neighbour))["pages"], 5);
}

#[test]
fn no_door_is_open_to_a_guest() {
    let stage = stage();
    stage.push("hostile");
    let _dev = stage.dev();
    for task in ["read_a_file", "write_a_file", "list_files", "open_a_socket"] {
        failure(
            &stage.call(&format!("hostile.{task}"), "[]"),
            "builtins.OSError",
        );
    }
    assert_eq!(*success(&stage.call("hostile.environment", "[]")), 0);
    assert_eq!(*success(&stage.call("hostile.submit_bomb", "[]")), 0);
}

#[test]
fn terminal_escapes_of_a_guest_do_not_reach_a_terminal() {
    let stage = stage();
    stage.push("hostile");
    let dev = stage.dev();
    let ran = stage.run(&["call", "hostile.terminal_escapes", "--wait", "--log"]);
    assert!(
        !ran.out.contains('\u{1b}') && !ran.out.contains('\u{9b}'),
        "{ran:?}"
    );
    assert!(
        ran.out.contains("FAILURE") && ran.out.contains("\\u{1b}"),
        "{ran:?}"
    );
    assert!(!dev.log().contains('\u{1b}'));
}

#[test]
fn states_of_the_host_cannot_be_claimed_by_a_guest() {
    let stage = stage();
    stage.push("hostile");
    let _dev = stage.dev();
    let ended = stage.call("hostile.false_states", "[]");
    assert!(success(&ended).is_null(), "{ended}");
}
