//! The walls around a run: memory, time, handles, and what a guest hands over.

use super::raw::{Raw, jobs};
use super::{
    Attempt, Bill, Counter, Defence, Duration, Grants, Limit, Limits, MIB, Outcome, both, call,
    invoke, limit, limits, load, may_submit, returned, trapped, without,
};
use std::sync::Arc;

/// Grows until it is told that there is no more, and fails unless that is 200 MiB.
const GROW: &str = "
    (block (loop
        (br_if 1 (i32.eq (memory.grow (i32.const 16)) (i32.const -1)))
        (br 0)))
    (if (i32.lt_u (memory.size) (i32.const 3200)) (then unreachable))
    i32.const 512";

/// Makes 5,000 jobs and keeps them.
const HOARD: &str = "
    (local.set 0 (i32.const 0))
    (loop
        (drop (call $new))
        (local.set 0 (i32.add (local.get 0) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.get 0) (i32.const 5000))))
    i32.const 512";

#[tokio::test]
async fn without_the_sum_of_memories_a_guest_gets_what_a_slot_of_the_pool_has() {
    let raw = Raw {
        run: GROW,
        ..Raw::default()
    };
    let (defended, bare) = both(&raw, &Limits::default(), &[Defence::Memory]).await;
    assert_eq!(limit(&defended), Limit::Memory);
    // 256 MiB a memory, four memories a component: sixteen times the limit.
    returned(&bare);
}

#[tokio::test]
async fn without_a_limit_on_what_a_call_carries_the_host_reads_it_all() {
    let raw = Raw {
        memory: "700".to_owned(),
        imported: r#"(import "celeriac:task/log@0.1.0" "emit"
            (func $emit (param i32 i32 i32 i32 i32)))"#
            .to_owned(),
        run: "(call $emit (i32.const 4) (i32.const 4096) (i32.const 41943040)
                (i32.const 0) (i32.const 0))
            i32.const 512",
        ..Raw::default()
    };
    let (defended, bare) = both(&raw, &limits(5_000, 60_000), &[Defence::HostCall]).await;
    assert_eq!(limit(&defended), Limit::HostCall);
    assert_eq!(defended.log.dropped_bytes, 0);
    // It came in and was dropped by the budget of the log; the engine's bound is 128 MiB.
    returned(&bare);
    assert_eq!(bare.log.dropped_bytes, 40 * MIB);
}

#[tokio::test]
async fn without_a_limit_on_cpu_time_the_time_limit_ends_a_loop() {
    let raw = Raw {
        run: "(loop (br 0)) unreachable",
        ..Raw::default()
    };
    let component = load(&raw.component());
    let defended = invoke(&component, &limits(20, 60_000)).await;
    assert_eq!(limit(&defended), Limit::Cpu);
    let _away = without(&[Defence::Cpu]);
    let bare = invoke(&component, &limits(1, 300)).await;
    assert_eq!(limit(&bare), Limit::Wall);
    assert!(bare.usage.cpu > Duration::from_millis(1));
}

#[tokio::test]
async fn without_both_clocks_a_loop_ends_when_nobody_waits_for_it_any_more() {
    let component = load(
        &Raw {
            run: "(loop (br 0)) unreachable",
            ..Raw::default()
        }
        .component(),
    );
    let limits = limits(10, 10);
    let _away = without(&[Defence::Cpu, Defence::Wall]);
    let endless = invoke(&component, &limits);
    // It lets others have the thread, so that its owner can drop it.
    let ended = tokio::time::timeout(Duration::from_millis(200), endless).await;
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test]
async fn what_a_guest_took_that_nobody_waited_for_is_on_its_bill() {
    let raw = Raw {
        run: "(loop (br 0)) unreachable",
        ..Raw::default()
    };
    let component = load(&raw.component());
    let (call, limits, bill) = (call(), limits(60_000, 60_000), Bill::default());
    let attempt = Attempt {
        bill: bill.clone(),
        ..Attempt::default()
    };
    let nothing = Grants::default();
    let endless = component.invoke(&call, &limits, &nothing, attempt);
    let ended = tokio::time::timeout(Duration::from_millis(100), endless).await;
    assert!(ended.is_err(), "{ended:?}");
    bill.closed().await;
    let took = bill.total();
    assert!(took.cpu > Duration::from_millis(1), "{took:?}");
    assert!(took.memory_peak_bytes > 0, "{took:?}");
    assert_eq!((took.bytes_in, took.bytes_out), (4, 0));
}

