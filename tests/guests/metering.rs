//! What a run takes is counted: calls of the host, bytes, and uses of grants.

use crate::attack;
use crate::raw::Raw;
use celeriac_harness::{Capability, Module, Use, ms};

/// Runs a core function that may call the host.
fn calls(run: &'static str) -> u64 {
    let import = |name: &str, function: &str, kind: &str| {
        format!(r#"(import "{name}" "{function}" (func ${function} {kind}))"#)
    };
    let imported = [
        import("celeriac:task/context@0.1.0", "retries", "(result i32)"),
        import("celeriac:task/ambient@0.1.0", "now-unix-ms", "(result i64)"),
    ];
    let raw = Raw {
        imported: imported.concat(),
        run,
        ..Raw::default()
    };
    let module = Module::from_bytes("raw", &raw.component()).expect("it describes itself");
    let run = module.task("task").run();
    assert_eq!(run.result(), celeriac_harness::Value::Null);
    run.usage().host_calls
}

#[test]
fn calls_of_the_host_are_counted_and_helpers_of_the_engine_are_not() {
    let work = "(drop (memory.grow (i32.const 1)))
        (memory.copy (i32.const 4096) (i32.const 8192) (i32.const 64))
        (memory.fill (i32.const 4096) (i32.const 0) (i32.const 64))
        i32.const 512";
    assert_eq!(calls(work), 0);
    let some = "(drop (call $retries)) (drop (call $now-unix-ms)) (drop (call $retries))
        i32.const 512";
    assert_eq!(calls(some), 3);
}

#[test]
fn calls_of_wasi_are_counted_and_ticks_of_the_clock_are_not() {
    // What a guest of Rust asks at its start; then it computes for twenty ticks.
    let start = attack("spin").run().usage().host_calls;
    assert!((1..10).contains(&start), "{start}");
    let random = attack("much_random_in_pieces").run().usage().host_calls;
    assert_eq!(random, start + 16);
}

#[test]
fn arguments_and_results_are_bytes_in_and_out() {
    let run = attack("secret_header").run();
    let usage = run.usage();
    // `[]`, `{}`, and `false`.
    assert_eq!((usage.bytes_in, usage.bytes_out), (4, 5));
    assert_eq!(attack("panic").run().usage().bytes_out, 0);
}

#[test]
fn uses_and_denials_of_a_grant_are_counted() {
    let bomb = || attack("submit_bomb").limits(|limits| limits.cpu = ms(10_000));
    let denied = *bomb().run().usage();
    assert_eq!(denied.uses.of(Capability::Submit), Use::denial());
    let run = bomb().may_submit("hostile.*").run();
    let usage = run.usage();
    let used = usage.uses.of(Capability::Submit);
    // What is over the limit of a hundred is neither.
    assert_eq!((used.calls, used.denied), (100, 0));
    let each = "hostile.submit_bomb[]{}".len() as u64;
    assert_eq!((used.bytes_in, used.bytes_out), (0, 100 * each));
    // And `100`, the result.
    assert_eq!(usage.bytes_out, 100 * each + 3);
    assert_eq!(usage.uses.iter().count(), 1);
    assert!(usage.host_calls >= 202, "{}", usage.host_calls);
}
