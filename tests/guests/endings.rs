//! Endings that no limit causes: traps, exits, and what a guest reports.

use crate::attack;
use crate::raw::Raw;
use celeriac_harness::{Interruption, Module, Outcome};

fn run_raw(raw: &Raw) -> celeriac_harness::Run {
    let module =
        Module::from_bytes("raw", &raw.component()).unwrap_or_else(|error| panic!("{error}"));
    module.task("task").run()
}

#[test]
fn a_handmade_guest_that_behaves_returns_its_result() {
    let run = run_raw(&Raw::default());
    assert_eq!(run.result(), serde_json::Value::Null);
}

#[test]
fn code_that_no_code_may_do_is_a_trap_with_a_stable_name() {
    let table = "(table 1 funcref) (type $nothing (func))".to_owned();
    let rows = [
        ("unreachable", "unreachable-code-reached", String::new()),
        (
            "i32.const 1  i32.const 0  i32.div_s",
            "integer-division-by-zero",
            String::new(),
        ),
        (
            "i32.const 0x80000000  i32.const -1  i32.div_s",
            "integer-overflow",
            String::new(),
        ),
        (
            "i32.const -4  i32.load",
            "memory-out-of-bounds",
            String::new(),
        ),
        (
            "i32.const 0  call_indirect (type $nothing)  i32.const 512",
            "indirect-call-to-null",
            table.clone(),
        ),
        (
            "i32.const 9  call_indirect (type $nothing)  i32.const 512",
            "table-out-of-bounds",
            table,
        ),
    ];
    for (run, code, more) in rows {
        let run = run_raw(&Raw {
            run,
            more,
            ..Raw::default()
        });
        assert_eq!(run.trap().code, code);
        assert!(!run.trap().panicked);
    }
}

#[test]
fn a_result_that_points_outside_the_memory_is_a_trap() {
    let outside = run_raw(&Raw {
        run: "i32.const 0x7fffff00",
        ..Raw::default()
    });
    assert!(!outside.trap().message.is_empty());
    let long = "i32.const 532  i32.const 0x7fffffff  i32.store  i32.const 512";
    let run = run_raw(&Raw {
        run: long,
        ..Raw::default()
    });
    assert!(
        matches!(run.outcome(), Outcome::Trapped(_) | Outcome::LimitHit(_)),
        "{:?}",
        run.outcome()
    );
}

#[test]
fn an_outcome_of_no_known_kind_is_a_trap() {
    let run = "i32.const 512  i32.const 77  i32.store8  i32.const 512";
    let run = run_raw(&Raw {
        run,
        ..Raw::default()
    });
    assert!(!run.trap().message.is_empty());
}

#[test]
fn memory_handed_out_wrongly_is_a_trap() {
    for realloc in ["unreachable", "i32.const -1", "i32.const 0x7fff0000"] {
        let module = Module::from_bytes(
            "raw",
            &Raw {
                realloc,
                ..Raw::default()
            }
            .component(),
        );
        let run = module
            .unwrap_or_else(|error| panic!("{error}"))
            .task("task")
            .run();
        assert!(!run.trap().message.is_empty());
    }
}

#[test]
fn a_panic_is_a_trap_that_keeps_its_text() {
    let run = attack("panic").run();
    assert!(
        run.trap()
            .message
            .contains("the text of a panic, with a number: 42"),
        "{:?}",
        run.trap()
    );
    assert!(run.trap().panicked);
    assert!(run.trap().frames.len() <= 20);
}

#[test]
fn unreachable_code_and_an_abort_are_traps() {
    for task in ["unreachable", "abort"] {
        assert_eq!(attack(task).run().trap().code, "unreachable-code-reached");
    }
}

#[test]
fn an_exit_is_no_result_whatever_its_status() {
    for (task, status) in [("exit_0", 0), ("exit_1", 1)] {
        let run = attack(task).run();
        assert!(
            matches!(run.outcome(), Outcome::Exited { code } if *code == status),
            "{:?}",
            run.outcome()
        );
    }
}

#[test]
fn a_claimed_interruption_is_told_from_a_raised_one() {
    let run = attack("claims_interrupted").run();
    let claim = Outcome::Interrupted {
        claimed: Interruption::Cancelled,
        raised: None,
    };
    assert_eq!(run.outcome(), &claim);
}

#[test]
fn a_wish_beyond_all_measure_is_data() {
    let run = attack("retry_in_an_age").run();
    assert_eq!(run.retry().reason.kind, "Busy");
    assert!(run.retry().countdown.is_some());
    let run = attack("reject_for_ever").run();
    assert!(run.rejection().requeue);
    assert!(run.rejection().reason.len() <= 64 << 10);
    assert_eq!(attack("ignore").run().outcome(), &Outcome::Ignore);
}

#[test]
fn a_task_the_module_lacks_is_a_failure_in_the_guests_words() {
    assert_eq!(attack("no_such_task").run().failure().kind, "LookupError");
}
