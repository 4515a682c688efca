//! What every result backend must do.

mod chord;
mod fence;
mod foreign;
mod record;

/// Expands behaviours, one test for each of some drivers.
macro_rules! behaviours {
    ($drivers:tt: $($behaviour:ident),+ $(,)?) => {
        $(mod $behaviour {
            behaviours! { @each $drivers $behaviour }
        })+
    };
    (@each [$($driver:ident),+] $behaviour:ident) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $driver() {
            let stage = crate::stage::ResultsStage::$driver().await;
            super::check::$behaviour(stage).await;
        })+
    };
}

/// All behaviours under one roof, so that the table below is complete.
mod check {
    pub(super) use super::chord::*;
    pub(super) use super::fence::*;
    pub(super) use super::record::*;
}

behaviours! {
    [embedded, redis, files, database, postgres]:
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

// The others leave it to `celery.chord_unlock`.
behaviours! {
    [embedded, redis]:
    the_last_part_of_a_chord_gets_all_in_their_order,
    a_part_counts_once_however_often_it_is_told,
    a_chord_may_be_announced_after_its_parts,
    only_one_sends_the_body_until_it_had_time_to,
    a_chord_that_is_announced_again_keeps_what_it_has,
    a_failed_part_tells_what_it_failed_with,
    the_structure_of_a_chord_is_kept,
    results_that_no_message_would_hold_are_not_brought_together,
    of_many_parts_at_once_one_is_the_last,
}

use celeriac::results::{Exception, Reply, RunUsage, Start, Write};
use celeriac::task::{Fence, State, TaskId, UsedGrant, UsedGrants};
use std::time::Duration;

pub(crate) fn id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

pub(crate) fn fence(retries: u32, deliveries: u32) -> Fence {
    Fence {
        retries,
        deliveries,
    }
}

/// A write with every field that fits its state.
pub(crate) fn write(name: &str, fence: Fence, state: &str) -> Write {
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
            bytes_in: 4,
            bytes_out: 5,
            host_calls: 6,
            uses: UsedGrants {
                http: Some(UsedGrant {
                    calls: 7,
                    denied: 8,
                    bytes_in: 9,
                    bytes_out: 10,
                }),
                ..UsedGrants::default()
            },
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
