//! Guests that want more time, memory or stack than they may have.

use crate::raw::{Raw, with_modules};
use crate::{attack, hostile};
use celeriac_harness::{Interruption, Limit, Module, Outcome, TICK, kib, mib, ms};

#[test]
fn code_that_never_returns_is_ended_by_the_cpu_limit() {
    for task in ["spin", "poll_for_ever", "fill_memory"] {
        let run = attack(task).run();
        assert_eq!(run.limit(), Limit::Cpu, "{task}");
        assert_eq!(run.limit_hit().allowed, 100, "{task}");
    }
}

/// The least of five runs, because a starved ticker says nothing about the limit.
#[test]
fn a_tight_loop_is_stopped_within_4_ticks_of_cpu_time() {
    let over = (0..5).map(|_| attack("spin").run().cpu().saturating_sub(ms(100)));
    let least = over.min().expect("five runs");
    assert!(least <= TICK * 4, "{least:?}");
}

#[test]
fn a_sleeping_guest_is_ended_by_the_time_limit_and_uses_no_cpu() {
    for task in ["sleep_in_context", "sleep_in_wasi", "ignore_interruptions"] {
        let run = attack(task).limits(|limits| limits.wall = ms(50)).run();
        assert_eq!(run.limit(), Limit::Wall, "{task}");
        assert!(run.cpu() < ms(40), "{task} {:?}", run.cpu());
    }
}

#[test]
fn waiting_for_no_time_again_and_again_ends_at_a_limit() {
    let run = attack("wait_zero_for_ever")
        .limits(|limits| limits.wall = ms(500))
        .run();
    assert!(
        matches!(run.limit(), Limit::Cpu | Limit::Wall),
        "{:?}",
        run.outcome()
    );
}

#[test]
fn an_interruption_is_a_request_and_the_limit_is_not() {
    let call = attack("ignore_interruptions").limits(|limits| limits.wall = ms(60));
    let run = call.interrupt_after(ms(5), Interruption::Cancelled).run();
    assert!(
        matches!(run.limit(), Limit::Wall | Limit::Cpu),
        "{:?}",
        run.outcome()
    );
}

#[test]
fn memory_past_the_limit_ends_the_guest() {
    for task in ["eat_memory", "grow_page_by_page", "grow_at_once"] {
        let run = attack(task).limits(|limits| limits.cpu = ms(10_000)).run();
        assert_eq!(run.limit(), Limit::Memory, "{task}");
        assert_eq!(run.limit_hit().allowed, mib(64), "{task}");
        assert!(run.peak_memory() <= mib(64), "{task}");
    }
}

#[test]
fn memory_below_the_limit_is_given_and_counted() {
    let run = attack("use_40_mib")
        .limits(|limits| limits.cpu = ms(10_000))
        .run();
    let memory: u64 = run.json();
    // Tables count as well: a few bytes for each function that is called through one.
    let tables = run.peak_memory() - memory;
    assert!(
        memory > mib(40) && tables < kib(64),
        "{memory} and {tables} bytes"
    );
    let run = attack("use_40_mib")
        .limits(|limits| limits.memory = mib(32))
        .run();
    assert_eq!(run.limit(), Limit::Memory);
}

#[test]
fn recursion_without_end_is_a_stack_overflow() {
    let run = attack("recurse")
        .limits(|limits| limits.cpu = ms(10_000))
        .run();
    let outcome = run.outcome();
    let by_limit = matches!(outcome, Outcome::LimitHit(hit) if hit.limit == Limit::Stack);
    // A compiled guest's own stack lies in its memory and may end first.
    let by_trap = matches!(outcome, Outcome::Trapped(trap) if trap.code == "memory-out-of-bounds");
    assert!(by_limit || by_trap, "{outcome:?}");
}

#[test]
fn recursion_without_memory_is_a_stack_overflow_too() {
    let more = "(func $deeper (result i32) (i32.add (call $deeper) (i32.const 1)))".to_owned();
    let raw = Raw {
        run: "call $deeper",
        more,
        ..Raw::default()
    };
    let module = Module::from_bytes("raw", &raw.component()).expect("it describes itself");
    assert_eq!(module.task("task").run().limit(), Limit::Stack);
}

#[test]
fn loops_in_the_gaps_of_a_call_are_ended_by_the_cpu_limit() {
    let endless = "(loop (br 0)) unreachable";
    let rows = [
        (
            "run",
            Raw {
                run: endless,
                ..Raw::default()
            },
        ),
        (
            "realloc",
            Raw {
                realloc: endless,
                ..Raw::default()
            },
        ),
        (
            "post-return",
            Raw {
                post_return: "(loop (br 0))",
                ..Raw::default()
            },
        ),
    ];
    for (place, raw) in rows {
        let module = Module::from_bytes(place, &raw.component()).expect("it describes itself");
        let run = module
            .task("task")
            .limits(|limits| limits.cpu = ms(50))
            .run();
        assert_eq!(run.limit(), Limit::Cpu, "{place}");
    }
}

#[test]
fn a_table_counts_as_memory() {
    let more = "(table $t 1 funcref)".to_owned();
    let grow = "(loop (drop (table.grow $t (ref.null func) (i32.const 1000))) (br 0)) unreachable";
    let module = Module::from_bytes(
        "table",
        &Raw {
            run: grow,
            more,
            ..Raw::default()
        }
        .component(),
    );
    let module = module.expect("it describes itself");
    let run = module
        .task("task")
        // A page of memory and half a table: the whole table has 160 KB.
        .limits(|limits| (limits.cpu, limits.memory) = (ms(500), kib(128)))
        .run();
    assert_eq!(run.limit(), Limit::Memory, "{:?}", run.outcome());
    assert!(run.peak_memory() <= kib(128));
}

/// Each memory is below the limit; together they are not.
#[test]
fn several_memories_count_together() {
    let hidden =
        r"(module (memory 300) (func $grow (drop (memory.grow (i32.const 1)))) (start $grow))";
    let component = with_modules(Raw::default().component(), &[hidden], 3);
    let module = Module::from_bytes("memories", &component).expect("57 MiB are below the limit");
    let roomy = module.task("task").run();
    assert_eq!(roomy.result(), serde_json::Value::Null);
    assert!(roomy.peak_memory() > mib(56), "{}", roomy.peak_memory());
    let tight = module
        .task("task")
        .limits(|limits| limits.memory = mib(50))
        .run();
    assert_eq!(tight.limit(), Limit::Memory);
    assert!(tight.peak_memory() <= mib(50));
}

#[test]
fn arguments_over_their_limit_never_reach_the_guest() {
    let large = format!("[\"{}\"]", "x".repeat(5 << 20));
    let run = hostile().task("echo_args").raw_args(large).run();
    assert_eq!(run.limit(), Limit::Arguments);
    let run = hostile().task("echo_args").raw_args("[1,2]").run();
    assert_eq!(run.result(), serde_json::json!([1, 2]));
}
