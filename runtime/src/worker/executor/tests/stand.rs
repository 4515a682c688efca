//! A worker without a loop: messages are taken and attempted one by one, over stores
//! that fail where a test wants them to.

mod troubled;

pub(super) use troubled::Trouble;

use super::super::Hand;
use crate::broker::embedded::EmbeddedBroker;
use crate::broker::{Broker as _, Delivery, Outgoing};
use crate::celery::{Message, Properties};
use crate::clock::Clock;
use crate::events::Events;
use crate::policy::grants::Granted;
use crate::registry::tests::{House, component};
use crate::results::embedded::EmbeddedResults;
use crate::results::{Record, Results as _, Write, Written};
use crate::shutdown::Shutdown;
use crate::task::{Accept, Fence, RateScope, Share, State, TaskId, TenantName};
use crate::telemetry::Metrics;
use crate::worker::crew::{Crew, Floor};
use crate::worker::meter::Meter;
use crate::worker::rates::Rates;
use crate::worker::revocations::{Clerk, Revocations};
use crate::worker::steering::{Pool, Steering};
use crate::worker::{Ground, Parts, Retries, Settings};
use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use troubled::{Post, Store};

/// The queue of every message here.
const QUEUE: &str = "celery";
/// Longer than a lease.
const LAPSE: Duration = Duration::from_secs(31);

/// A worker and what it works with.
pub(super) struct Stand {
    pub(super) crew: Crew,
    pub(super) results: Arc<Store>,
    pub(super) broker: Arc<Post>,
    clock: Clock,
    house: House,
}

impl Stand {
    /// A worker that knows the tasks `m.seven` and `m.once`, which return 7; the second
    /// runs at most once.
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::of(component(&["seven", "once"], ""), change).await
    }

    /// A worker whose module `m` is that component.
    pub(super) async fn of(component: Bytes, change: impl FnOnce(&mut Settings)) -> Self {
        let house = House::open().await;
        house.push("m", &component).await.unwrap();
        let clock = house.clock.clone();
        let kept = Arc::new(EmbeddedResults::new(house.database.clone()));
        let results = Arc::new(Store::new(kept.clone()));
        let broker = Arc::new(Post::new(EmbeddedBroker::new(house.database.clone())));
        let mut settings = settings();
        change(&mut settings);
        let rates = Rates::new(
            BTreeMap::new(),
            RateScope::Worker,
            kept.clone(),
            clock.clone(),
            Duration::ZERO,
        );
        let clerk = Clerk {
            orders: kept,
            results: results.clone(),
            clock: clock.clone(),
            name: "w@host".to_owned(),
            keep: Duration::from_secs(60),
            result_keep: None,
        };
        let revocations = Revocations::new(clerk);
        let steering = Steering::new(
            vec![QUEUE.to_owned()],
            Arc::new(Pool::new(1, 1)),
            revocations,
            rates,
            Meter::new(clock.clone()),
        );
        let parts = Parts {
            broker: broker.clone(),
            results: results.clone(),
            shelves: Arc::new(EmbeddedResults::new(house.database.clone())),
            resolver: house.registry.resolver("w@host").await.unwrap(),
            clock: clock.clone(),
            metrics: Arc::new(Metrics::new()),
            tally: Arc::default(),
            steering: Arc::new(steering),
            events: Events::new("w@host", TimeZone::UTC, clock.clone(), false),
            egress: celeriac_sandbox::Egress::default(),
            share: Share::default(),
            settings,
        };
        let ground = Ground {
            guest_threads: 1,
            isolate: false,
            most: 1,
            egress: celeriac_sandbox::Egress::default(),
        };
        let floor = Arc::new(Floor::new(&ground).unwrap());
        Self {
            crew: Crew::new(parts, floor, Shutdown::new()),
            results,
            broker,
            clock,
            house,
        }
    }

    /// Sends a message and attempts it.
    pub(super) async fn run(&self, message: Message) {
        self.send(message).await;
        self.attempt().await;
    }

    /// Sends a message as a client does.
    pub(super) async fn send(&self, message: Message) {
        let queue = QUEUE.to_owned();
        let outgoing = Outgoing {
            queue,
            message,
            due: None,
            key: None,
        };
        self.broker.kept.publish(vec![outgoing]).await.unwrap();
    }

    /// Attempts the next message.
    pub(super) async fn attempt(&self) {
        let delivery = self.take().await.expect("a message waits");
        self.attempt_of(delivery).await;
    }

    /// Attempts what waits until nothing does.
    pub(super) async fn attempt_all(&self) {
        while let Some(delivery) = self.take().await {
            self.attempt_of(delivery).await;
        }
    }

    /// Attempts a message that was taken, and what runs ahead in its place.
    pub(super) async fn attempt_of(&self, delivery: Delivery) {
        let mut hand = Some(Hand::take(&self.crew, delivery));
        while let Some(next) = hand {
            (_, hand) = super::super::attempt(&self.crew, next).await;
        }
    }

    /// Takes the next message, if there is one.
    pub(super) async fn take(&self) -> Option<Delivery> {
        if self.broker.kept.depth(QUEUE).await.unwrap().ready == 0 {
            return None;
        }
        let taken = self.broker.kept.fetch(&[QUEUE.to_owned()], 1).await;
        taken.unwrap().pop()
    }

    /// Waits for a message and takes it.
    pub(super) async fn next(&self) -> Delivery {
        loop {
            let taken = self.broker.kept.fetch(&[QUEUE.to_owned()], 1).await;
            if let Some(delivery) = taken.unwrap().pop() {
                return delivery;
            }
        }
    }

    /// Lets the leases of a dead worker lapse.
    pub(super) fn lapse(&self) {
        self.clock.advance(LAPSE);
    }

    /// Lets so much time pass.
    pub(super) fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// The registry, and the folder of all files.
    pub(super) fn house(&self) -> &House {
        &self.house
    }

    /// The moment it is.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What is stored of a task.
    pub(super) async fn record(&self, id: &str) -> Option<Record> {
        self.results.kept.get(&task(id)).await.unwrap()
    }

    /// How many messages wait, are held, and are dead.
    pub(super) async fn depth(&self) -> (u64, u64, u64) {
        let depth = self.broker.kept.depth(QUEUE).await.unwrap();
        (depth.ready, depth.leased.unwrap_or_default(), depth.dead)
    }

    /// How many messages wait in another queue.
    pub(super) async fn ready(&self, queue: &str) -> u64 {
        self.broker.kept.depth(queue).await.unwrap().ready
    }

    /// Stores a result as a worker that died did.
    pub(super) async fn store(&self, write: Write) {
        let written = self.results.kept.write(write).await.unwrap();
        assert_eq!(written, Written::Stored);
    }
}

