//! Messages that are not due.

use super::stage::BrokerStage;
use crate::stage::{PATIENCE, START, names, outgoing};
use celeriac::broker::{Outgoing, Settlement};
use celeriac::clock::after;
use std::time::Duration;

pub(crate) async fn holds_a_message_until_it_is_due(stage: BrokerStage) {
    let due = after(stage.clock.now(), stage.delay);
    stage
        .publish(Outgoing {
            due: Some(due),
            ..outgoing("later")
        })
        .await;
    stage
        .publish(Outgoing {
            due: Some(START),
            ..outgoing("now")
        })
        .await;
    stage.assert_holds("q", [1, 1, 0, 0]).await;
    let now = stage.take(1).await;
    assert_eq!(names(&now), ["now"]);
    stage.broker.settle(&now[0], Settlement::Ack).await.unwrap();
    if stage.moves_time {
        stage.clock.advance(stage.delay - Duration::from_millis(1));
        stage.assert_nothing_ready().await;
        stage.clock.advance(Duration::from_millis(1));
    }
    let taken = stage.take(1).await;
    assert!(stage.clock.now() >= due, "not before it is due");
    assert_eq!(names(&taken), ["later"]);
    assert_eq!(taken[0].deliveries, 1);
    stage.assert_moment(taken[0].ready_at, due);
}

pub(crate) async fn a_waiting_fetch_wakes_when_a_message_becomes_due(stage: BrokerStage) {
    stage
        .publish(Outgoing {
            due: Some(after(stage.clock.now(), stage.delay)),
            ..outgoing("later")
        })
        .await;
    let mut waiting = Box::pin(stage.take(1));
    // Let it look and find nothing before the time comes.
    assert!(
        tokio::time::timeout(Duration::from_millis(50), &mut waiting)
            .await
            .is_err()
    );
    stage.clock.advance(stage.delay);
    let taken = tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    assert_eq!(names(&taken), ["later"]);
}

pub(crate) async fn parks_a_delivery_without_counting_it(stage: BrokerStage) {
    stage.publish(outgoing("m")).await;
    let due = after(stage.clock.now(), stage.delay);
    let first = stage.take(1).await;
    stage
        .broker
        .settle(&first[0], Settlement::Park(due))
        .await
        .unwrap();
    stage.assert_holds("q", [0, 1, 0, 0]).await;
    stage.clock.advance(stage.delay);
    let second = stage.take(1).await;
    assert_eq!(second[0].message, first[0].message);
    assert_eq!(second[0].deliveries, 1);
    stage.assert_moment(second[0].ready_at, due);
}

pub(crate) async fn wakes_what_is_due_soon_and_nothing_else(stage: BrokerStage) {
    for name in ["soon", "later"] {
        stage.publish(outgoing(name)).await;
    }
    let now = stage.clock.now();
    for delivery in stage.take(2).await {
        let seconds = match names(std::slice::from_ref(&delivery))[0] {
            "soon" => 60,
            _ => 61,
        };
        let due = after(now, Duration::from_secs(seconds));
        let parked = Settlement::Park(due);
        stage.broker.settle(&delivery, parked).await.unwrap();
    }
    let until = after(now, Duration::from_secs(60));
    let wakes = stage.broker.profile().wakes;
    let mut waiting = Box::pin(stage.take(1));
    // Let it look and find nothing before it is woken.
    assert!(
        tokio::time::timeout(Duration::from_millis(50), &mut waiting)
            .await
            .is_err()
    );
    let woken = stage.other.wake("q", until).await.unwrap();
    assert_eq!(woken, u64::from(wakes));
    assert_eq!(stage.other.wake("q", until).await.unwrap(), 0);
    if wakes {
        let taken = tokio::time::timeout(PATIENCE, waiting).await.unwrap();
        assert_eq!(names(&taken), ["soon"]);
        assert_eq!(taken[0].deliveries, 1);
        stage.assert_holds("q", [0, 1, 1, 0]).await;
    }
}
