//! Leases: who holds a message, and what an old receipt is worth.

use super::stage::BrokerStage;
use crate::stage::{names, outgoing};
use celeriac::broker::{BrokerError, Settlement};
use std::time::Duration;

impl BrokerStage {
    /// Half of a lease, where leases end with time.
    fn half(&self) -> Duration {
        self.broker.profile().lease.unwrap_or_default() / 2
    }
}

pub(crate) async fn requeues_a_delivery_without_counting_it(stage: BrokerStage) {
    stage.publish(outgoing("m")).await;
    let first = stage.take(1).await;
    stage
        .broker
        .settle(&first[0], Settlement::Requeue)
        .await
        .unwrap();
    let second = stage.take(1).await;
    assert_eq!(second[0].deliveries, 1);
    assert_ne!(second[0].receipt, first[0].receipt);
    assert_eq!(second[0].message, first[0].message);
}

pub(crate) async fn returns_a_delivery_and_counts_it(stage: BrokerStage) {
    stage.publish(outgoing("m")).await;
    let first = stage.take(1).await;
    stage
        .broker
        .settle(&first[0], Settlement::Return)
        .await
        .unwrap();
    let second = stage.take(1).await;
    assert_eq!(second[0].deliveries, 2);
    assert_ne!(second[0].receipt, first[0].receipt);
}

pub(crate) async fn redelivers_after_lease_expiry_and_counts_it(stage: BrokerStage) {
    stage.publish(outgoing("m")).await;
    let first = stage.take(1).await;
    let moment = Duration::from_millis(1);
    stage
        .clock
        .advance((stage.half() * 2).saturating_sub(moment));
    stage.assert_holds("q", [0, 0, 1, 0]).await;
    stage.clock.advance(moment);
    stage.cut();
    let second = stage.take(1).await;
    assert_eq!((first[0].deliveries, second[0].deliveries), (1, 2));
    assert_eq!(second[0].message, first[0].message);
    // A requeue takes back its own count only.
    stage
        .broker
        .settle(&second[0], Settlement::Requeue)
        .await
        .unwrap();
    assert_eq!(stage.take(1).await[0].deliveries, 2);
}

pub(crate) async fn an_extended_lease_does_not_lapse(stage: BrokerStage) {
    stage.publish(outgoing("m")).await;
    let taken = stage.take(1).await;
    for _ in 0..10 {
        stage.clock.advance(stage.half());
        let lost = stage
            .broker
            .extend(&[taken[0].receipt.clone()])
            .await
            .unwrap();
        assert_eq!(lost, []);
    }
    stage.assert_nothing_ready().await;
    stage
        .broker
        .settle(&taken[0], Settlement::Ack)
        .await
        .unwrap();
}

pub(crate) async fn a_late_settle_loses_to_the_next_delivery(stage: BrokerStage) {
    let every = [
        Settlement::Ack,
        Settlement::Requeue,
        Settlement::Return,
        Settlement::Park(stage.clock.now()),
        Settlement::DeadLetter {
            reason: "late".to_owned(),
        },
    ];
    for settlement in every {
        stage.publish(outgoing("m")).await;
        let late = stage.take(1).await;
        stage.lapse();
        let next = stage.take(1).await;
        let lost = stage.broker.settle(&late[0], settlement.clone()).await;
        assert!(
            matches!(&lost, Err(BrokerError::LeaseLost { queue, receipt }) if queue == "q" && *receipt == late[0].receipt),
            "{settlement:?}: {lost:?}"
        );
        stage
            .broker
            .settle(&next[0], Settlement::Ack)
            .await
            .unwrap();
    }
    stage.assert_nothing_ready().await;
}

pub(crate) async fn a_receipt_settles_once(stage: BrokerStage) {
    for name in ["a", "b"] {
        stage.publish(outgoing(name)).await;
    }
    let taken = stage.take(2).await;
    let (one, two) = tokio::join!(
        stage.broker.settle(&taken[0], Settlement::Ack),
        stage.broker.settle(&taken[0], Settlement::Ack)
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    stage
        .broker
        .settle(&taken[1], Settlement::Requeue)
        .await
        .unwrap();
    assert!(matches!(
        stage.broker.settle(&taken[1], Settlement::Ack).await,
        Err(BrokerError::LeaseLost { .. })
    ));
    assert_eq!(names(&stage.take(1).await), ["b"]);
}

pub(crate) async fn extending_tells_which_leases_were_lost(stage: BrokerStage) {
    for name in ["kept", "acked", "taken over"] {
        stage.publish(outgoing(name)).await;
    }
    let taken = stage.take(3).await;
    stage
        .broker
        .settle(&taken[1], Settlement::Ack)
        .await
        .unwrap();
    stage.clock.advance(stage.half());
    assert_eq!(
        stage
            .broker
            .extend(&[taken[0].receipt.clone()])
            .await
            .unwrap(),
        []
    );
    stage.clock.advance(stage.half());
    stage.cut();
    let ends_with_time = stage.broker.profile().lease.is_some();
    let mut again = Vec::new();
    // An acknowledgement that was on its way when the connection was cut is lost.
    while !names(&again).contains(&"taken over") {
        again.extend(stage.take(1).await);
        assert!(!ends_with_time || names(&again) == ["taken over"]);
    }
    let receipts: Vec<_> = taken
        .iter()
        .map(|delivery| delivery.receipt.clone())
        .collect();
    let mut lost = stage.broker.extend(&receipts).await.unwrap();
    lost.sort();
    // A connection that was cut ends every lease, however often it was extended.
    let expected = if ends_with_time {
        &receipts[1..]
    } else {
        &receipts[..]
    };
    assert_eq!(lost, expected);
    assert_eq!(stage.broker.extend(&[]).await.unwrap(), []);
}
