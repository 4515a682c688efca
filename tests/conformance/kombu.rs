//! What only the Redis broker does: it shares its keys with kombu, so that Python
//! workers and ours take each other for one of their own.

mod abandoned;
mod keys;
mod wait;

use crate::stage::START;
use celeriac::broker::redis::{RedisBroker, Settings};
use celeriac::clock::Clock;
use celeriac::resp::RedisServer;
use serde_json::{Value, json};
use support::Redis;

/// A server, our broker on it, and what a Python worker does by hand.
struct Shared {
    redis: Redis,
    clock: Clock,
    broker: RedisBroker,
}

impl Shared {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let (redis, clock) = (Redis::start(), Clock::manual(START));
        let server = RedisServer::new(&redis.url(0)).unwrap();
        let broker = RedisBroker::with(server, clock.clone(), settings);
        Self {
            redis,
            clock,
            broker,
        }
    }

    fn cli(&self, arguments: &[&str]) -> String {
        self.redis.cli(0, arguments)
    }

    /// Takes a message as a Python worker does, at a moment in seconds.
    fn python_takes(&self, tag: &str, envelope: &Value, place: [&str; 2], at: f64) {
        let [exchange, routing_key] = place;
        let held = json!([envelope, exchange, routing_key]).to_string();
        assert_eq!(self.cli(&["HSET", "unacked", tag, &held]), "1");
        let score = format!("{at:.6}");
        assert_eq!(self.cli(&["ZADD", "unacked_index", &score, tag]), "1");
    }
}

/// An envelope as kombu writes it.
fn envelope(id: &str, tag: &str, queue: &str, priority: u8) -> Value {
    json!({
        "body": "W1tdLCB7fSwge31d", "content-encoding": "utf-8", "content-type": "application/json",
        "headers": {"lang": "py", "task": "m.t", "id": id, "retries": 0, "stamps": {}},
        "properties": {
            "correlation_id": id, "reply_to": "r", "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": priority, "body_encoding": "base64", "delivery_tag": tag,
        },
    })
}
