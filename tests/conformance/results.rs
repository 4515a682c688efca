//! What every result backend must do.

mod fence;
mod foreign;
mod record;

/// Expands behaviours, one test for each driver.
macro_rules! behaviours {
    ($($behaviour:ident),+ $(,)?) => {
        $(mod $behaviour {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                super::check::$behaviour(crate::stage::ResultsStage::embedded().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn redis() {
                super::check::$behaviour(crate::stage::ResultsStage::redis().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn files() {
                super::check::$behaviour(crate::stage::ResultsStage::files().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn database() {
                super::check::$behaviour(crate::stage::ResultsStage::database().await).await;
            }
        })+
    };
}

/// All behaviours under one roof, so that the table below is complete.
mod check {
    pub(super) use super::fence::*;
    pub(super) use super::record::*;
}

behaviours! {
    stores_every_field_and_reads_it_back,
    nothing_stored_is_nothing,
    a_record_ends_with_its_time,
    a_record_without_a_time_is_kept,
    a_sweep_removes_at_most_ten_thousand,
    every_pair_of_states_and_fences_is_stored_or_refused,
    two_writes_at_once_are_ordered,
    a_redelivery_waits_for_the_lease_and_then_takes_over,
    a_run_that_was_taken_over_cannot_write,
    a_redelivery_of_a_final_task_gets_its_record,
    a_redelivery_after_a_retry_gets_when_it_is_due,
    an_older_retry_is_stale,
    only_the_run_that_holds_the_lease_renews_it,
    of_many_that_begin_at_once_one_runs,
}

use celeriac::results::{Exception, Reply, RunUsage, Start, Write};
use celeriac::task::{Fence, State, TaskId};
use std::time::Duration;

fn id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

fn fence(retries: u32, deliveries: u32) -> Fence {
    Fence {
        retries,
        deliveries,
    }
}

/// A write with every field that fits its state.
fn write(name: &str, fence: Fence, state: &str) -> Write {
    let state = State::from_word(state);
    let failed = matches!(state, State::Failure | State::Retry | State::Revoked);
    Write {
        id: id(name),
        task: "m.t".to_owned(),
        fence,
        result: (!failed).then(|| b"{\"a\":[1,2.5,null]}".as_slice().into()),
        exception: failed.then(|| Exception {
            class: "ValueError".to_owned(),
            module: "builtins".to_owned(),
            message: "ä \"quoted\"\n\u{0}".to_owned(),
            trace: Some("line 1".to_owned()),
        }),
        due: (state == State::Retry).then_some(crate::stage::START),
        state,
        worker: "w@host".to_owned(),
        usage: RunUsage {
            queue_wait_ms: 1,
            run_us: 2,
            cpu_us: 3,
            memory_peak_bytes: u64::from(u32::MAX) + 1,
        },
        log: Some("[\"a line\"]".to_owned()),
        keep: Some(Duration::from_secs(86_400)),
        reply: Reply::default(),
        children: String::new(),
        extended: None,
    }
}

fn start(stage: &crate::stage::ResultsStage, name: &str, fence: Fence, worker: &str) -> Start {
    let lease_until = celeriac::clock::after(stage.clock.now(), LEASE);
    Start {
        id: id(name),
        task: "m.t".to_owned(),
        fence,
        worker: worker.to_owned(),
        lease_until,
    }
}

const LEASE: Duration = Duration::from_secs(30);
