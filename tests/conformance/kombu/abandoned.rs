//! Giving back what a Python worker took and lost.

use super::{Shared, envelope};
use crate::stage::{START, fetch, names, outgoing};
use celeriac::broker::redis::{Settings, VISIBILITY_TIMEOUT};
use celeriac::broker::{Broker, Settlement};
use serde_json::Value;
use std::time::Duration;

/// Longer than the pause between two looks.
const LOOK: Duration = Duration::from_secs(101);
const MILLISECOND: Duration = Duration::from_millis(1);

fn start() -> f64 {
    START.as_second() as f64
}

/// Lets the broker look, and take what may be there.
async fn look(shared: &Shared) -> Vec<celeriac::broker::Delivery> {
    shared.broker.fetch(&["q".to_owned()], 10).await.unwrap()
}

#[tokio::test]
async fn what_a_python_worker_lost_is_restored_after_kombus_time_and_not_before() {
    let shared = Shared::new();
    shared.python_takes("t", &envelope("m", "t", "q", 5), ["", "q"], start() + 200.0);
    shared
        .clock
        .advance(VISIBILITY_TIMEOUT + Duration::from_secs(200) - MILLISECOND);
    assert_eq!(look(&shared).await, []);
    assert_eq!(shared.cli(&["HEXISTS", "unacked", "t"]), "1");
    assert_eq!(shared.cli(&["EXISTS", "unacked_mutex"]), "0");
    shared.clock.advance(MILLISECOND);
    // Now it is old enough; but the last look was just now.
    assert_eq!(look(&shared).await, []);
    shared.clock.advance(LOOK);
    let taken = fetch(&shared.broker, &["q"], 10).await;
    assert_eq!((names(&taken), taken[0].deliveries), (vec!["m"], 2));
    assert_eq!(shared.cli(&["HEXISTS", "unacked", "t"]), "0");
    assert_eq!(shared.cli(&["ZSCORE", "unacked_index", "t"]), "");
    assert_eq!(shared.cli(&["EXISTS", "unacked_mutex"]), "0");
}

#[tokio::test]
async fn a_restored_message_is_what_kombu_makes_of_it_in_the_list_of_its_priority() {
    let shared = Shared::new();
    for (tag, queue) in [("new", "other"), ("old", "other")] {
        let at = start() - VISIBILITY_TIMEOUT.as_secs_f64() - f64::from(tag == "old");
        shared.python_takes(tag, &envelope(tag, tag, queue, 5), ["", queue], at);
    }
    // Whichever queue we serve: the keys are of all workers of the database.
    assert_eq!(look(&shared).await, []);
    let list = "other\u{6}\u{16}3";
    assert_eq!(shared.cli(&["LLEN", list]), "2");
    // The right end is served next: the oldest.
    for tag in ["old", "new"] {
        let raw: Value = serde_json::from_str(&shared.cli(&["RPOP", list])).unwrap();
        let mut expected = envelope(tag, tag, "other", 5);
        expected["headers"]["redelivered"] = true.into();
        expected["properties"]["delivery_info"]["redelivered"] = true.into();
        assert_eq!(raw, expected);
    }
}

#[tokio::test]
async fn ours_come_back_with_their_lease_and_never_by_kombus_time() {
    let hour = Duration::from_secs(3_600);
    let shared = Shared::with(Settings {
        lease: 2 * hour,
        visibility_timeout: hour,
        ..Settings::default()
    });
    shared.broker.publish(vec![outgoing("m")]).await.unwrap();
    let taken = fetch(&shared.broker, &["q"], 1).await;
    shared.clock.advance(hour + LOOK);
    assert_eq!(look(&shared).await, []);
    // It counts as held all the while.
    shared
        .broker
        .settle(&taken[0], Settlement::Ack)
        .await
        .unwrap();
    assert_eq!(shared.cli(&["DBSIZE"]), "1", "the names of queues are left");
}

#[tokio::test]
async fn another_workers_lock_is_respected_and_not_released() {
    let shared = Shared::new();
    let long_ago = start() - VISIBILITY_TIMEOUT.as_secs_f64() - 1.0;
    shared.python_takes("t", &envelope("m", "t", "q", 0), ["", "q"], long_ago);
    assert_eq!(shared.cli(&["SET", "unacked_mutex", "python"]), "OK");
    assert_eq!(look(&shared).await, []);
    assert_eq!(shared.cli(&["GET", "unacked_mutex"]), "python");
    assert_eq!(shared.cli(&["DEL", "unacked_mutex"]), "1");
    shared.clock.advance(LOOK);
    assert_eq!(names(&fetch(&shared.broker, &["q"], 10).await), ["m"]);
}

#[tokio::test]
async fn what_came_through_an_exchange_goes_back_to_the_queues_bound_to_it() {
    let shared = Shared::new();
    let long_ago = start() - VISIBILITY_TIMEOUT.as_secs_f64() - 1.0;
    let binding = "key\u{6}\u{16}\u{6}\u{16}q";
    assert_eq!(shared.cli(&["SADD", "_kombu.binding.shop", binding]), "1");
    shared.python_takes("t", &envelope("m", "t", "q", 0), ["shop", "key"], long_ago);
    shared.python_takes(
        "u",
        &envelope("n", "u", "q", 0),
        ["shop", "other"],
        long_ago,
    );
    assert_eq!(names(&fetch(&shared.broker, &["q"], 10).await), ["m"]);
    // Nobody is bound with that key: a Python worker may know better.
    assert_eq!(shared.cli(&["HEXISTS", "unacked", "u"]), "1");
}

#[tokio::test]
async fn what_cannot_be_read_stays_and_what_is_gone_leaves_the_index() {
    let shared = Shared::new();
    let long_ago = (start() - VISIBILITY_TIMEOUT.as_secs_f64() - 1.0).to_string();
    assert_eq!(shared.cli(&["HSET", "unacked", "junk", "[no JSON"]), "1");
    for tag in ["junk", "gone"] {
        assert_eq!(shared.cli(&["ZADD", "unacked_index", &long_ago, tag]), "1");
    }
    let last = envelope("m", "t", "q", 0);
    shared.python_takes(
        "t",
        &last,
        ["", "q"],
        start() - VISIBILITY_TIMEOUT.as_secs_f64() - 2.0,
    );
    assert_eq!(names(&fetch(&shared.broker, &["q"], 10).await), ["m"]);
    assert_eq!(shared.cli(&["HGET", "unacked", "junk"]), "[no JSON");
    assert_eq!(shared.cli(&["ZSCORE", "unacked_index", "gone"]), "");
}

#[tokio::test]
async fn more_than_a_page_is_restored_in_one_look() {
    const MANY: usize = 120;
    let shared = Shared::new();
    for number in 0..MANY {
        let (tag, id) = (format!("t{number}"), format!("m{number}"));
        let at = start() - VISIBILITY_TIMEOUT.as_secs_f64() - 1.0 - number as f64;
        shared.python_takes(&tag, &envelope(&id, &tag, "q", 0), ["", "q"], at);
    }
    let taken = shared
        .broker
        .fetch(&["q".to_owned()], 2 * MANY)
        .await
        .unwrap();
    assert_eq!(taken.len(), MANY);
    assert_eq!(names(&taken)[..2], ["m119", "m118"], "the oldest first");
}
