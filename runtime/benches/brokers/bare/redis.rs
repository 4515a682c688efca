//! Through Redis: a script takes messages as kombu does, and two commands end each.

use super::{IN_FLIGHT, connect, store};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use redis::Script;
use redis::aio::MultiplexedConnection;
use serde_json::Value;

/// Free places from which on more are taken, so that a script takes several.
const FREE: usize = IN_FLIGHT / 4;

/// Keys: list, unacked, unacked_index. Arguments: most messages, first number, now.
const TAKE: &str = r#"
local taken = {}
for i = 1, tonumber(ARGV[1]) do
  local envelope = redis.call('RPOP', KEYS[1])
  if not envelope then break end
  local tag = 'bare.' .. string.format('%.0f', ARGV[2] + i)
  redis.call('HSET', KEYS[2], tag, '[' .. envelope .. ', "", "celery"]')
  redis.call('ZADD', KEYS[3], ARGV[3], tag)
  taken[#taken + 1] = tag
  taken[#taken + 1] = envelope
end
return taken
"#;

pub(super) async fn run(broker: &str, results: &MultiplexedConnection, tasks: usize) {
    let mut broker = connect(broker).await;
    let take = Script::new(TAKE);
    let mut flying = FuturesUnordered::new();
    let (mut taken, mut done) = (0, 0);
    while done < tasks {
        let free = IN_FLIGHT - flying.len();
        if taken < tasks && free >= FREE {
            let now = jiff::Timestamp::now().as_second();
            let mut take = take.key("celery");
            take.key("unacked").key("unacked_index");
            take.arg(free).arg(taken).arg(now);
            let messages: Vec<(String, Vec<u8>)> =
                take.invoke_async(&mut broker).await.expect("Redis answers");
            assert!(!messages.is_empty(), "{taken} of {tasks} were there");
            taken += messages.len();
            for (tag, envelope) in messages {
                flying.push(one(broker.clone(), results.clone(), tag, envelope));
            }
        }
        flying.next().await.expect("some fly");
        done += 1;
    }
}

/// Stores first, acknowledges after.
async fn one(
    mut broker: MultiplexedConnection,
    results: MultiplexedConnection,
    tag: String,
    envelope: Vec<u8>,
) {
    let envelope: Value = serde_json::from_slice(&envelope).expect("an envelope");
    let text = |pointer: &str| envelope.pointer(pointer).and_then(Value::as_str);
    let body = text("/body").and_then(|body| STANDARD.decode(body).ok());
    let id = text("/headers/id").expect("a task has an id");
    store(results, id, &body.expect("a body in base64")).await;
    redis::pipe()
        .zrem("unacked_index", &tag)
        .ignore()
        .hdel("unacked", &tag)
        .ignore()
        .exec_async(&mut broker)
        .await
        .expect("Redis answers");
}
