//! What only this driver does: names, files of others, and what a crash leaves behind.

use super::super::{Reply, RunUsage};
use super::*;
use std::fs;

const START: Timestamp = Timestamp::constant(1_790_000_000, 0);

fn write(id: &str) -> Write {
    Write {
        id: TaskId::parse(id).unwrap(),
        task: "m.t".to_owned(),
        fence: Fence {
            retries: 0,
            deliveries: 1,
        },
        state: State::Success,
        result: Some("5".into()),
        exception: None,
        due: None,
        worker: "w".to_owned(),
        usage: RunUsage::default(),
        log: None,
        keep: None,
        reply: Reply::default(),
        children: String::new(),
        extended: None,
    }
}

fn results(dir: &tempfile::TempDir) -> FileResults {
    FileResults::open(dir.path(), "", Clock::manual(START)).unwrap()
}

#[tokio::test]
async fn an_id_that_cannot_be_a_name_is_refused_and_writes_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let results = results(&dir);
    let long = "x".repeat(239);
    for id in ["../up", "a/b", "/", &long] {
        let error = results.write(write(id)).await.unwrap_err();
        assert!(matches!(error, ResultsError::Malformed { .. }), "{error}");
    }
    let longest = "x".repeat(238);
    for id in ["..", &longest] {
        assert_eq!(results.write(write(id)).await.unwrap(), Written::Stored);
    }
}

#[test]
fn a_folder_that_is_not_there_fails_the_start_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let error = FileResults::open(&dir.path().join("no"), "", Clock::default()).unwrap_err();
    assert!(
        matches!(error, ResultsError::Misconfigured { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("make the folder"), "{error}");
}

#[tokio::test]
async fn nonsense_in_the_place_of_a_document_is_none_and_a_huge_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let results = results(&dir);
    fs::write(dir.path().join("celery-task-meta-a"), b"\xff\xfe{").unwrap();
    fs::write(dir.path().join("celeriac-run-a"), "[".repeat(10_000)).unwrap();
    let id = TaskId::parse("a").unwrap();
    assert_eq!(results.get(&id).await.unwrap(), None);
    assert_eq!(results.write(write("a")).await.unwrap(), Written::Stored);
    let huge = fs::File::create(dir.path().join("celery-task-meta-b")).unwrap();
    huge.set_len((64 << 20) + 1).unwrap();
    let error = results.write(write("b")).await.unwrap_err();
    assert!(matches!(error, ResultsError::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn what_others_wrote_goes_when_it_is_as_old_as_ours_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let results = results(&dir).with_keep(Some(Duration::from_secs(60)));
    let written = std::time::SystemTime::from(START);
    for name in [
        "celery-task-meta-a",
        "celery-taskset-meta-g",
        ".celeriac-aside-x",
        "somebody-else",
    ] {
        let file = fs::File::create(dir.path().join(name)).unwrap();
        file.set_modified(written).unwrap();
    }
    assert_eq!(results.sweep().await.unwrap(), 0);
    results.clock.advance(Duration::from_secs(60));
    assert_eq!(results.sweep().await.unwrap(), 2);
    results.clock.advance(Duration::from_secs(3_600));
    assert_eq!(results.sweep().await.unwrap(), 0);
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["somebody-else"]);
}
