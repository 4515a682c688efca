//! Guests that misbehave when they are asked what they are.

use crate::raw::{Raw, with_modules};
use celeriac_harness::Module;

fn refusal(component: &[u8]) -> String {
    match Module::from_bytes("raw", component) {
        Ok(module) => panic!("it was accepted: {:?}", module.tasks()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_description_that_never_ends_is_refused_by_its_cpu_limit() {
    for raw in [
        Raw {
            describe: "(loop (br 0)) unreachable",
            ..Raw::default()
        },
        Raw {
            start: "(loop (br 0))",
            ..Raw::default()
        },
    ] {
        let text = refusal(&raw.component());
        assert!(text.contains("cpu limit"), "{text}");
    }
}

#[test]
fn a_description_that_traps_is_refused() {
    for raw in [
        Raw {
            describe: "unreachable",
            ..Raw::default()
        },
        Raw {
            start: "unreachable",
            ..Raw::default()
        },
        Raw {
            describe: "i32.const -16",
            ..Raw::default()
        },
    ] {
        let text = refusal(&raw.component());
        assert!(text.contains("description"), "{text}");
    }
}

#[test]
fn a_description_of_no_task_or_too_many_is_refused() {
    let none = "i32.const 20  i32.const 0  i32.store  i32.const 16";
    let many = "i32.const 20  i32.const 0x7fffff  i32.store  i32.const 16";
    for describe in [none, many] {
        refusal(
            &Raw {
                describe,
                ..Raw::default()
            }
            .component(),
        );
    }
}

#[test]
fn a_name_that_is_no_name_is_refused() {
    for describe in [
        // "\1bask", a byte that is not UTF-8, and no name at all.
        "i32.const 32  i32.const 0x1b  i32.store8  i32.const 16",
        "i32.const 32  i32.const 0xff  i32.store8  i32.const 16",
        "i32.const 68  i32.const 0  i32.store  i32.const 16",
    ] {
        let text = refusal(
            &Raw {
                describe,
                ..Raw::default()
            }
            .component(),
        );
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn a_memory_larger_than_the_limit_is_refused_before_it_exists() {
    for pages in ["1025", "65536"] {
        refusal(
            &Raw {
                memory: pages.to_owned(),
                ..Raw::default()
            }
            .component(),
        );
    }
}

#[test]
fn more_memories_or_tables_than_a_component_may_have_are_refused() {
    for (module, times, words) in [
        ("(module (memory 1))", 4, "memories"),
        ("(module (table 1 funcref))", 17, "tables"),
        (
            "(module (table 1 funcref) (table 1 funcref) (table 1 funcref) (table 1 funcref) (table 1 funcref))",
            1,
            "tables",
        ),
    ] {
        let component = with_modules(Raw::default().component(), &[module], times);
        let text = refusal(&component);
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_thousand_nested_instances_are_refused() {
    for (times, words) in [(100, "40"), (1_000, "limit")] {
        let component = with_modules(Raw::default().component(), &["(module)"], times);
        let text = refusal(&component);
        assert!(text.contains(words), "{text}");
    }
}
