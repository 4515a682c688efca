//! What guests share: the slots of the pool, and the memory that passes from one to the
//! next.

use crate::bystanders::call;
use crate::raw::{Raw, jobs, with_modules};
use celeriac_harness::{Limits, Outcome, mib, ms};
use celeriac_sandbox::{
    Attempt, Component, Engine, EngineSettings, Grants, Report, SandboxError, Sender, Sending,
    Signature, When, Wish,
};
use std::sync::Arc;

/// Loads a component into a pool of five slots.
fn load(component: &[u8]) -> Component {
    let settings = EngineSettings {
        attempts: 1,
        ..EngineSettings::default()
    };
    let engine = Engine::new(&settings).expect("the engine starts");
    let artifact = celeriac_sandbox::compile(component).expect("it compiles");
    engine.load(&artifact).expect("it loads")
}

async fn invoke(component: &Component, limits: &Limits) -> Result<Report, SandboxError> {
    let (call, grants) = (call("task"), Grants::default());
    let attempt = component.invoke(&call, limits, &grants, Attempt::default());
    attempt.await
}

/// A guest that waits for what never comes.
fn waiting() -> Raw {
    Raw {
        imported: r#"(import "celeriac:task/context@0.1.0" "wait"
            (func $wait (param i64 i32)))"#
            .to_owned(),
        run: "(loop (call $wait (i64.const -1) (i32.const 700)) (br 0)) unreachable",
        ..Raw::default()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_full_pool_is_trouble_of_the_host_and_no_attempt() {
    let three = with_modules(waiting().component(), &["(module (memory 1))"], 2);
    for (guest, fit) in [(waiting().component(), 5), (three, 3)] {
        let component = load(&guest);
        let limits = Limits {
            wall: ms(100),
            ..Limits::default()
        };
        let one = || invoke(&component, &limits);
        let (a, b, c, d, e, f) = tokio::join!(one(), one(), one(), one(), one(), one());
        let mut ended = Vec::new();
        for answer in [a, b, c, d, e, f] {
            match answer {
                Ok(report) => ended.push(matches!(report.outcome, Outcome::LimitHit(_))),
                Err(SandboxError::Busy { slots }) => assert_eq!(slots, 5),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(ended, vec![true; fit]);
        // The slots are free again.
        let report = invoke(&component, &limits).await.expect("there is room");
        assert!(matches!(report.outcome, Outcome::LimitHit(_)));
    }
}

/// Fails when a byte is there that it did not write, and then writes all of them.
const FOOTPRINTS: &str = "
    (local.set 0 (i32.const 131072))
    (drop (memory.grow (i32.const 100)))
    (loop
        (if (i64.ne (i64.load (local.get 0)) (i64.const 0)) (then unreachable))
        (local.set 0 (i32.add (local.get 0) (i32.const 8)))
        (br_if 0 (i32.lt_u (local.get 0) (i32.const 6684672))))
    (if (i32.ne (global.get $mark) (i32.const 0)) (then unreachable))
    (if (i32.eqz (ref.is_null (table.get $t (i32.const 3)))) (then unreachable))
    (global.set $mark (i32.const 1))
    (table.set $t (i32.const 3) (ref.func $start))
    (memory.fill (i32.const 131072) (i32.const 0xaa) (i32.const 6553600))
    i32.const 512";

#[tokio::test(flavor = "current_thread")]
async fn a_slot_is_clean_when_the_next_guest_has_it() {
    let raw = Raw {
        more: "(global $mark (mut i32) (i32.const 0)) (table $t 10 funcref)
            (elem declare func $start)"
            .to_owned(),
        run: FOOTPRINTS,
        ..Raw::default()
    };
    let component = load(&raw.component());
    let other = load(&raw.component());
    for _ in 0..20 {
        for component in [&component, &other] {
            let report = invoke(component, &Limits::default()).await.expect("a slot");
            assert!(
                matches!(report.outcome, Outcome::Returned(_)),
                "{:?}",
                report.outcome
            );
            assert!(report.usage.memory_peak_bytes > mib(6));
        }
    }
}

/// A host that breaks when it is called.
#[derive(Debug)]
struct Broken;

impl Sender for Broken {
    fn send<'a>(&'a self, _: &'a Wish, _: When, _: u32) -> Sending<'a> {
        panic!("a bug of the host");
    }

    fn replace<'a>(&'a self, _: &'a Signature) -> Sending<'a> {
        panic!("a bug of the host");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_panic_of_the_host_within_a_call_is_no_end_of_the_engine() {
    let raw = jobs("(call $submit (call $new) (i32.const 0) (i32.const 700)) i32.const 512");
    let component = load(&raw.component());
    // More often than there are slots: each must come back.
    for _ in 0..8 {
        let component = component.clone();
        let mut bugs = tokio::task::JoinSet::new();
        bugs.spawn(async move {
            let mut grants = Grants::default();
            grants.submit = vec!["a.*".to_owned()];
            let attempt = Attempt {
                sender: Some(Arc::new(Broken)),
                ..Attempt::default()
            };
            let call = call("task");
            let limits = Limits::default();
            drop(component.invoke(&call, &limits, &grants, attempt).await);
        });
        let ended = bugs.join_next().await.expect("one");
        assert!(ended.is_err_and(|error| error.is_panic()));
    }
    let report = invoke(&component, &Limits::default()).await.expect("well");
    assert!(matches!(report.outcome, Outcome::Returned(_)));
}

/// Traps unless a clock moves by whole milliseconds, read until it moved five times.
const TICKS: &str = "
    (local i64 i64)
    (local.set 0 (i32.const 0))
    (loop
        (local.set 10 (call $ns))
        (if (i64.ne (i64.rem_u (local.get 10) (i64.const 1000000)) (i64.const 0))
            (then unreachable))
        (if (i64.ne (local.get 10) (local.get 11)) (then
            (local.set 11 (local.get 10))
            (local.set 0 (i32.add (local.get 0) (i32.const 1)))))
        (br_if 0 (i32.lt_u (local.get 0) (i32.const 5))))
    i32.const 512";

#[tokio::test(flavor = "current_thread")]
async fn clocks_are_too_coarse_to_time_a_neighbour() {
    let raw = Raw {
        imported:
            r#"(import "celeriac:task/ambient@0.1.0" "monotonic-ns" (func $ns (result i64)))"#
                .to_owned(),
        run: TICKS,
        ..Raw::default()
    };
    let component = load(&raw.component());
    let report = invoke(&component, &Limits::default())
        .await
        .expect("a slot");
    assert!(
        matches!(report.outcome, Outcome::Returned(_)),
        "{:?}",
        report.outcome
    );
}
