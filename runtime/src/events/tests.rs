use super::*;
use crate::bus::{Ask, BusError, For, Heard};
use crate::celery::Message;
use async_trait::async_trait;
use std::sync::Mutex;

/// Remembers what was sent; refuses all while it is away.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    away: AtomicBool,
    messages: Mutex<Vec<(String, Value)>>,
}

impl Sent {
    /// The types of the events of tasks that were sent, each with the task's id.
    pub(crate) fn of_tasks(&self) -> Vec<(String, String)> {
        let messages = self.messages.lock().unwrap();
        let lists = messages.iter().filter_map(|(_, body)| body.as_array());
        let text = |event: &Value, member: &str| event[member].as_str().unwrap().to_owned();
        let told = lists.flatten();
        told.map(|event| (text(event, "type"), text(event, "uuid")))
            .collect()
    }

    fn keys(&self) -> Vec<String> {
        let messages = self.messages.lock().unwrap();
        messages.iter().map(|(key, _)| key.clone()).collect()
    }

    fn last(&self) -> Value {
        self.messages.lock().unwrap().last().unwrap().1.clone()
    }
}

#[async_trait]
impl Bus for Sent {
    async fn send(&self, to: &To, message: &Message) -> Result<(), BusError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(BusError::Unavailable {
                system: "test",
                reason: "away".to_owned(),
                source: None,
            });
        }
        let To::Monitors(key) = to else {
            panic!("{to:?}");
        };
        let body = serde_json::from_slice(&message.body).unwrap();
        self.messages.lock().unwrap().push((key.clone(), body));
        Ok(())
    }

    async fn listen(&self, _what: &For) -> Result<Heard, BusError> {
        panic!("nobody listens");
    }

    async fn ask(&self, _ask: Ask) -> Result<Vec<Message>, BusError> {
        panic!("nobody asks");
    }
}

fn events(zone: TimeZone, enabled: bool) -> Events {
    let clock = Clock::manual("2026-11-21T10:00:00Z".parse().unwrap());
    Events::new("a@b", zone, clock, enabled)
}

/// Lets the paused clock go on.
async fn pass(span: Duration) {
    let over = tokio::time::timeout(span, std::future::pending::<()>()).await;
    assert!(over.is_err());
}

fn started(id: &str) -> Event {
    Event::new("task-started", json!({"uuid": id}))
}

#[tokio::test(start_paused = true)]
async fn a_worker_says_that_it_came_is_there_and_went() {
    let events = events(TimeZone::UTC, false);
    let (sent, stop) = (Sent::default(), CancellationToken::new());
    events.task(|| started("nobody wants to know"));
    let pulse = || Pulse {
        active: 1,
        processed: 2,
    };
    let minute = async {
        pass(HEARTBEAT * 2 + HEARTBEAT / 2).await;
        stop.cancel();
    };
    tokio::join!(events.run(&sent, pulse, stop.clone()), minute);
    assert_eq!(
        sent.keys(),
        [
            "worker.online",
            "worker.heartbeat",
            "worker.heartbeat",
            "worker.offline"
        ]
    );
    let last = sent.last();
    assert_eq!(last["type"], "worker-offline");
    assert_eq!(
        (&last["active"], &last["processed"]),
        (&json!(1), &json!(2))
    );
    assert_eq!((&last["freq"], &last["clock"]), (&json!(2.0), &json!(4)));
    assert_eq!(last["timestamp"], 1_795_255_200.0);
}

#[tokio::test(start_paused = true)]
async fn what_a_bus_did_not_take_is_told_when_it_is_back() {
    let events = events(TimeZone::fixed(jiff::tz::offset(2)), true);
    let (sent, stop) = (Sent::default(), CancellationToken::new());
    sent.away.store(true, Ordering::Relaxed);
    for id in ["1", "2"] {
        events.task(|| started(id));
    }
    let later = async {
        pass(HEARTBEAT * 5).await;
        sent.away.store(false, Ordering::Relaxed);
        pass(HEARTBEAT * 2).await;
        stop.cancel();
    };
    tokio::join!(events.run(&sent, Pulse::default, stop.clone()), later);
    let messages = sent.messages.lock().unwrap();
    let (_, told) = messages.iter().find(|(key, _)| key == MULTI).unwrap();
    assert_eq!(
        (&told[0]["uuid"], &told[1]["uuid"]),
        (&json!("1"), &json!("2"))
    );
    assert_eq!(told[0]["utcoffset"], -2.0, "hours west");
}
