//! Several processes on one store, and processes that go away.

use super::stage::BrokerStage;
use crate::stage::{PATIENCE, fetch, names, outgoing};
use celeriac::broker::{Broker, Delivery, Settlement};
use std::collections::HashSet;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) async fn a_waiting_fetch_wakes_when_another_process_publishes(stage: BrokerStage) {
    let mut waiting = Box::pin(stage.take(1));
    // Let it look and find nothing first.
    assert!(
        tokio::time::timeout(Duration::from_millis(50), &mut waiting)
            .await
            .is_err()
    );
    stage.other.publish(vec![outgoing("m")]).await.unwrap();
    let taken = tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    assert_eq!(names(&taken), ["m"]);
}

pub(crate) async fn a_fetch_without_messages_comes_back_empty(stage: BrokerStage) {
    let fetched = tokio::time::timeout(PATIENCE, stage.broker.fetch(&["q".to_owned()], 1))
        .await
        .unwrap();
    assert_eq!(fetched.unwrap(), []);
}

pub(crate) async fn a_fetch_from_no_queue_leaves_all_messages_to_others(stage: BrokerStage) {
    let messages = ["a", "b", "c"].map(outgoing);
    stage.broker.publish(messages.to_vec()).await.unwrap();
    // The server may have pushed the others to this process by then.
    assert_eq!(names(&stage.take(1).await), ["a"]);
    let none = tokio::time::timeout(PATIENCE, stage.broker.fetch(&[], 1));
    assert_eq!(none.await.unwrap().unwrap(), []);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let taken = fetch(&*stage.other, &["q"], 2).await;
        seen.extend(names(&taken).into_iter().map(str::to_owned));
    }
    // They are given back one by one: the other may take the second before the first.
    seen.sort();
    assert_eq!(seen, ["b", "c"]);
}

pub(crate) async fn a_cancelled_fetch_loses_nothing(stage: BrokerStage) {
    let mut queues = Vec::new();
    for i in 0..100_u64 {
        // One queue more now and then, which is declared by the message for it: to begin
        // to consume can be cancelled, too.
        if i % 10 == 0 {
            queues.push(format!("q{i}"));
        }
        let mut message = outgoing(&i.to_string());
        message.queue.clone_from(queues.last().unwrap());
        // Cancelled at another moment each time: before, while and after the take.
        stage.broker.publish(vec![message]).await.unwrap();
        let fetch = stage.broker.fetch(&queues, 1);
        let another = stage.other.publish(vec![outgoing("unread")]);
        let wait = Duration::from_micros(i % 10 * 100 + i * 10);
        let (fetched, published) = tokio::join!(tokio::time::timeout(wait, fetch), another);
        published.unwrap();
        for delivery in fetched.into_iter().flat_map(Result::unwrap) {
            assert_eq!(delivery.deliveries, 1);
            stage
                .broker
                .settle(&delivery, Settlement::Requeue)
                .await
                .unwrap();
        }
    }
    let queues: Vec<&str> = queues.iter().map(String::as_str).collect();
    let mut seen = HashSet::new();
    while seen.len() < 100 {
        for delivery in fetch(&*stage.broker, &queues, 100).await {
            // What was given back did not count; at worst the lease lapses.
            assert_eq!(delivery.deliveries, 1, "{delivery:?}");
            assert!(seen.insert(names(&[delivery])[0].to_owned()));
        }
    }
}

async fn publish_from(stage: &BrokerStage, start: usize) {
    let some = (start..start + 100)
        .map(|i| outgoing(&i.to_string()))
        .collect();
    stage.broker.publish(some).await.unwrap();
}

/// Publishes until each handle holds some, and returns how many and what they hold: a
/// broker that pushes may give one of them all there is at first.
async fn until_each_holds_some(stage: &BrokerStage) -> (usize, Vec<Delivery>, Vec<Delivery>) {
    let both = async {
        tokio::join!(
            fetch(&*stage.broker, &["q"], 16),
            fetch(&*stage.other, &["q"], 16),
        )
    };
    tokio::pin!(both);
    let mut published = 0;
    loop {
        publish_from(stage, published).await;
        published += 100;
        let pause = std::time::Duration::from_millis(100);
        if let Ok((mine, theirs)) = tokio::time::timeout(pause, &mut both).await {
            return (published, mine, theirs);
        }
    }
}

pub(crate) async fn two_processes_share_a_queue_without_double_delivery(stage: BrokerStage) {
    const MESSAGES: usize = 2_000;
    let (published, mine, theirs) = until_each_holds_some(&stage).await;
    let messages = published + MESSAGES;
    let publish_rest = async {
        for start in (published..messages).step_by(100) {
            publish_from(&stage, start).await;
        }
    };
    let done = std::sync::atomic::AtomicUsize::new(0);
    let consume = async |broker: &dyn Broker, mut taken: Vec<Delivery>| {
        let mut names_seen = Vec::new();
        loop {
            for name in names(&taken) {
                names_seen.push(name.to_owned());
            }
            futures::future::try_join_all(
                taken
                    .iter()
                    .map(|delivery| broker.settle(delivery, Settlement::Ack)),
            )
            .await
            .unwrap();
            let before = done.fetch_add(taken.len(), std::sync::atomic::Ordering::Relaxed);
            if before + taken.len() >= messages {
                return names_seen;
            }
            taken = broker.fetch(&["q".to_owned()], 16).await.unwrap();
        }
    };
    let ((), mut one, two) = tokio::time::timeout(PATIENCE, async {
        tokio::join!(
            publish_rest,
            consume(&*stage.broker, mine),
            consume(&*stage.other, theirs)
        )
    })
    .await
    .unwrap();
    assert!(
        !one.is_empty() && !two.is_empty(),
        "both took some: {} and {}",
        one.len(),
        two.len()
    );
    one.extend(two);
    assert_eq!(one.len(), messages);
    assert_eq!(
        one.into_iter().collect::<HashSet<_>>().len(),
        messages,
        "nothing twice"
    );
}

pub(crate) async fn what_was_published_and_settled_survives_a_crash(mut stage: BrokerStage) {
    for name in ["acked", "dead", "parked", "leased", "ready"] {
        stage.publish(outgoing(name)).await;
    }
    let taken = stage.take(4).await;
    let later = celeriac::clock::after(stage.clock.now(), HOUR);
    stage
        .broker
        .settle(&taken[0], Settlement::Ack)
        .await
        .unwrap();
    stage
        .broker
        .settle(
            &taken[1],
            Settlement::DeadLetter {
                reason: "r".to_owned(),
            },
        )
        .await
        .unwrap();
    stage
        .broker
        .settle(&taken[2], Settlement::Park(later))
        .await
        .unwrap();
    stage.crash().await;
    // A lease that ends with time outlives its process; a connection does not.
    let mut rest = if stage.broker.profile().lease.is_some() {
        stage.assert_holds("q", [1, 1, 1, 1]).await;
        assert_eq!(names(&stage.take(1).await), ["ready"]);
        stage.clock.advance(HOUR);
        stage.take(3).await
    } else {
        stage.take(2).await
    };
    rest.retain(|delivery| names(std::slice::from_ref(delivery)) == ["leased"]);
    assert_eq!(rest[0].deliveries, 2, "the crash cost a delivery");
}
