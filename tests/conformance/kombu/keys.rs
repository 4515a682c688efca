//! Where kombu looks for a message, and what it finds there.

use super::Shared;
use crate::stage::{START, fetch, outgoing};
use celeriac::broker::redis::Settings;
use celeriac::broker::{Broker, BrokerError, Outgoing, Settlement};
use celeriac::clock::after;
use serde_json::Value;
use std::time::Duration;

#[tokio::test]
async fn a_taken_message_lies_where_kombu_looks_for_it() {
    let shared = Shared::new();
    shared.broker.publish(vec![outgoing("m")]).await.unwrap();
    let raw = shared.cli(&["LINDEX", "q", "0"]);
    fetch(&shared.broker, &["q"], 1).await;
    let tag = shared.cli(&["HKEYS", "unacked"]);
    let held = shared.cli(&["HGET", "unacked", &tag]);
    assert_eq!(held, format!("[{raw}, \"\", \"q\"]"));
    let score = shared.cli(&["ZSCORE", "unacked_index", &tag]);
    assert_eq!(score.parse(), Ok(START.as_second()));
    let envelope: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(envelope["properties"]["delivery_info"]["routing_key"], "q");
}

#[tokio::test]
async fn kombus_time_for_what_we_took_ends_no_sooner_than_our_lease() {
    let shared = Shared::with(Settings {
        lease: Duration::from_secs(30),
        visibility_timeout: Duration::from_secs(4),
        ..Settings::default()
    });
    shared.broker.publish(vec![outgoing("m")]).await.unwrap();
    let taken = fetch(&shared.broker, &["q"], 1).await;
    let tag = shared.cli(&["HKEYS", "unacked"]);
    let score = || shared.cli(&["ZSCORE", "unacked_index", &tag]).parse();
    assert_eq!(score(), Ok(START.as_second() + 26));
    shared.clock.advance(Duration::from_secs(10));
    let receipts = [taken[0].receipt.clone()];
    assert_eq!(shared.broker.extend(&receipts).await.unwrap(), []);
    assert_eq!(score(), Ok(START.as_second() + 36));
}

#[tokio::test]
async fn a_queue_is_no_key_of_another_kind_and_none_of_kombus_or_our_tables() {
    let shared = Shared::new();
    let to = |queue: &str| Outgoing {
        queue: queue.to_owned(),
        ..outgoing("m")
    };
    shared.cli(&["HSET", "odd", "f", "v"]);
    // One of them could go, and is not sent again and again.
    let error = shared.broker.publish(vec![to("q"), to("odd")]).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, BrokerError::Misconfigured { .. }),
        "{error}"
    );
    for table in [
        "celeriac.parked.q",
        "unacked",
        "unacked_index",
        "_kombu.binding.q",
    ] {
        let error = shared.broker.publish(vec![to(table)]).await.unwrap_err();
        assert!(error.to_string().contains(table), "{error}");
        assert_eq!(shared.cli(&["EXISTS", table]), "0");
    }
    let parked = Outgoing {
        due: Some(after(START, Duration::from_secs(9))),
        ..to("q")
    };
    shared.broker.publish(vec![parked]).await.unwrap();
    shared.clock.advance(Duration::from_secs(10));
    assert!(!fetch(&shared.broker, &["q"], 9).await.is_empty());
}

#[tokio::test]
async fn messages_lie_in_the_lists_of_their_priority() {
    let shared = Shared::new();
    for priority in 0..10 {
        let mut ranked = outgoing("m");
        ranked.message.properties.priority = Some(priority);
        shared.broker.publish(vec![ranked]).await.unwrap();
    }
    for (list, expected) in [
        ("q", "3"),
        ("q\u{6}\u{16}3", "3"),
        ("q\u{6}\u{16}6", "3"),
        ("q\u{6}\u{16}9", "1"),
    ] {
        assert_eq!(shared.cli(&["LLEN", list]), expected, "{list:?}");
    }
}

#[tokio::test]
async fn an_extended_message_is_fresh_for_kombu_too() {
    let shared = Shared::new();
    shared.broker.publish(vec![outgoing("m")]).await.unwrap();
    let taken = fetch(&shared.broker, &["q"], 1).await;
    shared.clock.advance(Duration::from_secs(10));
    let lost = shared
        .broker
        .extend(&[taken[0].receipt.clone()])
        .await
        .unwrap();
    assert_eq!(lost, []);
    let tag = shared.cli(&["HKEYS", "unacked"]);
    let score = shared.cli(&["ZSCORE", "unacked_index", &tag]);
    assert_eq!(score.parse(), Ok(START.as_second() + 10));
}

#[tokio::test]
async fn every_key_has_the_prefix() {
    let shared = Shared::with(Settings {
        prefix: "pfx:".to_owned(),
        ..Settings::default()
    });
    let keyed = Outgoing {
        key: Some("k".to_owned()),
        ..outgoing("keyed")
    };
    let all = vec![keyed, outgoing("a"), outgoing("b"), outgoing("c")];
    shared.broker.publish(all).await.unwrap();
    let taken = fetch(&shared.broker, &["q"], 3).await;
    let reason = "r".to_owned();
    let minute = Duration::from_secs(60);
    for (delivery, settlement) in taken[1..].iter().zip([
        Settlement::DeadLetter { reason },
        Settlement::Park(after(START, minute)),
    ]) {
        shared.broker.settle(delivery, settlement).await.unwrap();
    }
    let keys = shared.cli(&["KEYS", "*"]);
    assert_eq!(keys.lines().count(), 8, "{keys}");
    assert!(keys.lines().all(|key| key.starts_with("pfx:")), "{keys}");
}
