//! Calling, waiting and revoking on the embedded stores; real workers answer in the
//! end-to-end tests.

use super::*;
use crate::results::orders::Target;
use crate::results::{Reply, RunUsage, Write, Written};
use crate::task::Fence;
use bytes::Bytes;
use std::time::Duration;
use tempfile::TempDir;

async fn client() -> (Client, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().display());
    (Client::connect(&url, &url).await.unwrap(), folder)
}

fn call(task: &str) -> TaskCall {
    TaskCall::new(task, "[1]", "{}").unwrap()
}

fn write(id: &TaskId, state: State, result: &'static str) -> Write {
    Write {
        id: id.clone(),
        task: "m.t".to_owned(),
        fence: Fence {
            retries: 0,
            deliveries: 1,
        },
        state,
        result: Some(Bytes::from_static(result.as_bytes())),
        exception: None,
        due: None,
        worker: "celeriac@box".to_owned(),
        usage: RunUsage::default(),
        log: None,
        keep: None,
        reply: Reply::default(),
        children: String::new(),
        extended: None,
    }
}

#[tokio::test]
async fn waiting_tells_every_state_and_ends_with_the_last() {
    let (client, _folder) = client().await;
    let id = TaskId::random();
    let (seen_sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let mut changed = |record: &Record| {
        seen_sender.send(record.state.clone()).unwrap();
    };
    let waiting = client.wait(&id, None, &mut changed);
    let writing = async {
        let progress = State::Custom("PROGRESS".to_owned());
        let stored = client
            .0
            .results
            .write(write(&id, progress.clone(), "{\"current\":1}"))
            .await
            .unwrap();
        assert_eq!(stored, Written::Stored);
        assert_eq!(seen.recv().await, Some(progress));
        client
            .0
            .results
            .write(write(&id, State::Success, "7"))
            .await
            .unwrap();
    };
    let (record, ()) = tokio::join!(waiting, writing);
    let record = record.unwrap().unwrap();
    assert_eq!(record.state, State::Success);
    assert_eq!(record.result.as_deref(), Some(b"7".as_slice()));
    client.close().await;
}

#[tokio::test]
async fn waiting_ends_at_its_deadline_with_what_is_known() {
    let (client, _folder) = client().await;
    let id = TaskId::random();
    let now = Instant::now();
    assert_eq!(
        client.wait(&id, Some(now), &mut |_| ()).await.unwrap(),
        None
    );
    client
        .0
        .results
        .write(write(&id, State::Started, "null"))
        .await
        .unwrap();
    let known = client.wait(&id, Some(now), &mut |_| ()).await.unwrap();
    assert_eq!(known.unwrap().state, State::Started);
    client.close().await;
}

#[tokio::test]
async fn a_result_keeps_its_digits_and_a_failure_is_its_exception() {
    let (client, _folder) = client().await;
    let good = client.call(call("m.t")).await.unwrap();
    let now = Some(Duration::ZERO);
    let pending = good.get(now).await.unwrap_err();
    assert_eq!(
        pending.to_string(),
        "the task is not over yet (PENDING); it goes on"
    );
    let digits = "[1.10, 123456789012345678901234567890]";
    let results = &client.0.results;
    let stored = results
        .write(write(good.id(), State::Success, digits))
        .await;
    assert_eq!(stored.unwrap(), Written::Stored);
    assert_eq!(good.get(None).await.unwrap().as_str(), digits);
    for state in [State::Failure, State::Revoked] {
        let bad = client.handle(TaskId::random());
        let raised = Exception::new("shop.errors", "SoldOut", "no more");
        let failed = Write {
            result: None,
            exception: Some(raised.clone()),
            ..write(bad.id(), state, "null")
        };
        results.write(failed).await.unwrap();
        let failed = bad.get(None).await.unwrap_err();
        assert_eq!(failed.exception(), Some(&raised));
    }
    client.close().await;
}

#[tokio::test]
async fn the_calls_of_a_group_bear_its_id_and_their_places() {
    let (client, _folder) = client().await;
    let group = client.group(vec![call("a.b"), call("c.d")]).await.unwrap();
    let queues = ["celery".to_owned()];
    let mut taken = client.0.broker.fetch(&queues, 2).await.unwrap();
    taken.sort_by_key(|delivery| delivery.message.headers["group_index"].as_u64());
    assert_eq!((taken.len(), group.members().len()), (2, 2));
    for (member, delivery) in group.members().iter().zip(&taken) {
        assert_eq!(delivery.message.headers["id"], member.id().as_str());
        assert_eq!(delivery.message.headers["group"], group.id().as_str());
    }
    for (place, member) in group.members().iter().enumerate().rev() {
        let text = ["\"first\"", "\"second\""][place];
        let written = write(member.id(), State::Success, text);
        client.0.results.write(written).await.unwrap();
    }
    let results = group.get(None).await.unwrap();
    let results: Vec<_> = results.iter().map(Json::as_str).collect();
    assert_eq!(results, ["\"first\"", "\"second\""]);
    let many = vec![call("a.b"); CALLS + 1];
    let refused = client.group(many).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "10001 calls are too many for one group; at most 10000 are sent at once (fixed)"
    );
    client.close().await;
}

#[tokio::test]
async fn what_is_revoked_is_written_down_for_workers_that_come_later() {
    let (client, _folder) = client().await;
    let handle = client.call(call("m.t")).await.unwrap();
    handle.revoke(true).await.unwrap();
    let orders = &client.0.clerk.as_ref().unwrap().orders;
    let (revoked, _) = orders.revoked(None).await.unwrap();
    let target = Target::Task(handle.id().clone());
    assert_eq!((&revoked[0].target, revoked[0].terminate), (&target, true));
    client.close().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_reason() {
    let (client, _folder) = client().await;
    let refused = client.call_in("", call("m.t")).await.unwrap_err();
    assert!(matches!(refused, ClientError::Queue { .. }), "{refused}");
    client.close().await;
    let refused = Client::connect("kafka://h", "disabled://").await;
    assert!(matches!(refused, Err(ClientError::Config(_))));
    let nothing = Client::connect("redis://127.0.0.1:1/0", "disabled://").await;
    let handle = nothing.unwrap().handle(TaskId::random());
    let failed = handle.get(None).await;
    assert!(matches!(failed, Err(CallFailed::NoResults)), "{failed:?}");
}
