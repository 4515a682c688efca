//! The stores of a configuration, and waiting for a task.

use super::*;
use crate::config::RawConfig;
use crate::results::{Reply, RunUsage, Write, Written};
use crate::task::{Fence, State};
use bytes::Bytes;
use std::path::Path;
use tempfile::TempDir;

async fn app(more: &str) -> (App, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let more = more.replace("FOLDER", &folder.path().to_string_lossy());
    let mut raw = RawConfig::default();
    raw.read_text(
        Path::new("celeriac.toml"),
        &format!("data = {data:?}\n{more}"),
    )
    .unwrap();
    let (config, _) = Config::check(raw).unwrap();
    (App::open(config, Clock::System).await.unwrap(), folder)
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
async fn stores_in_one_folder_share_one_open_file() {
    let (one, _folder) = app("").await;
    assert_eq!(one.files.open_files(), 1);
    one.close().await;
    let (two, _folder) = app(
        "broker = \"sqlite://FOLDER/data/../data\"\nresult_backend = \"sqlite://FOLDER/other\"\n",
    )
    .await;
    assert_eq!(two.files.open_files(), 2);
    two.close().await;
}

#[tokio::test]
async fn waiting_tells_every_state_and_ends_with_the_last() {
    let (app, _folder) = app("").await;
    let id = TaskId::random();
    let (seen_sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let mut changed = |record: &Record| {
        seen_sender.send(record.state.clone()).unwrap();
    };
    let waiting = app.wait(&id, None, &mut changed);
    let writing = async {
        let progress = State::Custom("PROGRESS".to_owned());
        let stored = app
            .results()
            .write(write(&id, progress.clone(), "{\"current\":1}"))
            .await
            .unwrap();
        assert_eq!(stored, Written::Stored);
        assert_eq!(seen.recv().await, Some(progress));
        app.results()
            .write(write(&id, State::Success, "7"))
            .await
            .unwrap();
    };
    let (record, ()) = tokio::join!(waiting, writing);
    let record = record.unwrap().unwrap();
    assert_eq!(record.state, State::Success);
    assert_eq!(record.result.as_deref(), Some(b"7".as_slice()));
    app.close().await;
}

#[tokio::test]
async fn waiting_ends_at_its_deadline_with_what_is_known() {
    let (app, _folder) = app("").await;
    let id = TaskId::random();
    let now = Instant::now();
    assert_eq!(app.wait(&id, Some(now), &mut |_| ()).await.unwrap(), None);
    app.results()
        .write(write(&id, State::Started, "null"))
        .await
        .unwrap();
    let known = app.wait(&id, Some(now), &mut |_| ()).await.unwrap();
    assert_eq!(known.unwrap().state, State::Started);
    app.close().await;
}

#[test]
fn a_stop_is_told_only_where_something_runs() {
    let drain = Duration::from_secs(30);
    assert_eq!(stopping(Phase::Draining, 0, drain), None);
    assert_eq!(stopping(Phase::Cancelling, 0, drain), None);
    let words = stopping(Phase::Draining, 2, drain).unwrap();
    assert!(words.starts_with("draining for at most 30 s;"), "{words}");
    let words = stopping(Phase::Cancelling, 1, drain).unwrap();
    assert_eq!(words, "giving running tasks back");
}
