//! The hostile suite: every guest comes to its ending, the host's memory stays within
//! bounds, and a neighbour on the same thread finishes meanwhile. Those that were granted
//! something are in `granted.rs`, those that nobody waits for in `abandoned.rs`.

use crate::beside::{assert_contained, hostile, raw, roomy, soon};
use crate::raw::{Raw, contract, jobs, with_component};
use celeriac_harness::{Limits, mib, ms};

const LOOP: &str = "(loop (br 0)) unreachable";

#[test]
fn guests_that_never_end_are_ended_beside_a_neighbour() {
    let mut rows = hostile(
        &soon(),
        &[
            ("spin", &["cpu limit"]),
            ("poll_for_ever", &["cpu limit"]),
            ("fill_memory", &["cpu limit"]),
            ("wait_zero_for_ever", &["cpu limit", "time limit"]),
            (
                "recurse",
                &["stack limit", "memory-out-of-bounds", "cpu limit"],
            ),
        ],
    );
    let waiting = Limits {
        wall: ms(60),
        ..soon()
    };
    rows.extend(hostile(
        &waiting,
        &[
            ("sleep_in_context", &["time limit"]),
            ("sleep_in_wasi", &["time limit"]),
            ("ignore_interruptions", &["time limit", "cpu limit"]),
        ],
    ));
    let place = |change: fn(&mut Raw)| {
        let mut raw = Raw::default();
        change(&mut raw);
        raw.component()
    };
    let more = "(func $deeper (result i32) (i32.add (call $deeper) (i32.const 1)))";
    let recursion = Raw {
        run: "call $deeper",
        more: more.to_owned(),
        ..Raw::default()
    };
    rows.extend(raw(
        &soon(),
        vec![
            (
                "loop in start",
                place(|raw| raw.start = "(loop (br 0))"),
                &["cpu limit"],
            ),
            (
                "loop in realloc",
                place(|raw| raw.realloc = LOOP),
                &["cpu limit"],
            ),
            (
                "loop after the return",
                place(|raw| raw.post_return = "(loop (br 0))"),
                &["cpu limit"],
            ),
            ("recursion", recursion.component(), &["stack limit"]),
            ("sends without end", jobs(SEND).component(), &["cpu limit"]),
            (
                "polls at once",
                polls("(i64.const 0)", 1, true),
                &["cpu limit", "time limit"],
            ),
            (
                "polls 100,000 at once",
                polls("(i64.const 0)", 100_000, true),
                &["cpu limit", "host-call"],
            ),
        ],
    ));
    assert_contained(rows);
}

/// A guest that makes one pollable, writes its handle so many times, and polls the list.
fn polls(nanoseconds: &str, handles: u32, for_ever: bool) -> Vec<u8> {
    let again = if for_ever { "(br 0)" } else { "" };
    let run = format!(
        "(local.set 0 (call $subscribe {nanoseconds}))
         (local.set 1 (i32.const 131072))
         (loop
            (i32.store (local.get 1) (local.get 0))
            (local.set 1 (i32.add (local.get 1) (i32.const 4)))
            (br_if 0 (i32.lt_u (local.get 1) (i32.const {}))))
         (loop
            (global.set $heap (i32.const 2097152))
            (call $poll (i32.const 131072) (i32.const {handles}) (i32.const 700))
            {again})
         i32.const 512",
        131_072 + handles * 4
    );
    with_clocks(run.leak()).component_for(&contract(CLOCKS, WASI))
}

const CLOCKS: &str = "import wasi:clocks/monotonic-clock@0.2.0; import wasi:io/poll@0.2.0; \
    import wasi:random/random@0.2.0;";
const WASI: &str = "
    package wasi:io@0.2.0 { interface poll {
        resource pollable { ready: func() -> bool; block: func(); }
        poll: func(in: list<borrow<pollable>>) -> list<u32>;
    } }
    package wasi:clocks@0.2.0 { interface monotonic-clock {
        use wasi:io/poll@0.2.0.{pollable};
        now: func() -> u64;
        subscribe-duration: func(when: u64) -> pollable;
    } }
    package wasi:random@0.2.0 { interface random {
        get-random-bytes: func(len: u64) -> list<u8>;
    } }";

fn with_clocks(run: &'static str) -> Raw {
    Raw {
        memory: "80".to_owned(),
        imported: r#"
            (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration"
                (func $subscribe (param i64) (result i32)))
            (import "wasi:io/poll@0.2.0" "poll" (func $poll (param i32 i32 i32)))
            (import "wasi:random/random@0.2.0" "get-random-bytes"
                (func $random (param i64 i32)))"#
            .to_owned(),
        run,
        ..Raw::default()
    }
}

