//! Messages that are not due.

use crate::stage::{BrokerStage, PATIENCE, START, names, outgoing};
use celeriac::broker::{Outgoing, Settlement};
use celeriac::clock::after;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn holds_a_message_until_it_is_due(stage: BrokerStage) {
    let due = after(START, MINUTE);
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
    let depth = stage.broker.depth("q").await.unwrap();
    assert_eq!((depth.ready, depth.parked), (1, 1));
    let now = stage.take(10).await;
    assert_eq!(names(&now), ["now"]);
    stage.broker.settle(&now[0], Settlement::Ack).await.unwrap();
    stage.clock.advance(MINUTE - Duration::from_millis(1));
    stage.assert_nothing_ready().await;
    stage.clock.advance(Duration::from_millis(1));
    let taken = stage.take(10).await;
    assert_eq!(names(&taken), ["later"]);
    assert_eq!((taken[0].ready_at, taken[0].deliveries), (due, 1));
}

pub(crate) async fn a_waiting_fetch_wakes_when_a_message_becomes_due(stage: BrokerStage) {
    stage
        .publish(Outgoing {
            due: Some(after(START, MINUTE)),
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
    stage.clock.advance(MINUTE);
    let taken = tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    assert_eq!(names(&taken), ["later"]);
}

pub(crate) async fn parks_a_delivery_without_counting_it(stage: BrokerStage) {
    stage.publish(outgoing("m")).await;
    let due = after(START, MINUTE);
    let first = stage.take(1).await;
    stage
        .broker
        .settle(&first[0], Settlement::Park(due))
        .await
        .unwrap();
    let depth = stage.broker.depth("q").await.unwrap();
    assert_eq!((depth.ready, depth.parked, depth.leased), (0, 1, 0));
    stage.clock.advance(MINUTE);
    let second = stage.take(1).await;
    assert_eq!(second[0].message, first[0].message);
    assert_eq!((second[0].deliveries, second[0].ready_at), (1, due));
}
