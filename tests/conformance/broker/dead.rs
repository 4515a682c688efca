//! Dead letters, and counting.

use super::stage::BrokerStage;
use crate::stage::{START, fetch, message, names, outgoing};
use celeriac::broker::{DEAD_LETTERS, DeadLetter, Delivery, Outgoing, Settlement};
use celeriac::clock::after;
use std::time::Duration;

pub(crate) async fn goes_on_with_what_runs_in_its_place(stage: BrokerStage) {
    let ends = [
        (Settlement::Requeue, 1),
        (Settlement::Return, 2),
        (Settlement::Park(START), 1),
        (
            Settlement::DeadLetter {
                reason: "rejected".to_owned(),
            },
            0,
        ),
        (Settlement::Ack, 0),
    ];
    for (number, (end, deliveries)) in ends.into_iter().enumerate() {
        stage.publish(outgoing("first")).await;
        let taken = stage.take(1).await.remove(0);
        let (queue, next) = (format!("other-{number}"), message("next"));
        let queues = [queue.clone()];
        stage.broker.prepare(&queues).await.unwrap();
        let in_its_place = Delivery {
            queue: queue.clone(),
            message: next.clone(),
            replaced: true,
            ..taken
        };
        stage
            .broker
            .settle(&in_its_place, end.clone())
            .await
            .unwrap();
        if deliveries > 0 {
            let again = fetch(&*stage.broker, &[&queue], 1).await.remove(0);
            assert_eq!((&again.message, again.deliveries), (&next, deliveries));
            stage.broker.settle(&again, Settlement::Ack).await.unwrap();
        }
        let dead = stage.broker.dead_letters(&queue, 9).await.unwrap();
        let dead: Vec<_> = dead.into_iter().map(|dead| dead.message).collect();
        let is_dead = matches!(end, Settlement::DeadLetter { .. });
        assert_eq!(dead, if is_dead { vec![next] } else { Vec::new() });
        stage.assert_nothing_ready().await;
    }
}

pub(crate) async fn dead_letters_keep_the_original(stage: BrokerStage) {
    let mut bad = message("bad");
    bad.body = vec![0, 159, 146, 150].into();
    bad.properties.reply_to = Some("somebody".to_owned());
    let key = Some("k".to_owned());
    stage
        .publish(Outgoing {
            queue: "q".to_owned(),
            message: bad.clone(),
            due: None,
            key: key.clone(),
        })
        .await;
    stage.publish(outgoing("other")).await;
    let taken = stage.take(2).await;
    let reason = "the body is not JSON: ä".to_owned();
    stage.clock.advance(Duration::from_secs(1));
    stage
        .broker
        .settle(
            &taken[0],
            Settlement::DeadLetter {
                reason: reason.clone(),
            },
        )
        .await
        .unwrap();
    stage.clock.advance(Duration::from_secs(1));
    stage
        .broker
        .settle(
            &taken[1],
            Settlement::DeadLetter {
                reason: "too".to_owned(),
            },
        )
        .await
        .unwrap();
    let dead = stage.broker.dead_letters("q", 10).await.unwrap();
    assert_eq!(dead.len(), 2);
    assert_eq!(dead[0].reason, "too", "newest first");
    stage.assert_moment(dead[0].died_at, after(START, Duration::from_secs(2)));
    stage.assert_moment(dead[1].died_at, after(START, Duration::from_secs(1)));
    let died_at = dead[1].died_at;
    assert_eq!(
        dead[1],
        DeadLetter {
            queue: "q".to_owned(),
            message: bad,
            reason,
            died_at
        }
    );
    assert_eq!(stage.broker.dead_letters("q", 1).await.unwrap().len(), 1);
    assert_eq!(stage.broker.dead_letters("another", 10).await.unwrap(), []);
    // A dead message no longer lives, so its key is free.
    stage
        .publish(Outgoing {
            key,
            ..outgoing("again")
        })
        .await;
    assert_eq!(names(&stage.take(1).await), ["again"]);
}

pub(crate) async fn dead_letters_are_capped_and_the_oldest_go(stage: BrokerStage) {
    let cap = usize::try_from(DEAD_LETTERS).unwrap();
    let all = (0..cap + 5).map(|i| outgoing(&i.to_string())).collect();
    stage.broker.publish(all).await.unwrap();
    stage
        .publish(Outgoing {
            queue: "other".to_owned(),
            ..outgoing("kept")
        })
        .await;
    let kept = fetch(&*stage.broker, &["other"], 1).await;
    stage
        .broker
        .settle(
            &kept[0],
            Settlement::DeadLetter {
                reason: "r".to_owned(),
            },
        )
        .await
        .unwrap();
    let dead = || Settlement::DeadLetter {
        reason: "r".to_owned(),
    };
    let mut died = 0;
    while died < cap + 5 {
        let taken = fetch(&*stage.broker, &["q"], 1_000).await;
        // Those that are looked at below die one after the other.
        let places = (died..).zip(&taken);
        let is_looked_at = |place: usize| place < 10 || place >= cap;
        let (looked_at, others): (Vec<_>, Vec<_>) =
            places.partition(|(place, _)| is_looked_at(*place));
        let (first, last): (Vec<_>, Vec<_>) =
            looked_at.into_iter().partition(|(place, _)| *place < 10);
        for (_, delivery) in first {
            stage.broker.settle(delivery, dead()).await.unwrap();
        }
        let settled = others
            .into_iter()
            .map(|(_, delivery)| stage.broker.settle(delivery, dead()));
        futures::future::try_join_all(settled).await.unwrap();
        for (_, delivery) in last {
            stage.broker.settle(delivery, dead()).await.unwrap();
        }
        died += taken.len();
    }
    stage.assert_holds("q", [0, 0, 0, DEAD_LETTERS]).await;
    let kept = stage.broker.dead_letters("q", cap + 5).await.unwrap();
    assert_eq!(kept[0].message, message(&(cap + 4).to_string()));
    assert_eq!(kept[cap - 1].message, message("5"));
    assert_eq!(
        stage.broker.dead_letters("other", 10).await.unwrap().len(),
        1,
        "the cap is one queue's"
    );
}

pub(crate) async fn counts_what_a_queue_holds(stage: BrokerStage) {
    let later = Some(after(stage.clock.now(), Duration::from_secs(3_600)));
    for name in ["a", "b", "c", "d", "e"] {
        stage.publish(outgoing(name)).await;
    }
    stage
        .publish(Outgoing {
            due: later,
            ..outgoing("f")
        })
        .await;
    let taken = stage.take(3).await;
    stage
        .broker
        .settle(
            &taken[0],
            Settlement::DeadLetter {
                reason: "r".to_owned(),
            },
        )
        .await
        .unwrap();
    stage.assert_holds("q", [2, 1, 2, 1]).await;
    stage.assert_holds("nothing", [0, 0, 0, 0]).await;
}
