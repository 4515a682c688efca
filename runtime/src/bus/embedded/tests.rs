use super::rows::{KEPT, ROWS};
use super::*;
use crate::clock::Clock;
use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::Map;
use tempfile::TempDir;

async fn bus(clock: &Clock) -> (TempDir, EmbeddedBus) {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::open(folder.path(), clock.clone()).await.unwrap();
    (folder, EmbeddedBus::new(db))
}

fn message(text: &str) -> Message {
    broadcast::message(text.to_owned(), Map::new())
}

async fn count(bus: &EmbeddedBus) -> i64 {
    let mut conn = bus.db.read().await.unwrap();
    let count = sqlx::query_scalar("SELECT count(*) FROM broadcasts");
    count.fetch_one(&mut *conn).await.unwrap()
}

#[tokio::test]
async fn a_request_is_heard_and_its_answers_come_back() {
    let (_folder, bus) = bus(&Clock::System).await;
    let mut heard = bus.listen(&For::Requests("a@b".to_owned())).await.unwrap();
    let ask = Ask {
        request: message("who"),
        client: "client".to_owned(),
        patience: Duration::from_secs(30),
        enough: 1,
    };
    let answer = async {
        let request = heard.next().await.unwrap();
        assert_eq!(request.body, "who");
        for client in ["another", "client"] {
            let to = To::Client(client.to_owned());
            bus.send(&to, &message(client)).await.unwrap();
        }
    };
    let (answers, ()) = tokio::join!(bus.ask(ask), answer);
    let bodies: Vec<_> = answers
        .unwrap()
        .into_iter()
        .map(|answer| answer.body)
        .collect();
    assert_eq!(bodies, ["client"]);
}

#[tokio::test]
async fn events_are_written_only_while_somebody_listens() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let (_folder, bus) = bus(&clock).await;
    let to = To::Monitors("task.multi".to_owned());
    bus.send(&to, &message("1")).await.unwrap();
    assert_eq!(count(&bus).await, 0);
    let mut heard = bus.listen(&For::Events).await.unwrap();
    bus.send(&to, &message("2")).await.unwrap();
    assert_eq!(heard.next().await.unwrap().body, "2");
    clock.advance(Duration::from_millis(rows::LISTENS.unsigned_abs()));
    bus.send(&to, &message("3")).await.unwrap();
    assert_eq!(count(&bus).await, 1);
    assert!(heard.next().now_or_never().is_none());
}

#[tokio::test]
async fn rows_are_few_and_soon_gone() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let (_folder, bus) = bus(&clock).await;
    let sends = (0..ROWS + 50).map(|_| async {
        let sent = bus.send(&To::Workers, &message("x")).await;
        sent.unwrap();
    });
    futures::future::join_all(sends).await;
    assert_eq!(count(&bus).await, ROWS);
    clock.advance(Duration::from_millis(KEPT.unsigned_abs() + 1));
    bus.send(&To::Workers, &message("x")).await.unwrap();
    assert_eq!(count(&bus).await, 1);
}
