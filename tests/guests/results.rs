//! Guests whose result or failure is not what a caller can be given.

use crate::attack;
use celeriac_harness::{Limit, Outcome, mib, ms};

#[test]
fn what_is_not_one_json_value_is_no_result() {
    for task in [
        "not_json",
        "two_values",
        "no_value",
        "not_a_number",
        "not_utf8",
        "too_deep",
        "other_content_type",
    ] {
        let run = attack(task).run();
        assert!(
            matches!(run.outcome(), Outcome::BadResult { .. }),
            "{task} {:?}",
            run.outcome()
        );
    }
    let run = attack("just_deep_enough").run();
    assert!(
        matches!(run.outcome(), Outcome::Returned(bytes) if bytes.len() == 256),
        "{:?}",
        run.outcome()
    );
}

#[test]
fn a_result_over_its_limit_ends_the_attempt() {
    let run = attack("result_over_its_limit")
        .limits(|limits| limits.cpu = ms(10_000))
        .run();
    assert!(
        matches!(run.limit(), Limit::Result | Limit::HostCall),
        "{:?}",
        run.outcome()
    );
}

#[test]
fn a_result_or_a_failure_of_200_mib_never_enters_the_host() {
    for task in ["big_result", "big_failure"] {
        let run = attack(task)
            .limits(|limits| (limits.memory, limits.cpu) = (mib(256), ms(30_000)))
            .run();
        assert!(
            matches!(run.limit(), Limit::Result | Limit::HostCall),
            "{task} {:?}",
            run.outcome()
        );
    }
}

#[test]
fn a_long_failure_is_cut() {
    for task in ["long_failure", "long_kind"] {
        let run = attack(task).run();
        let failure = run.failure();
        assert!(
            failure.kind.len() + failure.message.len() <= 64 << 10,
            "{task}"
        );
    }
}

#[test]
fn a_forged_kind_is_only_a_text() {
    assert_eq!(attack("forged_kind").run().failure().kind, "os.system");
}

#[test]
fn every_attempt_has_a_memory_of_its_own() {
    for _ in 0..3 {
        assert_eq!(attack("count_calls").run().result(), 1);
    }
}

#[test]
fn arguments_arrive_byte_for_byte() {
    let odd = r#"[1.00, 1e400, "\u00e9", {"b":1,"b":2}]"#;
    let run = attack("echo_args").raw_args(odd).run();
    assert!(
        matches!(run.outcome(), Outcome::Returned(bytes) if bytes == odd.as_bytes()),
        "{:?}",
        run.outcome()
    );
    let run = attack("echo_kwargs").raw_kwargs("{ \"a\" : 1 }").run();
    assert!(
        matches!(run.outcome(), Outcome::Returned(bytes) if bytes == "{ \"a\" : 1 }"),
        "{:?}",
        run.outcome()
    );
}
