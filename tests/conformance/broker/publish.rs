//! Publishing and the order of delivery.

use super::stage::BrokerStage;
use crate::stage::{START, fetch, message, names, outgoing};
use celeriac::broker::{BODY_BYTES, BrokerError, Outgoing, Settlement};
use celeriac::celery::Properties;

pub(crate) async fn delivers_what_was_published(stage: BrokerStage) {
    let mut sent = message("m");
    sent.properties = Properties {
        correlation_id: Some("m".to_owned()),
        reply_to: Some("reply-here".to_owned()),
        priority: Some(7),
        expiration: Some("60000".to_owned()),
    };
    sent.body = (0..=255).collect::<Vec<u8>>().into();
    sent.content_encoding = "binary".to_owned();
    stage
        .publish(Outgoing {
            queue: "q".to_owned(),
            message: sent.clone(),
            due: None,
            key: None,
        })
        .await;
    let taken = stage.take(1).await;
    assert_eq!(taken[0].message, sent);
    assert_eq!((taken[0].queue.as_str(), taken[0].deliveries), ("q", 1));
    stage.assert_moment(taken[0].ready_at, START);
    stage
        .broker
        .settle(&taken[0], Settlement::Ack)
        .await
        .unwrap();
    stage.assert_holds("q", [0, 0, 0, 0]).await;
}

pub(crate) async fn delivers_high_priority_first_and_then_the_oldest(stage: BrokerStage) {
    let prioritized = |name: &str, priority: u8| {
        let mut outgoing = outgoing(name);
        outgoing.message.properties.priority = Some(priority);
        outgoing
    };
    let first = vec![
        prioritized("a0", 0),
        prioritized("b5", 5),
        prioritized("c9", 9),
    ];
    stage.broker.publish(first).await.unwrap();
    stage
        .broker
        .publish(vec![prioritized("d0", 0), prioritized("e9", 9)])
        .await
        .unwrap();
    assert_eq!(names(&stage.take(2).await), ["c9", "e9"]);
    assert_eq!(names(&stage.take(3).await), ["b5", "a0", "d0"]);
}

pub(crate) async fn delivers_at_most_what_was_asked_for(stage: BrokerStage) {
    let many = (0..300).map(|i| outgoing(&format!("{i:03}"))).collect();
    stage.broker.publish(many).await.unwrap();
    let mut rest = 300;
    for most in [1, 64, 1_000, 1_000, 1_000] {
        while rest > 0 {
            let taken = fetch(&*stage.broker, &["q"], most).await.len();
            assert!(taken <= most, "{taken} of {most}");
            rest -= taken;
            if most < 1_000 {
                break;
            }
        }
    }
    assert_eq!(rest, 0);
    stage.assert_nothing_ready().await;
}

pub(crate) async fn keeps_queues_apart_and_fetches_from_several(stage: BrokerStage) {
    for queue in ["a", "b", "c"] {
        stage
            .publish(Outgoing {
                queue: queue.to_owned(),
                ..outgoing(queue)
            })
            .await;
    }
    assert_eq!(names(&fetch(&*stage.broker, &["b"], 10).await), ["b"]);
    let mut both = Vec::new();
    while both.len() < 2 {
        both.extend(fetch(&*stage.broker, &["a", "b", "c"], 10).await);
    }
    both.sort_by(|one, two| one.queue.cmp(&two.queue));
    assert_eq!(names(&both), ["a", "c"]);
    assert_eq!(both[1].queue, "c");
}

pub(crate) async fn refuses_a_body_over_the_limit(stage: BrokerStage) {
    let sized = |bytes: u64| {
        let mut outgoing = outgoing("large");
        outgoing.message.body = vec![b'x'; usize::try_from(bytes).unwrap()].into();
        outgoing
    };
    let refused = stage.broker.publish(vec![sized(BODY_BYTES + 1)]).await;
    assert!(
        matches!(refused, Err(BrokerError::TooLarge { bytes, allowed }) if bytes == BODY_BYTES + 1 && allowed == BODY_BYTES),
        "{refused:?}"
    );
    stage.publish(sized(BODY_BYTES)).await;
    let taken = stage.take(1).await;
    assert_eq!(taken[0].message, sized(BODY_BYTES).message);
}

pub(crate) async fn publishes_a_key_once_while_its_message_lives(stage: BrokerStage) {
    let keyed = |name: &str| Outgoing {
        key: Some("k".to_owned()),
        ..outgoing(name)
    };
    // Beside others, in one call, in another call, and from another process.
    let together = vec![
        outgoing("before"),
        keyed("first"),
        keyed("again"),
        outgoing("after"),
    ];
    stage.broker.publish(together).await.unwrap();
    stage.publish(keyed("again")).await;
    stage.other.publish(vec![keyed("again")]).await.unwrap();
    if !stage.remembers_keys {
        let taken = names(&stage.take(6).await).join(" ");
        assert_eq!(
            taken, "before first again after again again",
            "the record tells them apart"
        );
        return;
    }
    let taken = stage.take(3).await;
    assert_eq!(names(&taken), ["before", "first", "after"]);
    stage.publish(keyed("while it runs")).await;
    stage.assert_nothing_ready().await;
    for delivery in &taken {
        stage
            .broker
            .settle(delivery, Settlement::Ack)
            .await
            .unwrap();
    }
    stage.publish(keyed("later")).await;
    assert_eq!(names(&stage.take(1).await), ["later"]);
}
