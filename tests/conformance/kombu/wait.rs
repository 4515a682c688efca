//! Waiting without asking: what wakes a worker, and what an idle one costs.

use super::{Shared, envelope};
use crate::stage::{PATIENCE, START, fetch, names, outgoing};
use celeriac::broker::redis::{LEASE, RedisBroker};
use celeriac::broker::{Broker, Delivery, IDLE, Outgoing};
use celeriac::clock::after;
use celeriac::resp::RedisServer;
use std::time::{Duration, Instant};

/// Time to find nothing and begin to wait.
const SETTLED: Duration = Duration::from_millis(300);
/// Most commands of one idle fetch of five queues, those within scripts included;
/// asking 25 times a second would take thousands.
const COMMANDS: u64 = 120;

/// Fetches from queues `q` and `r`; once it waits, something happens. Only the
/// waking itself brings the message in time: looking again comes after [`IDLE`].
async fn woken(shared: &Shared, happens: impl AsyncFnOnce()) -> Vec<Delivery> {
    let queues = ["q".to_owned(), "r".to_owned()];
    let mut waiting = shared.broker.fetch(&queues, 10);
    assert!(tokio::time::timeout(SETTLED, &mut waiting).await.is_err());
    let start = Instant::now();
    happens().await;
    let taken = tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap()
        .unwrap();
    assert!(start.elapsed() < IDLE - SETTLED, "{:?}", start.elapsed());
    taken
}

/// The calls of all commands so far.
fn calls(shared: &Shared) -> u64 {
    let stats = shared.cli(&["INFO", "commandstats"]);
    stats
        .lines()
        .filter_map(|line| line.split_once("calls=")?.1.split(',').next())
        .map(|calls| calls.parse::<u64>().unwrap())
        .sum()
}

#[tokio::test]
async fn a_python_client_wakes_a_worker_whatever_the_queue_and_the_priority() {
    let shared = Shared::new();
    for list in ["q", "r", "q\u{6}\u{16}3", "r\u{6}\u{16}9"] {
        let text = envelope("m", "t", "q", 0).to_string();
        let taken = woken(&shared, async || {
            assert_eq!(shared.cli(&["LPUSH", list, &text]), "1");
        })
        .await;
        assert_eq!(names(&taken), ["m"], "{list:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_parked_meanwhile_wakes_when_it_is_due() {
    let shared = Shared::new();
    let minute = Duration::from_secs(60);
    let later = Outgoing {
        due: Some(after(START, minute)),
        ..outgoing("later")
    };
    let taken = woken(&shared, async || {
        shared.broker.publish(vec![later]).await.unwrap();
        shared.clock.advance(minute);
    })
    .await;
    assert_eq!(names(&taken), ["later"]);
}

#[tokio::test]
async fn a_lease_that_lapses_wakes() {
    let shared = Shared::new();
    shared.broker.publish(vec![outgoing("m")]).await.unwrap();
    fetch(&shared.broker, &["q"], 1).await;
    let taken = woken(&shared, async || shared.clock.advance(LEASE)).await;
    assert_eq!((names(&taken), taken[0].deliveries), (vec!["m"], 2));
}

#[tokio::test]
async fn an_idle_worker_asks_seldom() {
    let shared = Shared::new();
    let queues = ["a", "b", "c", "d", "e"].map(str::to_owned);
    // Connections are opened and scripts loaded once.
    let first = shared.broker.fetch(&queues, 10);
    assert!(tokio::time::timeout(SETTLED, first).await.is_err());
    let before = calls(&shared);
    assert_eq!(shared.broker.fetch(&queues, 10).await.unwrap(), []);
    let asked = calls(&shared) - before;
    assert!(asked < COMMANDS, "{asked}");
}

#[tokio::test]
async fn waiting_survives_its_connection() {
    let shared = Shared::new();
    let text = envelope("m", "t", "q", 0).to_string();
    let taken = woken(&shared, async || {
        let clients = shared.cli(&["CLIENT", "LIST"]);
        let told = clients.lines().find(|client| client.contains("flags=t"));
        let id = told.and_then(|client| client.strip_prefix("id=")?.split(' ').next());
        assert_eq!(shared.cli(&["CLIENT", "KILL", "ID", id.unwrap()]), "1");
        assert_eq!(shared.cli(&["LPUSH", "q", &text]), "1");
    })
    .await;
    assert_eq!(names(&taken), ["m"]);
}

#[tokio::test]
async fn who_may_not_be_told_asks_instead() {
    let shared = Shared::new();
    let user = [
        "ACL",
        "SETUSER",
        "shop",
        "on",
        ">pw",
        "~*",
        "+@all",
        "-client|tracking",
    ];
    assert_eq!(shared.cli(&user), "OK");
    let url = shared.redis.url(0).replace("redis://", "redis://shop:pw@");
    let server = RedisServer::new(&url).unwrap();
    let shared = Shared {
        broker: RedisBroker::new(server, shared.clock.clone()),
        ..shared
    };
    let text = envelope("m", "t", "q", 0).to_string();
    let taken = woken(&shared, async || {
        assert_eq!(shared.cli(&["LPUSH", "q", &text]), "1");
    })
    .await;
    assert_eq!(names(&taken), ["m"]);
}