/// A message for `m.seven` with that id, and with what follows it.
pub(super) fn message(id: &str, embed: &Value) -> Message {
    call("m.seven", id, &json!([]), embed)
}

pub(super) fn call(task: &str, id: &str, args: &Value, embed: &Value) -> Message {
    let headers = json!({"lang": "py", "id": id, "task": task, "retries": 0, "root_id": id});
    Message {
        body: json!([args, {}, embed]).to_string().into(),
        content_type: "application/json".to_owned(),
        content_encoding: "utf-8".to_owned(),
        headers: headers.as_object().unwrap().clone(),
        properties: Properties::default(),
    }
}

/// The same message with another header.
pub(super) fn with(mut message: Message, header: &str, value: Value) -> Message {
    message.headers.insert(header.to_owned(), value);
    message
}

/// A signature of a task with that id.
pub(super) fn signature(id: &str) -> Value {
    json!({"task": "m.seven", "args": [], "kwargs": {}, "options": {"task_id": id},
        "subtask_type": null, "immutable": true})
}

pub(super) fn task(id: &str) -> TaskId {
    TaskId::parse(id).unwrap()
}

/// A result of a run.
pub(super) fn write(id: &str, fence: (u32, u32), state: State) -> Write {
    Write {
        id: task(id),
        task: "m.seven".to_owned(),
        fence: Fence {
            retries: fence.0,
            deliveries: fence.1,
        },
        result: (state == State::Success).then(|| b"8".as_slice().into()),
        state,
        exception: None,
        due: None,
        worker: "dead@host".to_owned(),
        usage: crate::results::RunUsage::default(),
        log: None,
        keep: None,
        reply: crate::results::Reply::default(),
        children: String::new(),
        extended: None,
    }
}

fn settings() -> Settings {
    Settings {
        name: "w@host".to_owned(),
        tenant: TenantName::default(),
        queues: vec![QUEUE.to_owned()],
        drain: Duration::from_secs(1),
        forward: None,
        timezone: TimeZone::UTC,
        accept: Accept::default(),
        max_deliveries: 5,
        run_ahead: 0,
        repair_time: Duration::from_secs(600),
        max_retries: Retries {
            default: 3,
            cap: 100,
        },
        retry_delay: Duration::from_secs(1),
        result_keep: None,
        track_started: false,
        result_extended: false,
        defaults: celeriac_sandbox::Limits::default(),
        ceiling: celeriac_sandbox::Limits::default(),
        aliases: BTreeMap::new(),
        routes: BTreeMap::new(),
        grants: Granted::new(),
    }
}
