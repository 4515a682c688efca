//! Every outcome, judged.

use super::*;
use crate::defence::without;
use crate::policy::admission::{self, Admission};
use celeriac_sandbox::{Limit, LimitHit, RetryPolicy, Trap};
use jiff::Timestamp;

fn plan(kinds: &[&str]) -> Plan {
    let policy = RetryPolicy {
        max_retries: Some(2),
        first_delay_ms: Some(1_000),
        max_delay_ms: 10_000,
        factor_milli: 2_000,
        jitter: false,
        retry_kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
    };
    Plan::new(Some(&policy), 3, Duration::from_secs(180), 100)
}

fn judged(outcome: Outcome, plan: &Plan, retries: u32) -> Verdict {
    let facts = Facts {
        plan,
        retries,
        deliveries: 1,
        max_deliveries: 5,
        soft: Some(Duration::from_millis(2_500)),
        whose: "module m 1, task t",
        dice: 0,
    };
    judge(outcome, &facts)
}

fn failure(kind: &str, retryable: Option<bool>) -> Failure {
    Failure {
        kind: kind.to_owned(),
        message: "why".to_owned(),
        trace: None,
        retryable,
    }
}

fn class(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Fail(exception)
        | Verdict::Revoke(exception)
        | Verdict::Reject { exception, .. } => {
            format!("{}.{}", exception.module, exception.class)
        }
        Verdict::Succeed(_)
        | Verdict::RetryAt { .. }
        | Verdict::Return
        | Verdict::Ignore
        | Verdict::Defer => verdict.word().to_owned(),
    }
}

#[test]
fn a_failure_is_final_unless_the_plan_or_the_guest_says_otherwise() {
    let plan = plan(&["Connection"]);
    for (kind, retryable, retries, expected) in [
        ("ValueError", None, 0, "builtins.ValueError"),
        ("ConnectionError", None, 0, "retry"),
        (
            "ConnectionError",
            Some(false),
            0,
            "builtins.ConnectionError",
        ),
        ("ValueError", Some(true), 1, "retry"),
        ("ValueError", Some(true), 2, "builtins.ValueError"),
        ("ConnectionError", None, 2, "builtins.ConnectionError"),
    ] {
        let verdict = judged(Outcome::Failed(failure(kind, retryable)), &plan, retries);
        assert_eq!(class(&verdict), expected, "{kind} {retryable:?} {retries}");
    }
}

fn retry(kind: &str, countdown: Option<Duration>, max_retries: Option<u32>) -> Outcome {
    Outcome::Retry(Retry {
        countdown,
        max_retries,
        reason: failure(kind, None),
    })
}

#[test]
fn a_retry_takes_its_own_countdown_or_the_backoff() {
    let plan = plan(&[]);
    let delay = |countdown, retries| {
        let verdict = judged(retry("Retry", countdown, None), &plan, retries);
        let Verdict::RetryAt { delay, .. } = verdict else {
            panic!("{verdict:?}");
        };
        delay
    };
    assert_eq!(delay(Some(Duration::ZERO), 0), Duration::ZERO);
    assert_eq!(delay(None, 0), Duration::from_secs(1));
    assert_eq!(delay(None, 1), Duration::from_secs(2));
    assert_eq!(delay(Some(Duration::MAX), 0), LONGEST_DELAY);
}

#[test]
fn a_guest_can_lower_the_number_of_retries_and_never_raise_it() {
    let plan = plan(&[]);
    let gave_up = "celery.exceptions.MaxRetriesExceededError";
    assert_eq!(
        class(&judged(retry("Retry", None, Some(0)), &plan, 0)),
        gave_up
    );
    assert_eq!(
        class(&judged(retry("Retry", None, Some(1_000)), &plan, 1)),
        "retry"
    );
    assert_eq!(
        class(&judged(retry("Retry", None, Some(1_000)), &plan, 2)),
        gave_up
    );
    assert_eq!(
        class(&judged(retry("ConnectionError", None, None), &plan, 2)),
        "builtins.ConnectionError"
    );
}

#[test]
fn a_requeue_is_bounded_by_the_deliveries() {
    let plan = plan(&[]);
    let rejected = |requeue, deliveries| {
        let facts = Facts {
            plan: &plan,
            retries: 0,
            deliveries,
            max_deliveries: 5,
            soft: None,
            whose: "x",
            dice: 0,
        };
        let reason = "no".to_owned();
        judge(Outcome::Reject(Rejection { requeue, reason }), &facts)
    };
    let dead = |reason: &str, trace: Option<&str>| Verdict::Reject {
        exception: Exception {
            trace: trace.map(str::to_owned),
            ..Exception::new("celery.exceptions", "Reject", "no")
        },
        reason: reason.to_owned(),
    };
    let note = "not given back again after 5 deliveries: worker.max_deliveries = 5";
    assert_eq!(rejected(true, 4), Verdict::Return);
    let last = dead(&format!("rejected: no ({note})"), Some(note));
    assert_eq!(rejected(true, 5), last);
    assert_eq!(rejected(false, 1), dead("rejected: no", None));
}

