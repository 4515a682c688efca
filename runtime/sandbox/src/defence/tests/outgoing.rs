//! The walls between a guest and everybody else: what it says and what it sends.

use super::raw::{Raw, jobs};
use super::{
    Arc, Attempt, Counter, Defence, Grants, Ordering, Report, both, call, limits, load, may_submit,
    returned, without,
};

/// Sends 150 tasks, whatever it is told.
const SEND: &str = "
    (local.set 0 (i32.const 0))
    (loop
        (call $submit
            (call $new)
            (i32.const 0) (i32.const 700))
        (local.set 0 (i32.add (local.get 0) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.get 0) (i32.const 150))))
    i32.const 512";

fn logging(run: &'static str, data: &str) -> Raw {
    Raw {
        imported: r#"(import "celeriac:task/log@0.1.0" "emit"
            (func $emit (param i32 i32 i32 i32 i32)))"#
            .to_owned(),
        more: format!("(data (i32.const 600) \"{data}\")"),
        run,
        ..Raw::default()
    }
}

/// Tells how many tasks the guest above sent.
async fn sent(grants: &Grants, away: &[Defence]) -> u32 {
    let component = load(&jobs(SEND).component());
    let counter = Arc::new(Counter::default());
    let attempt = Attempt {
        sender: Some(counter.clone()),
        ..Attempt::default()
    };
    let _away = without(away);
    let limits = limits(5_000, 60_000);
    let report = component.invoke(&call(), &limits, grants, attempt).await;
    returned(&report.unwrap());
    counter.sent.load(Ordering::Relaxed)
}

#[tokio::test]
async fn without_grants_being_asked_for_anything_is_sent() {
    assert_eq!(sent(&Grants::default(), &[]).await, 0);
    // A hundred are the next wall.
    assert_eq!(sent(&Grants::default(), &[Defence::Grants]).await, 100);
}

#[tokio::test]
async fn without_a_number_of_tasks_for_each_attempt_a_grant_is_for_any_number() {
    let grants = may_submit();
    assert_eq!(sent(&grants, &[]).await, 100);
    // Then the budget of the whole workflow is the next wall, outside the sandbox.
    assert_eq!(sent(&grants, &[Defence::Quota]).await, 150);
}

#[tokio::test]
async fn without_a_budget_the_log_takes_as_much_as_the_time_allows() {
    let run = "
        (local.set 0 (i32.const 0))
        (loop
            (call $emit (i32.const 4) (i32.const 600) (i32.const 4) (i32.const 0) (i32.const 0))
            (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get 0) (i32.const 20000))))
        i32.const 512";
    let raw = logging(run, "line");
    let (defended, bare) = both(&raw, &limits(5_000, 60_000), &[Defence::Log]).await;
    let kept = |report: &Report| (report.log.lines.len(), report.log.dropped_lines);
    assert_eq!(kept(&defended), (2_000, 18_000));
    assert_eq!(kept(&bare), (20_000, 0));
}

#[tokio::test]
async fn without_escapes_a_line_commands_the_terminal_unless_whoever_shows_it_escapes() {
    let run = "(call $emit (i32.const 4) (i32.const 600) (i32.const 4) (i32.const 0) (i32.const 0))
        i32.const 512";
    let raw = logging(run, "\\1b[2J");
    let (defended, bare) = both(&raw, &limits(5_000, 60_000), &[Defence::Escapes]).await;
    assert_eq!(defended.log.lines[0].message, "\\u{1b}[2J");
    assert_eq!(bare.log.lines[0].message, "\u{1b}[2J");
}

#[tokio::test]
async fn without_a_largest_update_the_progress_is_as_large_as_a_call() {
    let raw = Raw {
        memory: "20".to_owned(),
        imported: r#"(import "celeriac:task/progress@0.1.0" "update"
            (func $update (param i64 i32 i64 i32 i32 i32)))"#
            .to_owned(),
        run: "
            (memory.fill (i32.const 131072) (i32.const 0x78) (i32.const 1000000))
            (call $update (i64.const 1) (i32.const 0) (i64.const 0)
                (i32.const 1) (i32.const 131072) (i32.const 1000000))
            i32.const 512",
        ..Raw::default()
    };
    let component = load(&raw.component());
    let run = async || {
        let attempt = Attempt {
            keep_progress: 10,
            ..Attempt::default()
        };
        let limits = limits(5_000, 60_000);
        let report = component
            .invoke(&call(), &limits, &Grants::default(), attempt)
            .await
            .unwrap();
        returned(&report);
        let sizes = report.progress.iter().map(|update| update.meta.len());
        sizes.sum::<usize>()
    };
    assert_eq!(run().await, 0);
    let _away = without(&[Defence::Progress]);
    assert!(run().await > 1_000_000);
}
