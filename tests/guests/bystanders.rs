//! What a hostile guest may not do to others: hold their thread, or the host's memory.

use crate::hostile;
use crate::raw::Raw;
use bytes::Bytes;
use celeriac_harness::{Limit, Outcome, mib, ms};
use celeriac_sandbox::{Attempt, Call, Component, Engine, EngineSettings, Grants, Limits};
use std::cell::Cell;

/// Loads a component of this folder into an engine of the test's own.
pub(crate) fn load(name: &str) -> Component {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/");
    let built = celeriac_build::Guest::new(format!("{folder}{name}"))
        .quiet(true)
        .build()
        .expect("the guest builds");
    let bytes = std::fs::read(built.component).expect("the component is there");
    let artifact = celeriac_sandbox::compile(&bytes).expect("it compiles");
    let engine = Engine::new(&EngineSettings::default()).expect("the engine starts");
    engine.load(&artifact).expect("it loads")
}

pub(crate) fn call(task: &str) -> Call {
    Call {
        task: task.to_owned(),
        args: Bytes::from_static(b"[]"),
        kwargs: Bytes::from_static(b"{}"),
    }
}

async fn invoke(component: &Component, task: &str, limits: &Limits) -> Outcome {
    let report = component
        .invoke(&call(task), limits, &Grants::default(), Attempt::default())
        .await;
    report.expect("the host is well").outcome
}

/// One thread for all: whoever holds it, holds everybody.
#[tokio::test(flavor = "current_thread")]
async fn neighbours_on_the_same_thread_finish_while_a_guest_spins() {
    let component = load("hostile");
    let limits = Limits {
        cpu: ms(1_000),
        ..Limits::default()
    };
    let finished = Cell::new(0);
    let spin = async {
        let outcome = invoke(&component, "spin", &limits).await;
        assert!(
            matches!(&outcome, Outcome::LimitHit(hit) if hit.limit == Limit::Cpu),
            "{outcome:?}"
        );
        finished.get()
    };
    let neighbours = async {
        for _ in 0..20 {
            let outcome = invoke(&component, "use_nothing", &limits).await;
            assert!(matches!(outcome, Outcome::Returned(_)), "{outcome:?}");
            finished.set(finished.get() + 1);
        }
    };
    let (finished_before_the_end, ()) = tokio::join!(spin, neighbours);
    assert_eq!(finished_before_the_end, 20);
}

#[tokio::test(flavor = "current_thread")]
async fn a_guest_is_gone_as_soon_as_its_future_is_dropped() {
    let component = load("hostile");
    for task in ["spin", "sleep_in_context", "sleep_in_wasi", "flood_log"] {
        let limits = Limits::default();
        let endless = invoke(&component, task, &limits);
        tokio::time::timeout(ms(20), endless)
            .await
            .expect_err("it never ends by itself");
    }
    let outcome = invoke(&component, "use_nothing", &Limits::default()).await;
    assert!(matches!(outcome, Outcome::Returned(_)), "{outcome:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_guest_is_gone_also_while_its_instance_is_made() {
    let raw = Raw {
        start: "(loop (br 0))",
        ..Raw::default()
    };
    let artifact = celeriac_sandbox::compile(&raw.component()).expect("it compiles");
    let engine = Engine::new(&EngineSettings::default()).expect("the engine starts");
    let component = engine.load(&artifact).expect("it loads");
    // More often than there are slots.
    for _ in 0..80 {
        let limits = Limits::default();
        let endless = invoke(&component, "task", &limits);
        tokio::time::timeout(ms(1), endless)
            .await
            .expect_err("it never ends by itself");
    }
}

#[test]
fn a_thousand_runs_leave_no_memory_behind() {
    let hostile = hostile();
    let run = |times: usize| {
        for _ in 0..times {
            assert_eq!(
                hostile.call("use_nothing", Vec::new()).result(),
                serde_json::Value::Null
            );
        }
    };
    run(100);
    let before = resident();
    run(1_000);
    let after = resident();
    assert!(
        after < before + mib(8),
        "{before} bytes before, {after} after"
    );
}

/// The most memory that this process had since some moment.
pub(crate) struct Peak(u64);

impl Peak {
    pub(crate) fn begin() -> Self {
        // 5: forget the highest number so far.
        std::fs::write("/proc/self/clear_refs", "5").expect("this is Linux");
        Self(resident())
    }

    /// Returns by how much the process was larger than at the beginning.
    pub(crate) fn grown(&self) -> u64 {
        let text = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
        let highest = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = highest.and_then(|text| text.trim().strip_suffix(" kB"));
        let kib: u64 = kib.and_then(|kib| kib.parse().ok()).expect("a number");
        (kib * 1024).saturating_sub(self.0)
    }
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
    let pages: u64 = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("the second number is ours");
    pages * 4096
}
