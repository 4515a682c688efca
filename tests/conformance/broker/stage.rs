//! A fresh broker for one test: two handles on an empty store.
//!
//! What differs between the drivers is data here, so that a behaviour says what it
//! expects of each.

use crate::stage::{START, database, fetch};
use celeriac::amqp::{AmqpServer, TlsFiles};
use celeriac::broker::embedded::EmbeddedBroker;
use celeriac::broker::rabbitmq::RabbitBroker;
use celeriac::broker::redis::RedisBroker;
use celeriac::broker::{Broker, Delivery, Outgoing};
use celeriac::clock::Clock;
use celeriac::resp::RedisServer;
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use support::{Proxy, Rabbit, Redis};

/// How many messages one handle may hold.
const PREFETCH: usize = 2_000;

/// What a test of a broker needs from its driver.
pub(crate) struct BrokerStage {
    /// Moves the time of every handle, where it can be moved.
    pub(crate) clock: Clock,
    /// Two handles on one store, as two processes have.
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) other: Arc<dyn Broker>,
    /// Whether time passes only when a test says so.
    pub(crate) moves_time: bool,
    /// How long a delay is in a test.
    pub(crate) delay: Duration,
    /// Whether a second message with the key of a living one is refused.
    pub(crate) remembers_keys: bool,
    place: Place,
}

/// Keeps the store, and knows how to open it again.
enum Place {
    Embedded(tempfile::TempDir),
    Redis(Redis),
    /// With the way of the first handle, and of the second.
    RabbitMq(Rabbit, [Proxy; 2]),
}

impl BrokerStage {
    pub(crate) async fn embedded() -> Self {
        let place = Place::Embedded(tempfile::tempdir().unwrap());
        Self::new(place, Clock::manual(START)).await
    }

    pub(crate) async fn redis() -> Self {
        Self::new(Place::Redis(Redis::start()), Clock::manual(START)).await
    }

    /// Time is the server's own there. Queue `q` was declared by somebody else, with
    /// priorities, without which a queue of RabbitMQ has none.
    pub(crate) async fn rabbitmq() -> Self {
        let rabbit = Rabbit::start();
        rabbit.declare("q", &json!({"x-max-priority": 9}));
        let proxies = [Proxy::to(rabbit.port()), Proxy::to(rabbit.port())];
        let stage = Self::new(Place::RabbitMq(rabbit, proxies), Clock::System).await;
        Self {
            moves_time: false,
            // Longer than what a busy machine needs for the steps before.
            delay: Duration::from_secs(2),
            remembers_keys: false,
            ..stage
        }
    }

    async fn new(place: Place, clock: Clock) -> Self {
        Self {
            broker: place.open(&clock, 0).await,
            other: place.open(&clock, 1).await,
            moves_time: true,
            delay: Duration::from_secs(60),
            remembers_keys: true,
            clock,
            place,
        }
    }

    /// Throws both handles away without closing them, as a killed process does,
    /// and opens the store again.
    pub(crate) async fn crash(&mut self) {
        self.cut();
        self.broker = self.place.open(&self.clock, 0).await;
        self.other = Arc::clone(&self.broker);
    }

    /// Lets every lease of the first handle end.
    pub(crate) fn lapse(&self) {
        self.clock
            .advance(self.broker.profile().lease.unwrap_or_default());
        self.cut();
    }

    /// Ends the connections of the first handle, where they are its leases.
    pub(crate) fn cut(&self) {
        if let Place::RabbitMq(_, [first, _]) = &self.place {
            first.cut();
        }
    }

    /// Publishes one message.
    pub(crate) async fn publish(&self, outgoing: Outgoing) {
        self.broker.publish(vec![outgoing]).await.unwrap();
    }

    /// Takes so many messages of queue `q`, in their order.
    pub(crate) async fn take(&self, count: usize) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.extend(fetch(&*self.broker, &["q"], count - taken.len()).await);
        }
        taken
    }

    /// Asserts that queue `q` has nothing to take now.
    pub(crate) async fn assert_nothing_ready(&self) {
        let depth = self.broker.depth("q").await.unwrap();
        assert_eq!(depth.ready, 0, "nothing is ready");
    }

    /// Asserts how many messages of a queue are ready, parked, leased and dead, as far
    /// as the broker can tell. One that pushes counts what it pushed as taken, so that
    /// what is ready can only be told before anybody takes.
    pub(crate) async fn assert_holds(&self, queue: &str, expected: [u64; 4]) {
        let [ready, parked, leased, dead] = expected;
        let depth = self.other.depth(queue).await.unwrap();
        assert_eq!(depth.dead, dead, "dead letters of {queue}");
        if let (Some(known_parked), Some(known_leased)) = (depth.parked, depth.leased) {
            assert_eq!(
                (depth.ready, known_parked, known_leased),
                (ready, parked, leased)
            );
        } else if leased == 0 {
            assert_eq!(depth.ready, ready, "ready in {queue}");
        }
    }

    /// Asserts a moment: exactly where time stands still, else at most a minute after
    /// the test began.
    pub(crate) fn assert_moment(&self, moment: Timestamp, expected: Timestamp) {
        if self.moves_time {
            assert_eq!(moment, expected);
        } else {
            let ago = self.clock.now().duration_since(moment).as_secs();
            assert!((0..60).contains(&ago), "{moment}");
        }
    }
}

impl Place {
    async fn open(&self, clock: &Clock, handle: usize) -> Arc<dyn Broker> {
        let clock = clock.clone();
        match self {
            Self::Embedded(dir) => Arc::new(EmbeddedBroker::new(database(dir, &clock).await)),
            Self::Redis(server) => {
                let server = RedisServer::new(&server.url(0)).unwrap();
                Arc::new(RedisBroker::new(server, clock))
            }
            Self::RabbitMq(rabbit, proxies) => {
                let url = rabbit.url_through(proxies[handle].port());
                let server = AmqpServer::new(&url, &TlsFiles::default()).unwrap();
                Arc::new(RabbitBroker::new(server, clock, PREFETCH))
            }
        }
    }
}
