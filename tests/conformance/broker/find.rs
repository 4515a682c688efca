//! Looking for a message, and emptying a queue.

use super::stage::BrokerStage;
use crate::stage::{message, names, outgoing};
use celeriac::broker::{Found, Looked, Outgoing, Place, Purge, Reach, Settlement};
use celeriac::clock::after;
use std::time::Duration;

impl BrokerStage {
    async fn look(&self, id: &str) -> Looked {
        self.other.find(id, &["q".to_owned()]).await.unwrap()
    }

    /// Asserts where a message is, where the broker can tell.
    async fn assert_found(&self, id: &str, place: Place) {
        let Looked { found, reach } = self.look(id).await;
        match reach {
            Reach::All(queues) | Reach::Part { queues, .. } => {
                assert!(queues.contains(&"q".to_owned()), "{queues:?}");
            }
            Reach::DeadLetters(_) | Reach::Nothing => {
                assert!(found.is_none(), "{found:?}");
                return;
            }
        }
        let queue = "q".to_owned();
        let message = message(id);
        assert_eq!(
            found,
            Some(Found {
                queue,
                place,
                message
            }),
            "{id}"
        );
    }

    async fn die(&self, name: &str) {
        self.publish(outgoing(name)).await;
        let taken = self.take(1).await;
        assert_eq!(names(&taken), [name]);
        let reason = "worn out".to_owned();
        let dead = Settlement::DeadLetter { reason };
        self.broker.settle(&taken[0], dead).await.unwrap();
    }
}

pub(crate) async fn finds_a_message_wherever_it_is(stage: BrokerStage) {
    assert_eq!(stage.look("first").await.found, None);
    let until = after(stage.clock.now(), Duration::from_secs(3_600));
    stage.die("dead").await;
    for name in ["first", "second", "third"] {
        stage.publish(outgoing(name)).await;
    }
    let mut urgent = outgoing("urgent");
    urgent.message.properties.priority = Some(9);
    stage.publish(urgent).await;
    let due = Some(until);
    stage
        .publish(Outgoing {
            due,
            ..outgoing("later")
        })
        .await;
    // A message without a priority is among the first in Redis, and else the last.
    let ahead = stage.look("third").await.found.map(|found| found.place);
    let expected = match stage.broker.profile().zero_first {
        true => Place::Ready { ahead: 2 },
        false => Place::Ready { ahead: 3 },
    };
    let is_shown = ahead.is_some();
    assert!(ahead.is_none_or(|place| place == expected));
    stage.assert_found("later", Place::Parked { until }).await;
    let taken = stage.take(2).await;
    let until = stage.broker.profile().lease;
    let until = until.map(|lease| after(stage.clock.now(), lease));
    let held = names(&taken)
        .into_iter()
        .find(|name| *name != "urgent")
        .unwrap();
    stage.assert_found(held, Place::Leased { until }).await;
    if is_shown {
        // What nobody kept alive is taken next.
        stage.lapse();
        stage.assert_found(held, Place::Ready { ahead: 0 }).await;
    }
    let dead = stage.look("dead").await.found.unwrap();
    assert_eq!(dead.message, message("dead"));
    let Place::Dead { reason, died_at } = dead.place else {
        panic!("{:?}", dead.place);
    };
    assert_eq!(reason, "worn out");
    stage.assert_moment(died_at, crate::stage::START);
    assert_eq!(stage.look("eco").await.found, None, "no part of an id");
}

pub(crate) async fn a_purge_removes_what_waits_and_leaves_what_runs(stage: BrokerStage) {
    assert_eq!(stage.broker.purge("q", Purge::Waiting).await.unwrap(), 0);
    stage.die("dead").await;
    stage.publish(outgoing("runs")).await;
    let running = stage.take(1).await;
    let all: Vec<_> = (0..1_500)
        .map(|number: u32| {
            let mut outgoing = outgoing(&number.to_string());
            outgoing.message.properties.priority = u8::try_from(number % 10).ok();
            outgoing
        })
        .collect();
    let queue = "other".to_owned();
    // Nothing is pushed to whoever does not fetch from it.
    let elsewhere = all.into_iter().map(|outgoing| Outgoing {
        queue: queue.clone(),
        ..outgoing
    });
    stage.broker.publish(elsewhere.collect()).await.unwrap();
    let later = Outgoing {
        queue: queue.clone(),
        due: Some(after(stage.clock.now(), Duration::from_secs(3_600))),
        ..outgoing("later")
    };
    stage.publish(later).await;
    let parked = stage.broker.depth(&queue).await.unwrap().parked;
    let purged = stage.other.purge(&queue, Purge::Waiting).await.unwrap();
    assert_eq!(purged, 1_500 + parked.unwrap_or(0));
    stage.assert_holds(&queue, [0, 0, 0, 0]).await;
    stage.assert_holds("q", [0, 0, 1, 1]).await;
    stage
        .broker
        .settle(&running[0], Settlement::Ack)
        .await
        .unwrap();
    assert_eq!(stage.other.purge("q", Purge::Waiting).await.unwrap(), 0);
    assert_eq!(stage.broker.dead_letters("q", 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_purge_removes_dead_letters_alone_where_that_is_wanted(stage: BrokerStage) {
    assert_eq!(stage.broker.purge("q", Purge::Dead).await.unwrap(), 0);
    stage.die("a").await;
    stage.die("b").await;
    stage.publish(outgoing("waits")).await;
    assert_eq!(stage.other.purge("q", Purge::Dead).await.unwrap(), 2);
    assert_eq!(stage.broker.dead_letters("q", 10).await.unwrap(), []);
    assert_eq!(names(&stage.take(1).await), ["waits"]);
}

pub(crate) async fn the_key_of_a_purged_message_is_free_again(stage: BrokerStage) {
    let later = after(stage.clock.now(), Duration::from_secs(3_600));
    for due in [None, Some(later)] {
        let keyed = || Outgoing {
            due,
            key: Some("k".to_owned()),
            ..outgoing("m")
        };
        stage.publish(keyed()).await;
        stage.broker.purge("q", Purge::Waiting).await.unwrap();
        stage.publish(keyed()).await;
        let depth = stage.broker.depth("q").await.unwrap();
        let [ready, parked] = match due {
            None => [1, 0],
            Some(_) => [0, 1],
        };
        assert_eq!(depth.ready, ready);
        assert!(depth.parked.is_none_or(|known| known == parked));
        stage.broker.purge("q", Purge::Waiting).await.unwrap();
    }
}