#[test]
fn guests_that_want_memory_or_handles_without_end_are_ended_beside_a_neighbour() {
    let limits = Limits {
        cpu: ms(10_000),
        ..soon()
    };
    let mut rows = hostile(
        &limits,
        &[
            ("eat_memory", &["memory limit"]),
            ("grow_page_by_page", &["memory limit"]),
            ("grow_at_once", &["memory limit"]),
            ("hoard_jobs", &["host-call"]),
            ("too_much_random", &["host-call"]),
        ],
    );
    let table = Raw {
        more: "(table $t 1 funcref)".to_owned(),
        run: "(loop (drop (table.grow $t (ref.null func) (i32.const 1000))) (br 0)) unreachable",
        ..Raw::default()
    };
    let pollables = "(loop (drop (call $subscribe (i64.const 3600000000000))) (br 0)) unreachable";
    let random = "(call $random (i64.const 0x1000000000000000) (i32.const 700)) i32.const 512";
    let wasi = contract(CLOCKS, WASI);
    let cpu = Limits {
        cpu: ms(300),
        ..limits.clone()
    };
    rows.extend(raw(
        &limits,
        vec![
            (
                "hoard of pollables",
                with_clocks(pollables).component_for(&wasi),
                &["host-call"],
            ),
            (
                "2^60 random bytes",
                with_clocks(random).component_for(&wasi),
                &["host-call"],
            ),
            (
                "resources in an instance beside",
                with_component(Raw::default().component(), HOARD),
                &["host-call", "unreachable-code-reached"],
            ),
            (
                "three memories",
                with_component(Raw::default().component(), MEMORIES),
                &["memory limit"],
            ),
        ],
    ));
    rows.extend(raw(
        &cpu,
        vec![("table", table.component(), &["memory limit", "cpu limit"])],
    ));
    assert_contained(rows);
}

/// Makes resources of its own without end while it is instantiated.
const HOARD: &str = r#"(component
    (type $thing (resource (rep i32)))
    (core func $new (canon resource.new $thing))
    (core module $m
        (import "" "new" (func $new (param i32) (result i32)))
        (func $start (loop (drop (call $new (i32.const 1))) (br 0)))
        (start $start))
    (core instance (instantiate $m (with "" (instance (export "new" (func $new)))))))"#;

/// Three memories in three modules, each below the limit.
const MEMORIES: &str = r"(component
    (core module $m
        (memory 1)
        (func $start (loop (drop (memory.grow (i32.const 100)))
            (br_if 0 (i32.lt_u (memory.size) (i32.const 400)))))
        (start $start))
    (core instance (instantiate $m))
    (core instance (instantiate $m))
    (core instance (instantiate $m)))";

#[test]
fn guests_that_tell_too_much_are_bounded_beside_a_neighbour() {
    let mut rows = hostile(
        &roomy(mib(64)),
        &[
            ("flood_log", &["result"]),
            ("flood_progress", &["result"]),
            ("flood_stdout", &["result"]),
            ("submit_bomb", &["result"]),
            ("many_empty_fields", &["host call limit"]),
            ("long_failure", &["failure"]),
            ("result_over_its_limit", &["result limit"]),
        ],
    );
    rows.extend(hostile(
        &roomy(mib(256)),
        &[
            ("one_long_line", &["host call limit"]),
            ("big_result", &["result limit"]),
            ("big_failure", &["result limit", "host call limit"]),
        ],
    ));
    assert_contained(rows);
}

/// Sends without end, whatever it is told; its memory for the answers is one place.
const SEND: &str = "
    (loop
        (global.set $heap (i32.const 65536))
        (call $submit (call $new) (i32.const 0) (i32.const 700))
        (br 0))
    unreachable";

#[test]
fn guests_that_break_are_classified_beside_a_neighbour() {
    let mut rows = hostile(
        &soon(),
        &[
            ("exit_0", &["exit 0"]),
            ("exit_1", &["exit 1"]),
            ("panic", &["unreachable-code-reached"]),
            ("abort", &["unreachable-code-reached"]),
            ("not_json", &["bad result"]),
            ("too_deep", &["bad result"]),
            ("read_a_file", &["failure"]),
            ("open_a_socket", &["failure"]),
        ],
    );
    let null = Raw {
        more: "(table 1 funcref) (type $nothing (func))".to_owned(),
        run: "i32.const 0  call_indirect (type $nothing)  i32.const 512",
        ..Raw::default()
    };
    let zero = Raw {
        run: "i32.const 1  i32.const 0  i32.div_s",
        ..Raw::default()
    };
    // A handle is lent to the call whose text lies outside the memory.
    let borrowed = jobs(
        "(call $queue (call $new) (i32.const -16) (i32.const 8))
         i32.const 512",
    );
    rows.extend(raw(
        &soon(),
        vec![
            (
                "division by zero",
                zero.component(),
                &["integer-division-by-zero"],
            ),
            (
                "call of nothing",
                null.component(),
                &["indirect-call-to-null"],
            ),
            (
                "trap with a handle lent",
                borrowed.component(),
                &["host-call"],
            ),
        ],
    ));
    assert_contained(rows);
}
