//! What only this driver does: waiting. The rest is in the conformance suite.

use super::super::{Reply, RunUsage};
use super::*;
use crate::clock::Clock;
use crate::task::State;

/// More than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn results(dir: &tempfile::TempDir) -> EmbeddedResults {
    EmbeddedResults::new(
        Database::open(dir.path(), Clock::manual(Timestamp::UNIX_EPOCH))
            .await
            .unwrap(),
    )
}

fn write(state: State) -> Write {
    Write {
        id: TaskId::parse("t").unwrap(),
        task: "m.t".to_owned(),
        fence: Fence {
            retries: 0,
            deliveries: 1,
        },
        state,
        result: None,
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

#[tokio::test]
async fn a_wait_ends_with_a_final_state_written_here_or_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (results(&dir).await, results(&dir).await);
    let id = TaskId::parse("t").unwrap();
    let (waited_here, waited_there, ()) =
        tokio::join!(here.wait(&id, PATIENCE), there.wait(&id, PATIENCE), async {
            there.write(write(State::Started)).await.unwrap();
            there
                .write(write(State::Custom("PROGRESS".to_owned())))
                .await
                .unwrap();
            there.write(write(State::Success)).await.unwrap();
        });
    for waited in [waited_here, waited_there, here.wait(&id, PATIENCE).await] {
        assert_eq!(waited.unwrap().unwrap().state, State::Success);
    }
}

#[tokio::test]
async fn a_wait_ends_without_a_record_when_its_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let results = results(&dir).await;
    results.write(write(State::Started)).await.unwrap();
    let waited = results
        .wait(&TaskId::parse("t").unwrap(), Duration::from_millis(1))
        .await
        .unwrap();
    assert_eq!(waited, None);
}

#[test]
fn every_round_names_a_task_once_and_keeps_the_order() {
    let ids: Vec<TaskId> = ["a", "b", "a", "a", "b"]
        .map(|id| TaskId::parse(id).unwrap())
        .to_vec();
    let rounds = rounds(&ids, |id| id);
    let places: Vec<Vec<usize>> = rounds
        .iter()
        .map(|round| round.iter().map(|(index, _)| *index).collect())
        .collect();
    assert_eq!(places, [vec![0, 1], vec![2, 4], vec![3]]);
}
