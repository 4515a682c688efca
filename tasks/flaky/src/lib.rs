//! Tasks that end otherwise than with a result: they retry, refuse, give up and stay silent.

use std::num::ParseIntError;

use celeriac_sdk::prelude::*;

/// Asks for retries until it was retried `times` times, then tells how many there were.
///
/// The task itself chooses the delay; without `delay_ms` the policy's backoff does.
#[task(max_retries = 5, backoff = "100ms..2s", jitter = false)]
fn fails_until(
    ctx: &Context,
    times: u32,
    #[task(default = None)] delay_ms: Option<u64>,
) -> Result<String, TaskError> {
    if ctx.retries() >= times {
        return Ok(format!("succeeded after {} retries", ctx.retries()));
    }
    ctx.with("retries", &ctx.retries())
        .warn("the upstream is down");
    let retry = TaskError::retry(format_args!("upstream down, attempt {}", ctx.retries() + 1))
        .kind("ConnectionError");
    Err(match delay_ms {
        Some(ms) => retry.after(Duration::from_millis(ms)),
        None => retry,
    })
}

/// Fails with a plain error; the policy retries it, because its kind is listed.
#[task(max_retries = 2, backoff = "100ms", retry_on = ["ConnectionError"])]
fn connects(ctx: &Context, up_after: u32) -> Result<u32, TaskError> {
    if ctx.retries() < up_after {
        return Err(TaskError::fail("ConnectionError", "connect timed out"));
    }
    Ok(ctx.retries())
}

/// Turns the error of a library into a failure, by `?`: text that is no number is a `ParseIntError`.
#[task]
fn parses(text: String) -> Result<i64, ParseIntError> {
    text.parse()
}

/// Fails with the kind and the message of one's choice.
#[task]
fn fails(kind: String, message: String) -> Result<(), TaskError> {
    Err(TaskError::fail(kind, message))
}

/// Refuses the message: it moves to the dead letters, or back to the queue with `requeue`.
#[task]
fn rejects(reason: String, #[task(default = false)] requeue: bool) -> Result<(), TaskError> {
    let rejection = TaskError::reject(reason);
    Err(if requeue {
        rejection.requeue()
    } else {
        rejection
    })
}

/// Ends without storing anything.
#[task]
fn ignores() -> Result<(), TaskError> {
    Err(TaskError::ignore())
}

/// Breaks an assumption. The worker survives, the attempt fails, the text of the panic is kept.
#[task]
fn panics(message: String) -> u64 {
    assert!(message.is_empty(), "{message}");
    0
}

/// Runs once or not at all: the message is acknowledged before the start.
#[task(at_most_once, max_retries = 0)]
fn charges_a_card(ctx: &Context, cents: u64) -> Result<String, TaskError> {
    if ctx.deliveries() > 1 {
        return Err(TaskError::fail(
            "RuntimeError",
            "delivered twice, although it must not be",
        ));
    }
    Ok(format!("charged {cents} cents for {}", ctx.id()))
}

celeriac_sdk::export!(
    fails_until,
    connects,
    parses,
    fails,
    rejects,
    ignores,
    panics,
    charges_a_card
);

#[cfg(test)]
mod tests {
    use celeriac_sdk::Disposition;
    use celeriac_sdk::testing::describe;

    use super::*;

    #[test]
    fn it_asks_for_retries_until_there_were_enough() {
        let first =
            fails_until(&Context::test().build(), 2, Some(50)).expect_err("the upstream is down");
        let Disposition::Retry(retry) = first.into_disposition() else {
            panic!("not a retry")
        };
        assert_eq!(retry.after, Some(Duration::from_millis(50)));
        assert_eq!(
            retry.reason.to_string(),
            "ConnectionError: upstream down, attempt 1"
        );

        let third = Context::test().retries(2).build();
        assert_eq!(
            fails_until(&third, 2, None),
            Ok("succeeded after 2 retries".to_owned())
        );
        assert!(third.recording().log.is_empty());
    }

    #[test]
    fn the_policy_lists_the_kind_that_is_retried() {
        let policy = describe::<connects>().retry.expect("it has a policy");
        assert_eq!(policy.retry_kinds, ["ConnectionError"]);
        assert_eq!(
            (policy.max_retries, policy.first_delay_ms, policy.jitter),
            (Some(2), Some(100), false)
        );
        assert_eq!(connects(&Context::test().retries(1).build(), 1), Ok(1));
    }

    #[test]
    fn rejections_failures_and_silence_are_told_apart() {
        assert_eq!(
            rejects("poison".to_owned(), false),
            Err(TaskError::reject("poison"))
        );
        assert_eq!(
            rejects("busy".to_owned(), true),
            Err(TaskError::reject("busy").requeue())
        );
        assert_eq!(
            fails("KeyError".to_owned(), "x".to_owned()),
            Err(TaskError::fail("KeyError", "x"))
        );
        assert_eq!(ignores(), Err(TaskError::ignore()));
    }

    #[test]
    fn an_error_of_a_library_names_the_failure() {
        let ctx = Context::test().build();
        let failure = celeriac_sdk::testing::call::<parses>(&ctx, r#"["seven"]"#, "{}")
            .expect_err("it is no number");
        assert_eq!(
            failure.to_string(),
            "ParseIntError: invalid digit found in string"
        );
        assert_eq!(parses("7".to_owned()), Ok(7));
    }

    #[test]
    fn a_charge_is_made_once() {
        assert!(
            charges_a_card(&Context::test().id("7f3a").build(), 500)
                .is_ok_and(|text| text.ends_with("for 7f3a"))
        );
        assert!(charges_a_card(&Context::test().deliveries(2).build(), 500).is_err());
        assert!(describe::<charges_a_card>().at_most_once);
    }

    #[test]
    #[should_panic(expected = "assumption broken")]
    fn a_panic_keeps_its_text() {
        panics("assumption broken".to_owned());
    }
}
