//! The context that unit tests of tasks run in.

use celeriac_sdk::prelude::*;
use celeriac_sdk::testing::{LogLine, Progress};
use serde_json::json;

#[test]
fn a_context_answers_what_the_test_set() {
    let ctx = Context::test()
        .id("a")
        .root_id("r")
        .parent_id("p")
        .retries(2)
        .deliveries(3)
        .max_retries(None)
        .queue("images")
        .time_limit(Duration::from_secs(10))
        .header("trace", "t-1")
        .now_unix_ms(7)
        .build();
    assert_eq!(
        (ctx.id(), ctx.root_id(), ctx.parent_id()),
        ("a".to_owned(), Some("r".to_owned()), Some("p".to_owned()))
    );
    assert_eq!(
        (ctx.retries(), ctx.deliveries(), ctx.max_retries()),
        (2, 3, None)
    );
    assert_eq!((ctx.queue().as_str(), ctx.now_unix_ms()), ("images", 7));
    assert_eq!(
        (ctx.remaining(), ctx.soft_remaining()),
        (Duration::from_secs(10), None)
    );
    assert_eq!(
        (ctx.header("trace").as_deref(), ctx.header("other")),
        (Some("t-1"), None)
    );
}

#[test]
fn a_context_without_settings_is_a_first_attempt() {
    let ctx = Context::test().build();
    assert_eq!(
        (ctx.retries(), ctx.deliveries(), ctx.max_retries()),
        (0, 1, Some(3))
    );
    assert_eq!(
        (ctx.remaining(), ctx.interrupted()),
        (Duration::from_secs(300), None)
    );
    assert_eq!(ctx.check(), Ok(()));
}

#[test]
fn a_sleep_moves_the_clock_and_takes_no_time() {
    let ctx = Context::test()
        .soft_time_limit(Duration::from_secs(60))
        .now_unix_ms(0)
        .build();
    assert_eq!(ctx.sleep(Duration::from_secs(20)), Ok(()));
    assert_eq!(ctx.sleep(Duration::from_nanos(1)), Ok(()));
    assert_eq!(ctx.now_unix_ms(), 20_001);
    assert_eq!(ctx.remaining(), Duration::from_millis(279_999));
    assert_eq!(ctx.soft_remaining(), Some(Duration::from_millis(39_999)));
    assert_eq!(
        ctx.recording().sleeps,
        [Duration::from_secs(20), Duration::from_millis(1)]
    );
}

#[test]
fn a_sleep_ends_where_the_soft_limit_passes() {
    let ctx = Context::test()
        .soft_time_limit(Duration::from_secs(5))
        .build();
    assert_eq!(
        ctx.sleep(Duration::MAX),
        Err(Interrupted(Interruption::SoftLimit))
    );
    assert_eq!(ctx.recording().sleeps, [Duration::from_secs(5)]);
    assert_eq!(ctx.soft_remaining(), Some(Duration::ZERO));
    assert_eq!(ctx.check(), Err(Interrupted(Interruption::SoftLimit)));
}

#[test]
fn an_interruption_comes_after_so_many_polls() {
    let ctx = Context::test()
        .interrupt_after(2, Interruption::Cancelled)
        .build();
    assert_eq!(ctx.interrupted(), None);
    assert_eq!(ctx.sleep(Duration::from_secs(1)), Ok(()));
    assert_eq!(ctx.interrupted(), Some(Interruption::Cancelled));
    assert_eq!(
        ctx.sleep(Duration::from_secs(1)),
        Err(Interrupted(Interruption::Cancelled))
    );
    assert_eq!(ctx.recording().sleeps.len(), 1);
}

#[test]
fn an_interruption_ends_a_task_as_interrupted_by_the_question_mark() {
    fn polls(ctx: &Context) -> Result<(), TaskError> {
        ctx.check()?;
        Ok(())
    }
    let ctx = Context::test()
        .interrupt_after(0, Interruption::Shutdown)
        .build();
    assert_eq!(
        polls(&ctx),
        Err(TaskError::interrupted(Interruption::Shutdown))
    );
}

#[test]
fn what_a_task_tells_is_recorded() {
    let ctx = Context::test().build();
    ctx.progress(1, 4);
    ctx.progress_message(2, None, format_args!("{} of many", 2));
    ctx.set_state("PACKING", &json!({"left": 3}))
        .expect("it has a JSON form");
    ctx.with("width", &640)
        .with("height", &480)
        .warn("odd size");
    let told = ctx.recording();
    assert_eq!(
        told.progress[0],
        Progress {
            current: 1,
            total: Some(4),
            message: None
        }
    );
    assert_eq!(
        told.progress[1],
        Progress {
            current: 2,
            total: None,
            message: Some("2 of many".to_owned())
        }
    );
    assert_eq!(told.states, [("PACKING".to_owned(), json!({"left": 3}))]);
    let fields = vec![
        ("width".to_owned(), "640".to_owned()),
        ("height".to_owned(), "480".to_owned()),
    ];
    assert_eq!(
        told.log,
        [LogLine {
            level: Level::Warn,
            message: "odd size".to_owned(),
            fields
        }]
    );
}

#[test]
fn lines_below_the_level_are_not_even_formatted() {
    struct Untouchable;
    impl std::fmt::Display for Untouchable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("formatted")
        }
    }
    let ctx = Context::test().least_level(Level::Info).build();
    ctx.debug(Untouchable);
    ctx.with("field", &Untouchable).trace("dropped");
    ctx.info("kept");
    ctx.error("kept too");
    assert_eq!(ctx.recording().log.len(), 2);
}

#[test]
fn a_state_without_a_json_form_is_refused() {
    let no_json = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(Context::test().build().set_state("X", &no_json).is_err());
}

#[test]
fn random_bytes_repeat_with_the_seed() {
    let bytes = |seed: u64| {
        let mut buffer = [0; 13];
        Context::test().seed(seed).build().random(&mut buffer);
        buffer
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
    assert_ne!(bytes(0), [0; 13]);
}