#[tokio::test]
async fn without_a_time_limit_a_guest_waits_as_long_as_the_host_does() {
    let run = "
        (call $submit
            (call $new)
            (i32.const 0) (i32.const 700))
        i32.const 512";
    let component = load(&jobs(run).component());
    let grants = may_submit();
    let attempt = || Attempt {
        sender: Some(Arc::new(Counter {
            silent: true,
            ..Counter::default()
        })),
        ..Attempt::default()
    };
    let limits = limits(1_000, 50);
    let defended = component.invoke(&call(), &limits, &grants, attempt()).await;
    assert_eq!(limit(&defended.unwrap()), Limit::Wall);
    let _away = without(&[Defence::Wall]);
    let (call, attempt) = (call(), attempt());
    let waits = component.invoke(&call, &limits, &grants, attempt);
    let ended = tokio::time::timeout(Duration::from_millis(300), waits).await;
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test]
async fn without_a_bound_on_what_the_host_keeps_the_engine_counts_handles_and_back() {
    let limits = limits(5_000, 60_000);
    let raw = jobs(HOARD);
    let (defended, by_engine) = both(&raw, &limits, &[Defence::Table]).await;
    assert!(
        trapped(&defended).contains("table"),
        "{:?}",
        defended.outcome
    );
    assert!(
        !trapped(&by_engine).contains("resource table"),
        "{:?}",
        by_engine.outcome
    );
    let (_, by_host) = both(&raw, &limits, &[Defence::Handles]).await;
    assert_eq!(trapped(&by_host), trapped(&defended));
    let (_, by_nobody) = both(&raw, &limits, &[Defence::Table, Defence::Handles]).await;
    returned(&by_nobody);
}

#[tokio::test]
async fn without_a_limit_on_random_bytes_the_host_makes_as_many_as_are_asked_for() {
    let raw = Raw {
        memory: "100".to_owned(),
        imported: r#"(import "celeriac:task/ambient@0.1.0" "random-bytes"
            (func $random (param i32 i32)))"#
            .to_owned(),
        run: "(call $random (i32.const 4194304) (i32.const 700)) i32.const 512",
        ..Raw::default()
    };
    let (defended, bare) = both(&raw, &limits(5_000, 60_000), &[Defence::Random]).await;
    assert!(trapped(&defended).contains("4194304 random bytes"));
    returned(&bare);
}

#[tokio::test]
async fn without_a_look_at_the_result_anything_is_one() {
    let raw = Raw {
        run: "(i32.store (i32.const 576) (i32.const 0x7b7b7b7b)) i32.const 512",
        ..Raw::default()
    };
    let (defended, bare) = both(&raw, &Limits::default(), &[Defence::ResultCheck]).await;
    assert!(matches!(defended.outcome, Outcome::BadResult { .. }));
    // The document it would be put into is broken: nothing behind this looks at it again.
    assert_eq!(returned(&bare), "{{{{");
}

#[tokio::test]
async fn without_a_limit_on_the_result_it_ends_where_a_call_ends() {
    let large = |run| Raw {
        memory: "200".to_owned(),
        run,
        ..Raw::default()
    };
    let little_more = large(
        "(i32.store (i32.const 528) (i32.const 131072))
         (i32.store (i32.const 532) (i32.const 4200000))
         (memory.fill (i32.const 131072) (i32.const 0x31) (i32.const 4200000))
         i32.const 512",
    );
    let limits = limits(5_000, 60_000);
    let (defended, bare) = both(&little_more, &limits, &[Defence::ResultSize]).await;
    assert_eq!(limit(&defended), Limit::Result);
    assert_eq!(returned(&bare).len(), 4_200_000);
    let twice = large(
        "(i32.store (i32.const 528) (i32.const 131072))
         (i32.store (i32.const 532) (i32.const 8388608))
         (memory.fill (i32.const 131072) (i32.const 0x31) (i32.const 8388608))
         i32.const 512",
    );
    let (_, bare) = both(&twice, &limits, &[Defence::ResultSize]).await;
    assert_eq!(
        limit(&bare),
        Limit::Result,
        "by the limit on what a call carries"
    );
    let (_, bare) = both(&twice, &limits, &[Defence::ResultSize, Defence::HostCall]).await;
    assert_eq!(returned(&bare).len(), 8 << 20);
}
