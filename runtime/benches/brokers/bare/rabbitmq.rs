//! Through RabbitMQ: a consumer with a bounded prefetch, and one acknowledgement each.

use super::{IN_FLIGHT, store};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use redis::aio::MultiplexedConnection;

pub(super) async fn run(broker: &str, results: &MultiplexedConnection, tasks: usize) {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await;
    let connection = connection.expect("RabbitMQ is there");
    let channel = connection.create_channel().await.expect("a channel opens");
    let prefetch = u16::try_from(IN_FLIGHT).expect("it is small");
    channel
        .basic_qos(prefetch, BasicQosOptions::default())
        .await
        .expect("the prefetch is accepted");
    let (queue, tag) = ("celery".into(), "bare".into());
    let mut consumer = channel
        .basic_consume(
            queue,
            tag,
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .expect("the queue is there");
    let mut flying = FuturesUnordered::new();
    let mut done = 0;
    while done < tasks {
        // The server sends no more than the prefetch.
        tokio::select! {
            delivery = consumer.next() => {
                let delivery = delivery.expect("the channel is open").expect("a message");
                flying.push(one(results.clone(), delivery));
            }
            Some(()) = flying.next() => done += 1,
        }
    }
    connection
        .close(200, "done".into())
        .await
        .expect("it closes");
}

/// Stores first, acknowledges after.
async fn one(results: MultiplexedConnection, delivery: Delivery) {
    let id = delivery.properties.correlation_id();
    let id = id.as_ref().expect("a task has an id").as_str();
    store(results, id, &delivery.data).await;
    let acknowledged = delivery.ack(BasicAckOptions::default()).await;
    acknowledged.expect("RabbitMQ answers");
}
