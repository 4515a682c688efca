//! What only this driver does: its limits, its plans, giving back, emptying.
//! What every driver does is tested by the conformance suite.

use super::*;
use crate::broker::BODY_BYTES;
use crate::celery::Properties;
use crate::clock::Clock;
use serde_json::Map;

async fn broker(dir: &tempfile::TempDir) -> EmbeddedBroker {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    EmbeddedBroker::new(Database::open(dir.path(), clock).await.unwrap())
}

fn outgoing(queue: &str, bytes: usize) -> Outgoing {
    let message = Message {
        body: vec![b'x'; bytes].into(),
        content_type: "application/json".to_owned(),
        content_encoding: "utf-8".to_owned(),
        headers: Map::new(),
        properties: Properties::default(),
    };
    Outgoing {
        queue: queue.to_owned(),
        message,
        due: None,
        key: None,
    }
}

fn q() -> Vec<String> {
    vec!["q".to_owned()]
}

#[tokio::test]
async fn a_fetch_stops_at_its_bytes_but_takes_a_first_message_of_any_size() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(&dir).await;
    let large = usize::try_from(BODY_BYTES).unwrap();
    broker
        .publish((0..6).map(|_| outgoing("q", large)).collect())
        .await
        .unwrap();
    let taken = broker.fetch(&q(), 100).await.unwrap();
    assert_eq!(
        taken.len(),
        4,
        "four of 16 MiB with their headers pass 64 MiB"
    );
    assert_eq!(broker.fetch(&q(), 100).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_fetch_takes_at_most_a_thousand_messages() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(&dir).await;
    broker
        .publish((0..FETCH_MESSAGES + 1).map(|_| outgoing("q", 1)).collect())
        .await
        .unwrap();
    assert_eq!(
        broker.fetch(&q(), usize::MAX).await.unwrap().len(),
        FETCH_MESSAGES
    );
    assert_eq!(broker.fetch(&q(), usize::MAX).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_fetch_reads_four_hundred_queues_and_refuses_more() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(&dir).await;
    let mut queues: Vec<String> = (0..FETCH_QUEUES).map(|i| format!("q{i}")).collect();
    broker
        .publish(vec![outgoing("q0", 1), outgoing("q399", 1)])
        .await
        .unwrap();
    assert_eq!(broker.fetch(&queues, 10).await.unwrap().len(), 2);
    queues.push("one more".to_owned());
    let refused = broker.fetch(&queues, 10).await.unwrap_err();
    assert!(
        matches!(refused, BrokerError::Misconfigured { .. }),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("at most 400"), "{refused}");
}

#[tokio::test]
async fn headers_over_the_limit_are_refused_like_a_body() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(&dir).await;
    let mut large = outgoing("q", 1);
    let text = "x".repeat(usize::try_from(BODY_BYTES).unwrap());
    large.message.headers.insert("own".to_owned(), text.into());
    assert!(matches!(
        broker.publish(vec![large]).await,
        Err(BrokerError::TooLarge { .. })
    ));
}

#[tokio::test]
async fn more_messages_become_due_than_one_fetch_makes_ready() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(&dir).await;
    let due = Some(after(broker.db.clock().now(), Duration::from_secs(60)));
    let parked = |_| Outgoing {
        due,
        ..outgoing("q", 1)
    };
    broker
        .publish((0..2_500).map(parked).collect())
        .await
        .unwrap();
    broker.db.clock().advance(Duration::from_secs(60));
    let mut taken = 0;
    while taken < 2_500 {
        taken += broker.fetch(&q(), 1_000).await.unwrap().len();
    }
    assert_eq!(
        broker.depth("q").await.unwrap(),
        Depth {
            leased: Some(2_500),
            ..Depth::default()
        }
    );
}

