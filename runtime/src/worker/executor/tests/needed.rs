//! What a worker itself keeps against hostile messages and tasks is needed: what happens
//! without it.

use super::super::super::crew::Crew;
use super::stand::{Stand, call, message};
use crate::broker::{BODY_BYTES, Broker as _, BrokerError, Outgoing};
use crate::celery::Message;
use crate::defence::{Defence, without};
use crate::registry::Aim;
use crate::registry::tests::{component_that, us};
use crate::task::State;
use serde_json::json;
use std::time::Duration;

/// How a task failed.
async fn failure(stand: &Stand, id: &str) -> String {
    let record = stand.record(id).await.unwrap();
    assert_eq!(record.state, State::Failure, "{record:?}");
    record.exception.unwrap().class
}

/// Lets a message take its worker with it so often.
async fn take_along(stand: &Stand, times: u32) {
    for _ in 0..times {
        stand.take().await.unwrap();
        stand.lapse();
    }
}

#[tokio::test]
async fn without_a_most_of_deliveries_a_message_takes_one_worker_after_the_other() {
    let stand = Stand::new().await;
    stand.send(message("t", &json!(null))).await;
    take_along(&stand, 5).await;
    stand.attempt().await;
    assert_eq!(failure(&stand, "t").await, "WorkerLostError");
    assert_eq!(stand.depth().await, (0, 0, 1));

    let _away = without(&[Defence::Deliveries]);
    stand.send(message("u", &json!(null))).await;
    take_along(&stand, 50).await;
    stand.attempt().await;
    assert_eq!(stand.record("u").await.unwrap().state, State::Success);
}

#[tokio::test]
async fn without_a_count_a_message_that_nobody_knows_is_handed_on_without_end() {
    // Whoever is handed it knows as little: here it is the worker itself.
    let stand = Stand::with(|settings| settings.forward = Some("celery".to_owned())).await;
    let rounds = async |id: &str| {
        stand
            .send(call("m.gone", id, &json!([]), &json!(null)))
            .await;
        let mut rounds = 0;
        while rounds < 100
            && let Some(delivery) = stand.take().await
        {
            stand.attempt_of(delivery).await;
            rounds += 1;
        }
        rounds
    };
    assert_eq!(rounds("t").await, 6);
    assert_eq!(failure(&stand, "t").await, "NotRegistered");
    let _away = without(&[Defence::Forwarding]);
    assert_eq!(rounds("u").await, 100);
}

/// A message beyond the largest.
fn large(id: &str) -> Message {
    let text = "x".repeat(usize::try_from(BODY_BYTES).unwrap());
    call("m.seven", id, &json!([text]), &json!(null))
}

async fn publish(stand: &Stand, id: &str) -> Result<(), BrokerError> {
    let outgoing = Outgoing {
        queue: "celery".to_owned(),
        message: large(id),
        due: None,
        key: None,
    };
    stand.broker.publish(vec![outgoing]).await
}

#[tokio::test]
async fn without_a_largest_message_the_worker_and_then_the_task_have_one() {
    let stand = Stand::new().await;
    let refused = publish(&stand, "a").await;
    assert!(
        matches!(refused, Err(BrokerError::TooLarge { .. })),
        "{refused:?}"
    );

    // A broker that is not ours takes what it likes; then it is a dead letter.
    let _away = without(&[Defence::Published]);
    publish(&stand, "b").await.unwrap();
    stand.attempt().await;
    assert_eq!(failure(&stand, "b").await, "LimitExceeded");
    assert_eq!(stand.depth().await, (0, 0, 1));

    // And a worker that reads what it gets holds it to the limit on arguments.
    let _both = without(&[Defence::Fetched]);
    publish(&stand, "c").await.unwrap();
    stand.attempt().await;
    assert_eq!(failure(&stand, "c").await, "LimitExceeded");
    assert_eq!(stand.depth().await, (0, 0, 1));
}

/// A worker whose task computes without end, within a limit on CPU time.
async fn spinning(cpu: Duration) -> Stand {
    let spins = component_that("(loop (br 0))", &["seven"], "");
    Stand::of(spins, |settings| {
        settings.defaults.cpu = cpu;
        settings.ceiling.cpu = cpu;
    })
    .await
}

/// Kills the task while it runs, and returns how it ended.
async fn killed(stand: &Stand) -> String {
    let Crew { resolver, .. } = &stand.crew;
    stand.send(message("t", &json!(null))).await;
    let kill = async {
        while resolver.guarded() == 0 {
            tokio::task::yield_now().await;
        }
        let aim = Aim::Task(us(), "m.seven".parse().unwrap());
        stand.house().registry.kill(aim, "", false).await.unwrap();
        resolver.obey().await.unwrap();
    };
    tokio::join!(stand.attempt(), kill);
    failure(stand, "t").await
}

#[tokio::test]
async fn without_the_kill_switch_a_killed_task_goes_on_until_its_limit() {
    let stand = spinning(Duration::from_secs(600)).await;
    assert_eq!(Box::pin(killed(&stand)).await, "Killed");
    let stand = spinning(Duration::from_millis(300)).await;
    let _away = without(&[Defence::Kill]);
    assert_eq!(Box::pin(killed(&stand)).await, "TimeLimitExceeded");
}
