//! What attempts take, in the record of each and in the totals of their task.

use super::stand::{Stand, call, message, signature, with};
use crate::plane::UsageSums;
use crate::task::{Day, Quota, Share, State};
use serde_json::json;

/// The CPU time of a task, microseconds, as the metrics have it.
fn total(stand: &Stand, task: &str) -> f64 {
    let page = stand.crew.metrics.encode();
    let name = format!("celeriac_cpu_seconds_total{{task=\"{task}\"}} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&name));
    1e6 * value.map_or(0.0, |value| value.parse::<f64>().unwrap())
}

#[tokio::test]
async fn the_totals_of_a_task_are_the_sum_of_its_runs() {
    let stand = Stand::new().await;
    let mut sum = 0;
    let ids: Vec<String> = (0..5).map(|number| number.to_string()).collect();
    for id in &ids {
        stand.run(message(id, &json!(null))).await;
        let usage = stand.record(id).await.unwrap().usage;
        assert!(usage.cpu_us > 0 && usage.memory_peak_bytes > 0, "{usage:?}");
        // `[]` and `{}`, and `7`.
        assert_eq!(
            (usage.bytes_in, usage.bytes_out, usage.host_calls),
            (4, 1, 0)
        );
        assert!(usage.uses.is_none());
        sum += usage.cpu_us;
    }
    // A record has whole microseconds.
    let total = total(&stand, "m.seven");
    let runs = u32::try_from(ids.len()).unwrap();
    let apart = total - f64::from(u32::try_from(sum).unwrap());
    assert!(
        (-0.01..f64::from(runs)).contains(&apart),
        "{total} and {sum}"
    );
}

#[tokio::test]
async fn the_calls_of_a_batch_are_one_run() {
    let stand = Stand::new().await;
    let mut map = call("celery.map", "map", &json!([]), &json!(null));
    let kwargs = json!({"task": signature("x"), "it": [1, 2, 3]});
    map.body = json!([[], kwargs, null]).to_string().into();
    stand.run(map).await;
    let usage = stand.record("map").await.unwrap().usage;
    // Three times `[1]` and `{}`, and `7`.
    assert_eq!((usage.bytes_in, usage.bytes_out), (15, 3));
    let apart = total(&stand, "celery.map") - f64::from(u32::try_from(usage.cpu_us).unwrap());
    assert!((-0.01..1.0).contains(&apart), "{apart}");
}

#[tokio::test]
async fn what_is_refused_costs_nothing() {
    let stand = Stand::new().await;
    stand
        .run(call("m.nothing", "t", &json!([]), &json!(null)))
        .await;
    assert!(
        !stand
            .crew
            .metrics
            .encode()
            .contains("celeriac_cpu_seconds_total{")
    );
    let usage = stand.record("t").await.unwrap().usage;
    assert_eq!(usage, crate::results::RunUsage::default());
}

/// Sums numbers of the records of tasks, as a bill has them.
async fn recorded(stand: &Stand, ids: &[String]) -> UsageSums {
    let mut all = UsageSums::default();
    for id in ids {
        let record = stand.record(id).await.unwrap();
        let usage = record.usage;
        all.add(&UsageSums {
            attempts: 1,
            succeeded: u64::from(record.state == State::Success),
            failed: u64::from(record.state == State::Failure),
            cpu_us: usage.cpu_us,
            run_us: usage.run_us,
            bytes_in: usage.bytes_in,
            bytes_out: usage.bytes_out,
            host_calls: usage.host_calls,
            ..UsageSums::default()
        });
    }
    all
}

#[tokio::test]
async fn what_a_tenant_used_is_the_sum_of_its_records() {
    let stand = Stand::new().await;
    let ids: Vec<String> = (0..5).map(|number| number.to_string()).collect();
    for id in &ids {
        stand.run(message(id, &json!(null))).await;
    }
    let sum = recorded(&stand, &ids).await;
    assert_eq!((sum.attempts, sum.succeeded), (5, 5));
    let mut map = call("celery.map", "map", &json!([]), &json!(null));
    let kwargs = json!({"task": signature("x"), "it": [1, 2, 3]});
    map.body = json!([[], kwargs, null]).to_string().into();
    stand.run(map).await;
    let map = recorded(&stand, &["map".to_owned()]).await;
    let batch = stand.crew.tally.next_batch().unwrap();
    let [row] = batch.rows.as_slice() else {
        panic!("{batch:?}");
    };
    // The calls of a batch are those of their task.
    assert_eq!((row.module.as_str(), row.task.as_str()), ("m", "seven"));
    assert!(row.tenant.is_default());
    assert_eq!(row.day, Day::of(stand.crew.clock.now()));
    let mut expected = sum;
    expected.add(&map);
    assert_eq!(row.used, expected);
}

#[tokio::test]
async fn what_is_refused_is_in_no_bill() {
    let stand = Stand::new().await;
    let unknown = call("m.nothing", "t", &json!([]), &json!(null));
    stand.run(unknown).await;
    stand
        .run(call("celery.map", "map", &json!([]), &json!(null)))
        .await;
    assert_eq!(stand.crew.tally.next_batch(), None);
}

/// The bytes of results that were counted since the last look.
fn stored(stand: &Stand) -> u64 {
    let told = stand.crew.steering.meter.tell();
    told.iter().map(|(_, bytes)| bytes).sum()
}

#[tokio::test]
async fn what_is_stored_of_a_task_is_counted_once_and_holds_those_that_follow() {
    let stand = Stand::new().await;
    let quota = Quota {
        result_bytes: Some(40),
        ..Quota::default()
    };
    stand.crew.take_share(&Share {
        quota,
        ..Share::default()
    });
    stand.run(message("first", &json!(null))).await;
    let one = stored(&stand);
    // An id, a name and `7`, at least.
    assert!((13..30).contains(&one), "{one}");
    stand.run(message("first", &json!(null))).await;
    assert_eq!(stored(&stand), 0);
    let ignored = with(message("none", &json!(null)), "ignore_result", json!(true));
    stand.run(ignored).await;
    assert_eq!(stored(&stand), 0);
    let meter = &stand.crew.steering.meter;
    assert_eq!(meter.hold(), None);
    // What is refused is kept as well, with the words that say why.
    stand
        .run(call("m.nothing", "t", &json!([]), &json!(null)))
        .await;
    assert!(stored(&stand) > 30);
    assert_eq!(meter.hold().unwrap().quota, "result_bytes");
}