#[tokio::test]
async fn what_was_taken_for_a_caller_that_went_away_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(&dir).await;
    broker
        .publish(vec![outgoing("q", 1), outgoing("q", 1)])
        .await
        .unwrap();
    let taken = broker.take(&q(), 10).await.unwrap();
    drop(taken);
    let again = broker.fetch(&q(), 10).await.unwrap();
    assert_eq!(
        again
            .iter()
            .map(|delivery| delivery.deliveries)
            .collect::<Vec<_>>(),
        [1, 1]
    );
}

#[tokio::test]
async fn a_long_reason_is_cut_between_characters() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(&dir).await;
    broker.publish(vec![outgoing("q", 1)]).await.unwrap();
    let taken = broker.fetch(&q(), 1).await.unwrap();
    let reason = format!("x{}", "ä".repeat(4 << 10));
    broker
        .settle(
            &taken[0],
            Settlement::DeadLetter {
                reason: reason.clone(),
            },
        )
        .await
        .unwrap();
    let kept = broker.dead_letters("q", 1).await.unwrap().remove(0).reason;
    assert_eq!(kept.len(), (4 << 10) - 1);
    assert!(reason.starts_with(&kept));
}

#[tokio::test]
async fn a_purge_removes_what_waits_and_leaves_what_runs() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(&dir).await;
    broker
        .publish((0..10_050).map(|_| outgoing("q", 1)).collect())
        .await
        .unwrap();
    let later = Some(after(broker.db.clock().now(), Duration::from_secs(60)));
    broker
        .publish(vec![
            Outgoing {
                due: later,
                ..outgoing("q", 1)
            },
            outgoing("other", 1),
        ])
        .await
        .unwrap();
    let running = broker.fetch(&q(), 1).await.unwrap();
    assert_eq!(broker.purge("q", Purge::Waiting).await.unwrap(), 10_050);
    assert_eq!(broker.purge("q", Purge::Waiting).await.unwrap(), 0);
    let counted = broker.queues().await.unwrap();
    let expected = [
        (
            "other",
            Depth {
                ready: 1,
                ..Depth::default()
            },
        ),
        (
            "q",
            Depth {
                leased: Some(1),
                ..Depth::default()
            },
        ),
    ];
    assert_eq!(
        counted,
        expected.map(|(name, depth)| (name.to_owned(), depth))
    );
    broker.settle(&running[0], Settlement::Ack).await.unwrap();
    let payloads: i64 = sqlx::query_scalar("SELECT count(*) FROM payloads")
        .fetch_one(&mut *broker.db.read().await.unwrap())
        .await
        .unwrap();
    assert_eq!(payloads, 1, "a message that is gone leaves no payload");
}

#[tokio::test]
async fn no_query_of_the_main_path_reads_a_whole_table() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(&dir).await;
    let mut conn = broker.db.read().await.unwrap();
    let mut queries: Vec<String> = [1, 3].into_iter().map(take::lease_sql).collect();
    queries.extend(
        take::QUERIES
            .into_iter()
            .chain(settle::QUERIES)
            .chain(wake::QUERIES)
            .map(str::to_owned),
    );
    for query in queries {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}")))
                .fetch_all(&mut *conn)
                .await
                .unwrap();
        for (_, _, _, step) in plan {
            let whole = ["SCAN messages", "SCAN m ", "SCAN m\n", "SCAN payloads"]
                .iter()
                .any(|scan| format!("{step}\n").contains(scan));
            assert!(!whole || step.contains("USING"), "{step}\n{query}");
        }
    }
}

#[test]
fn a_moment_is_rounded_up_so_that_nothing_is_early() {
    let exact = Timestamp::from_millisecond(1_500).unwrap();
    assert_eq!(milliseconds(exact), 1_500);
    assert_eq!(
        milliseconds(Timestamp::from_nanosecond(1_500_000_001).unwrap()),
        1_501
    );
    assert_eq!(
        milliseconds(Timestamp::from_nanosecond(1_500_999_999).unwrap()),
        1_501
    );
}
