//! What every broker must do.

mod dead;
mod delay;
mod find;
mod lease;
mod publish;
mod share;
pub(crate) mod stage;

/// Expands behaviours, one test for each driver.
macro_rules! behaviours {
    ($($behaviour:ident),+ $(,)?) => {
        $(mod $behaviour {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                super::check::$behaviour(super::stage::BrokerStage::embedded().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn redis() {
                super::check::$behaviour(super::stage::BrokerStage::redis().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn rabbitmq() {
                super::check::$behaviour(super::stage::BrokerStage::rabbitmq().await).await;
            }
        })+
    };
}

/// All behaviours under one roof, so that the table below is complete.
mod check {
    pub(super) use super::dead::*;
    pub(super) use super::delay::*;
    pub(super) use super::find::*;
    pub(super) use super::lease::*;
    pub(super) use super::publish::*;
    pub(super) use super::share::*;
}

behaviours! {
    delivers_what_was_published,
    delivers_high_priority_first_and_then_the_oldest,
    delivers_at_most_what_was_asked_for,
    keeps_queues_apart_and_fetches_from_several,
    refuses_a_body_over_the_limit,
    publishes_a_key_once_while_its_message_lives,
    holds_a_message_until_it_is_due,
    a_waiting_fetch_wakes_when_a_message_becomes_due,
    parks_a_delivery_without_counting_it,
    wakes_what_is_due_soon_and_nothing_else,
    requeues_a_delivery_without_counting_it,
    returns_a_delivery_and_counts_it,
    goes_on_with_what_runs_in_its_place,
    redelivers_after_lease_expiry_and_counts_it,
    an_extended_lease_does_not_lapse,
    a_late_settle_loses_to_the_next_delivery,
    a_receipt_settles_once,
    extending_tells_which_leases_were_lost,
    dead_letters_keep_the_original,
    dead_letters_are_capped_and_the_oldest_go,
    counts_what_a_queue_holds,
    a_waiting_fetch_wakes_when_another_process_publishes,
    a_fetch_without_messages_comes_back_empty,
    a_cancelled_fetch_loses_nothing,
    a_fetch_from_no_queue_leaves_all_messages_to_others,
    two_processes_share_a_queue_without_double_delivery,
    what_was_published_and_settled_survives_a_crash,
    finds_a_message_wherever_it_is,
    a_purge_removes_what_waits_and_leaves_what_runs,
    a_purge_removes_dead_letters_alone_where_that_is_wanted,
    the_key_of_a_purged_message_is_free_again,
}
