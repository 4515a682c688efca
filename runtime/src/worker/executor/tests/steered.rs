//! What a worker may be told from outside has a limit, and says it.

use super::stand::{Stand, call, message, with};
use crate::celery::request::TimeLimit;
use crate::task::State;
use crate::worker::steering::TIME_LIMITS;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn one_task_more_with_time_limits_of_its_own_is_refused() {
    let stand = Stand::new().await;
    let steering = &stand.crew.steering;
    let limit = TimeLimit {
        hard: Some(Duration::from_secs(1)),
        soft: None,
    };
    for number in 0..TIME_LIMITS {
        steering.time_limit(&format!("m.t{number}"), limit).unwrap();
    }
    let refused = steering
        .time_limit("m.more", limit)
        .unwrap_err()
        .to_string();
    assert_eq!(
        refused,
        "1000 tasks have time limits of their own, the most that can (fixed); restart the worker to forget them"
    );
    // What is known may change.
    steering.time_limit("m.t0", limit).unwrap();
}

#[tokio::test]
async fn one_task_more_whose_rate_is_changed_is_refused() {
    let stand = Stand::new().await;
    let rates = &stand.crew.steering.rates;
    for number in 0..10_000 {
        rates.rate_limit(&format!("m.t{number}"), None).unwrap();
    }
    let refused = rates.rate_limit("m.more", None).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the rates of 10000 tasks were changed already, the most that can be (fixed); write this one into [tasks]"
    );
    rates.rate_limit("m.t0", None).unwrap();
}

#[tokio::test]
async fn the_names_of_a_thousand_tasks_are_counted_and_no_more() {
    let stand = Stand::new().await;
    stand.send(message("t", &json!(null))).await;
    let delivery = stand.take().await.unwrap();
    let roll = &stand.crew.steering.roll;
    for number in 0..1_010 {
        let named = call(&format!("m.t{number}"), "t", &json!([]), &json!(null));
        let request = crate::celery::Request::decode(&named).unwrap();
        let seat = roll.seat(&delivery, &request);
        seat.starts(stand.now(), false);
    }
    assert_eq!(roll.total().len(), 1_000);
    assert_eq!(roll.pulse(), (0, 1_010));
}

#[tokio::test]
async fn a_name_of_more_than_512_bytes_is_no_task() {
    let stand = Stand::new().await;
    for (bytes, words) in [(512, "task"), (513, "the header task is")] {
        let id = bytes.to_string();
        let name = Value::from(format!("m.{}", "x".repeat(bytes - 2)));
        stand
            .run(with(message(&id, &json!(null)), "task", name))
            .await;
        let record = stand.record(&id).await.unwrap();
        assert_eq!(record.state, State::Failure);
        let exception = record.exception.unwrap();
        assert!(exception.message.contains(words), "{}", exception.message);
        let is_unread = exception.class == "DecodeError";
        assert_eq!(is_unread, bytes > 512, "{}", exception.class);
    }
}
