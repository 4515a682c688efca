//! Guests that read the clocks of WASI, and wait by them.

use crate::raw::{Raw, contract};
use celeriac_harness::{Limit, Module, Run, Value, ms};

const CLOCKS: &str = "
    package wasi:io@0.2.0 { interface poll {
        resource pollable { ready: func() -> bool; block: func(); }
    } }
    package wasi:clocks@0.2.0 {
        interface monotonic-clock {
            use wasi:io/poll@0.2.0.{pollable};
            now: func() -> u64;
            resolution: func() -> u64;
            subscribe-instant: func(when: u64) -> pollable;
            subscribe-duration: func(when: u64) -> pollable;
        }
        interface wall-clock {
            record datetime { seconds: u64, nanoseconds: u32 }
            now: func() -> datetime;
            resolution: func() -> datetime;
        }
    }";

const IMPORTS: &str = "import wasi:io/poll@0.2.0; import wasi:clocks/monotonic-clock@0.2.0;
    import wasi:clocks/wall-clock@0.2.0;";

fn run(body: &str) -> Run {
    let raw = Raw {
        imported: r#"
            (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
            (import "wasi:clocks/monotonic-clock@0.2.0" "resolution"
                (func $resolution (result i64)))
            (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-instant"
                (func $instant (param i64) (result i32)))
            (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration"
                (func $duration (param i64) (result i32)))
            (import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
            (import "wasi:clocks/wall-clock@0.2.0" "resolution"
                (func $wall-resolution (param i32)))
            (import "wasi:io/poll@0.2.0" "[method]pollable.ready"
                (func $ready (param i32) (result i32)))
            (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))"#
            .to_owned(),
        run: format!("{body} i32.const 512").leak(),
        ..Raw::default()
    };
    let component = raw.component_for(&contract(IMPORTS, CLOCKS));
    let module = Module::from_bytes("raw", &component).expect("it describes itself");
    let task = module.task("task");
    task.limits(|limits| limits.wall = ms(300)).run()
}

#[test]
fn the_clocks_of_wasi_go_by_milliseconds_and_say_so() {
    let whole = |text: &str| {
        format!(
            "(if (i64.ne (i64.rem_u {text} (i64.const 1000000)) (i64.const 0)) (then unreachable))"
        )
    };
    let rows = [
        whole("(call $now)"),
        "(if (i64.ne (call $resolution) (i64.const 1000000)) (then unreachable))".to_owned(),
        "(call $wall (i32.const 704))".to_owned()
            + &whole("(i64.extend_i32_u (i32.load (i32.const 712)))"),
        "(call $wall-resolution (i32.const 704))
         (if (i64.ne (i64.load (i32.const 704)) (i64.const 0)) (then unreachable))
         (if (i32.ne (i32.load (i32.const 712)) (i32.const 1000000)) (then unreachable))"
            .to_owned(),
    ];
    for row in rows {
        assert_eq!(run(&row).result(), Value::Null, "{row}");
    }
}

#[test]
fn waiting_until_the_end_of_time_ends_with_the_time_of_the_attempt() {
    for far in [
        "(call $instant (i64.const -1))",
        "(call $duration (i64.const -1))",
        "(call $instant (i64.const 0x7fffffffffffffff))",
        "(call $duration (i64.const 0x7fffffffffffffff))",
    ] {
        let run = run(&format!("(call $block {far})"));
        assert_eq!(run.limit(), Limit::Wall, "{far}");
        assert!(run.usage().cpu < ms(200), "{far}");
    }
    // What is far is not ready, and what is past is waited for no longer than a turn.
    for row in [
        "(if (call $ready (call $instant (i64.const -1))) (then unreachable))",
        "(call $block (call $instant (i64.const 0)))",
    ] {
        assert_eq!(run(row).result(), Value::Null, "{row}");
    }
}