#[test]
fn who_gives_up_says_after_how_many_retries_and_what_raises_them() {
    let plan = plan(&["Connection"]);
    let given_up = |outcome, retries| {
        let verdict = judged(outcome, &plan, retries);
        let Verdict::Fail(exception) = verdict else {
            panic!("{verdict:?}");
        };
        exception
    };
    let most = "gave up after 2 retries; #[task(max_retries = …)] or worker.max_retries raises it, \
                at most to tenants.default.max_retries";
    let plain = given_up(retry("Retry", None, None), 2);
    assert_eq!(plain.message, format!("why ({most})"));
    let own = given_up(retry("Retry", None, Some(1)), 1);
    assert_eq!(
        own.message,
        "why (gave up after 1 retry, as many as the task asked for)"
    );
    // The text of another class is its author's: callers may look for it.
    for outcome in [
        retry("ConnectionError", None, None),
        Outcome::Failed(failure("ConnectionError", None)),
        Outcome::Failed(failure("ValueError", Some(true))),
    ] {
        let exception = given_up(outcome, 2);
        assert_eq!(exception.message, "why");
        assert_eq!(exception.trace.as_deref(), Some(most));
    }
    let final_one = given_up(Outcome::Failed(failure("ValueError", None)), 2);
    assert_eq!(final_one.trace, None);
}

#[test]
fn the_soft_limit_says_its_value_and_what_raises_it() {
    let interrupted = Outcome::Interrupted {
        claimed: Interruption::SoftLimit,
        raised: Some(Interruption::SoftLimit),
    };
    let Verdict::Fail(exception) = judged(interrupted, &plan(&[]), 0) else {
        panic!("it is no failure");
    };
    assert_eq!(
        exception.message,
        "soft time limit of 2.5 s reached (module m 1, task t)\n\
         raise it: #[task(soft_time_limit = \"…\")] in the module, at most what [tenants.default] soft allows; \
         a call can only lower it"
    );
}

#[test]
fn without_counting_what_is_given_back_its_admission_refuses_it() {
    let plan = plan(&[]);
    let judged = |deliveries| {
        let facts = Facts {
            plan: &plan,
            retries: 0,
            deliveries,
            max_deliveries: 5,
            whose: "x",
            soft: None,
            dice: 0,
        };
        let (requeue, reason) = (true, "again".to_owned());
        class(&judge(
            Outcome::Reject(Rejection { requeue, reason }),
            &facts,
        ))
    };
    assert_eq!(judged(5), "celery.exceptions.Reject");
    let _away = without(&[Defence::Returns]);
    assert_eq!(judged(5), "return");
    let admitted = admission::admit(&admission::Facts {
        now: Timestamp::UNIX_EPOCH,
        eta: None,
        expires: None,
        revoked: false,
        deliveries: 6,
        max_deliveries: 5,
    });
    assert!(matches!(admitted, Admission::Lost { .. }), "{admitted:?}");
}

#[test]
fn only_an_interruption_of_the_host_is_believed() {
    let plan = plan(&[]);
    let claimed = Interruption::Shutdown;
    for (raised, expected) in [
        (Some(Interruption::Shutdown), "defer"),
        (
            Some(Interruption::Cancelled),
            "celery.exceptions.TaskRevokedError",
        ),
        (
            Some(Interruption::SoftLimit),
            "billiard.exceptions.SoftTimeLimitExceeded",
        ),
        (None, "builtins.RuntimeError"),
    ] {
        let verdict = judged(Outcome::Interrupted { claimed, raised }, &plan, 0);
        assert_eq!(class(&verdict), expected);
    }
}

#[test]
fn limits_traps_and_exits_fail_unless_the_plan_covers_their_class() {
    let hit = Outcome::LimitHit(LimitHit {
        limit: Limit::Memory,
        allowed: 1,
        wanted: None,
    });
    let trap = Outcome::Trapped(Trap {
        code: "unreachable-code-reached".to_owned(),
        message: "panicked at lib.rs: boom".to_owned(),
        panicked: true,
        frames: Vec::new(),
    });
    let none = plan(&[]);
    assert_eq!(
        class(&judged(hit.clone(), &none, 0)),
        "builtins.MemoryError"
    );
    assert_eq!(class(&judged(trap.clone(), &none, 0)), "celeriac.Trap");
    assert_eq!(
        class(&judged(Outcome::Exited { code: 0 }, &none, 0)),
        "celeriac.Exited"
    );
    let covered = plan(&["MemoryError", "Trap"]);
    assert_eq!(class(&judged(hit, &covered, 0)), "retry");
    assert_eq!(class(&judged(trap, &covered, 2)), "celeriac.Trap");
}

#[test]
fn results_and_ignores_are_what_they_are() {
    let none = plan(&[]);
    let result = Bytes::from_static(b"1");
    assert_eq!(
        judged(Outcome::Returned(result.clone()), &none, 0),
        Verdict::Succeed(result)
    );
    assert_eq!(judged(Outcome::Ignore, &none, 0), Verdict::Ignore);
    let reason = "empty".to_owned();
    assert_eq!(
        class(&judged(Outcome::BadResult { reason }, &none, 0)),
        "kombu.exceptions.EncodeError"
    );
}
