//! Guests that tell the host too much.

use crate::attack;
use celeriac_harness::{Limit, Run, kib, mib, ms};

/// Runs a flood to its end, however slow the machine.
fn flood(task: &str) -> Run {
    attack(task)
        .limits(|limits| {
            limits.cpu = ms(60_000);
            limits.wall = ms(100_000);
        })
        .run()
}

fn log_bytes(run: &Run) -> u64 {
    run.lines()
        .iter()
        .map(|line| line.message.len() as u64)
        .sum()
}

#[test]
fn a_million_log_lines_keep_the_first_2000_and_count_the_rest() {
    let run = flood("flood_log");
    assert_eq!(run.result(), serde_json::Value::Null);
    assert_eq!(run.lines().len(), 2_000);
    assert_eq!(run.dropped_lines(), 998_000);
}

#[test]
fn standard_output_shares_the_budget_of_the_log() {
    let run = flood("flood_stdout");
    assert!(run.lines().len() <= 2_000 && log_bytes(&run) <= kib(256));
    assert!(run.dropped_lines() > 190_000);
}

#[test]
fn output_without_a_line_feed_is_bounded_too() {
    let run = flood("one_long_stdout_line");
    assert!(log_bytes(&run) <= kib(256), "{}", log_bytes(&run));
    assert!(run.dropped_lines() > 0);
}

#[test]
fn one_line_of_100_mib_never_enters_the_host() {
    let run = attack("one_long_line")
        .limits(|limits| (limits.memory, limits.cpu) = (mib(256), ms(10_000)))
        .run();
    assert_eq!(run.limit(), Limit::HostCall);
    assert!(run.lines().is_empty());
}

#[test]
fn a_million_empty_fields_never_enter_the_host() {
    let run = attack("many_empty_fields")
        .limits(|limits| limits.cpu = ms(10_000))
        .run();
    assert_eq!(run.limit(), Limit::HostCall);
}

#[test]
fn names_of_fields_count_as_log() {
    let run = flood("long_field_names");
    let fields = run.lines().iter().flat_map(|line| &line.fields);
    let bytes: usize = fields.map(|(name, value)| name.len() + value.len()).sum();
    assert!(bytes as u64 <= kib(256), "{bytes}");
    assert!(run.dropped_lines() > 90);
}

#[test]
fn control_characters_never_reach_a_terminal() {
    let run = flood("terminal_escapes");
    let mut texts = vec![run.failure().kind.clone(), run.failure().message.clone()];
    for line in run.lines() {
        texts.push(line.message.clone());
        texts.extend(
            line.fields
                .iter()
                .flat_map(|(name, value)| [name.clone(), value.clone()]),
        );
    }
    assert!(texts.len() >= 5, "{texts:?}");
    for text in texts {
        let control = text
            .chars()
            .find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        assert_eq!(control, None, "{text:?}");
    }
}

#[test]
fn two_million_progress_updates_are_bounded() {
    let run = flood("flood_progress");
    assert_eq!(run.result(), serde_json::Value::Null);
    assert_eq!(run.progress().len(), 1_000);
}

#[test]
fn progress_over_its_limit_and_false_states_are_dropped() {
    assert!(flood("big_progress").progress().is_empty());
    assert!(flood("false_states").progress().is_empty());
}
