//! A client that runs nothing: it does the commands that Celery's protocol asks
//! of any worker, and no other. What is left of its rate is the price of what our
//! worker adds: the sandbox, the limits, the record of the run, the lease.

#[path = "bare/rabbitmq.rs"]
mod rabbitmq;
#[path = "bare/redis.rs"]
mod redis;

use ::redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

/// Tasks in flight, as many as our worker has.
const IN_FLIGHT: usize = 64;
/// How long a result is kept, seconds (1 day), as Celery does.
const KEPT: u64 = 86_400;

/// Speaks with one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare {
    Redis,
    RabbitMq,
}

impl Bare {
    /// Carries so many tasks from the queue `celery` to their results.
    pub(crate) fn run(self, broker: &str, results: &str, tasks: usize) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        runtime.block_on(async {
            let results = connect(results).await;
            match self {
                Self::Redis => redis::run(broker, &results, tasks).await,
                Self::RabbitMq => rabbitmq::run(broker, &results, tasks).await,
            }
        });
    }
}

async fn connect(url: &str) -> MultiplexedConnection {
    let client = ::redis::Client::open(url).expect("it is an address");
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("Redis is there")
}

/// Stores the result of a no-op task and tells those that wait for it.
async fn store(mut results: MultiplexedConnection, id: &str, body: &[u8]) {
    let body: Value = serde_json::from_slice(body).expect("the body is JSON");
    let document = json!({
        "status": "SUCCESS",
        "result": body.pointer("/0/0").expect("there is an argument"),
        "traceback": null,
        "children": [],
        "date_done": "2030-01-01T00:00:00.000000+00:00",
        "task_id": id,
    })
    .to_string();
    let key = format!("celery-task-meta-{id}");
    ::redis::pipe()
        .atomic()
        .set_ex(&key, &document, KEPT)
        .ignore()
        .publish(&key, &document)
        .ignore()
        .exec_async(&mut results)
        .await
        .expect("the result is stored");
}
