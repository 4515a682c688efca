//! Where one tenant's messages and results are, seen by somebody who fills it and waits.

use celeriac::broker::embedded::EmbeddedBroker;
use celeriac::broker::redis::{RedisBroker, Settings};
use celeriac::broker::{Broker, Outgoing};
use celeriac::celery::TaskCall;
use celeriac::clock::Clock;
use celeriac::database::Database;
use celeriac::resp::RedisServer;
use celeriac::results::Results;
use celeriac::results::embedded::EmbeddedResults;
use celeriac::results::redis::RedisResults;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::Redis;

/// How long a probe behind a flood is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Messages of one publish.
const AT_ONCE: usize = 1_000;
/// Between two looks for a result.
const LOOK: Duration = Duration::from_millis(1);
/// Between two looks at a queue that is worked off.
const DEPTH_LOOK: Duration = Duration::from_millis(20);
/// The queue of everybody.
const QUEUE: &str = "celery";

/// A task and its arguments, JSON.
pub(crate) type Call = (&'static str, &'static str);

/// The place of one tenant's messages and results.
pub(crate) struct Place {
    database: Option<Database>,
    broker: Arc<dyn Broker>,
    results: Arc<dyn Results>,
}

impl Place {
    /// The embedded file in a folder.
    pub(crate) async fn embedded(folder: &Path) -> Self {
        let database = Database::open(folder, Clock::System)
            .await
            .expect("the database opens");
        Self {
            broker: Arc::new(EmbeddedBroker::new(database.clone())),
            results: Arc::new(EmbeddedResults::new(database.clone())),
            database: Some(database),
        }
    }

    /// The keys behind a prefix: messages in the first database, results in the second.
    pub(crate) fn redis(redis: &Redis, prefix: &str) -> Self {
        let server = |database| RedisServer::new(&redis.url(database)).expect("an address");
        let settings = Settings {
            prefix: prefix.to_owned(),
            ..Settings::default()
        };
        let results = RedisResults::new(server(1), Clock::System);
        Self {
            database: None,
            broker: Arc::new(RedisBroker::with(server(0), Clock::System, settings)),
            results: Arc::new(results.with_prefix(prefix)),
        }
    }

    pub(crate) async fn close(self) {
        if let Some(database) = self.database {
            database.close().await;
        }
    }

    /// Sends a task so many times.
    pub(crate) async fn post(&self, (task, args): Call, count: usize) {
        let all: Vec<Outgoing> = (0..count)
            .map(|_| outgoing(TaskCall::new(task, args, "{}").expect("the call is good")))
            .collect();
        for part in all.chunks(AT_ONCE) {
            let posted = self.broker.publish(part.to_vec()).await;
            posted.expect("the broker takes messages");
        }
    }

    /// Sends a task once, and returns how long it took to be over; `None` where that was
    /// longer than [`PATIENCE`].
    pub(crate) async fn probe(&self, (task, args): Call) -> Option<Duration> {
        let call = TaskCall::new(task, args, "{}").expect("the call is good");
        let id = call.id.clone();
        let began = Instant::now();
        let posted = self.broker.publish(vec![outgoing(call)]).await;
        posted.expect("the broker takes messages");
        while began.elapsed() < PATIENCE {
            let record = self.results.get(&id).await.expect("the results answer");
            if record.is_some_and(|record| record.is_last()) {
                return Some(began.elapsed());
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }

    /// Returns how many messages wait or run.
    pub(crate) async fn left(&self) -> u64 {
        let depth = self.broker.depth(QUEUE).await;
        let depth = depth.expect("the broker answers");
        depth.ready + depth.leased.unwrap_or_default()
    }

    /// Waits until no more messages than these are left; returns how many are, and when.
    pub(crate) async fn down_to(&self, most: u64) -> (u64, Instant) {
        let began = Instant::now();
        loop {
            let (left, now) = (self.left().await, Instant::now());
            if left <= most {
                return (left, now);
            }
            assert!(began.elapsed() < PATIENCE, "{left} messages are left");
            tokio::time::sleep(DEPTH_LOOK).await;
        }
    }
}

fn outgoing(call: TaskCall) -> Outgoing {
    Outgoing {
        queue: QUEUE.to_owned(),
        message: call.message("bench"),
        due: None,
        key: None,
    }
}
