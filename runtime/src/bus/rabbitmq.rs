//! The bus in RabbitMQ, in the exchanges and queues that Celery declares, on a
//! connection of its own: what is broadcast must not hold up messages.

mod replies;

use super::{ANSWERS, Ask, Bus, BusError, For, Heard, To};
use crate::amqp::{ANSWER, AmqpServer, channel, in_time, short, table};
use crate::celery::broadcast::{self, EVENTS, REQUESTS, answers, mailbox};
use crate::celery::{Message, Properties};
use async_trait::async_trait;
use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, Consumer, Error, ExchangeKind};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::Mutex;

/// The driver's name.
pub const SYSTEM: &str = "rabbitmq";
/// How long a mailbox outlives its worker, and an unread request, milliseconds.
const MAILBOX: (i32, i32) = (10_000, 300_000);
/// How long a monitor's queue outlives it, and an unread event, milliseconds.
const MONITOR: (i32, i32) = (60_000, 5_000);

/// A bus within one virtual host of a RabbitMQ server.
#[derive(Debug)]
pub struct RabbitBus {
    server: AmqpServer,
    connection: Mutex<Option<Arc<Connection>>>,
    sending: Mutex<Option<Channel>>,
}

/// An exchange as Celery declares it.
struct Exchange {
    name: &'static str,
    kind: ExchangeKind,
    durable: bool,
}

fn exchanges() -> [Exchange; 3] {
    let of = |name, kind, durable| Exchange {
        name,
        kind,
        durable,
    };
    [
        of(EVENTS, ExchangeKind::Topic, true),
        of(REQUESTS, ExchangeKind::Fanout, false),
        of(broadcast::ANSWERS, ExchangeKind::Direct, false),
    ]
}

impl RabbitBus {
    /// Uses a server; it need not be there yet.
    #[must_use]
    pub fn new(server: AmqpServer) -> Self {
        Self {
            server,
            connection: Mutex::default(),
            sending: Mutex::default(),
        }
    }

    async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let mut slot = self.connection.lock().await;
        if let Some(open) = slot.as_ref().filter(|open| open.status().connected()) {
            return Ok(Arc::clone(open));
        }
        let opened = Arc::new(self.server.connect().await?);
        *slot = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Opens a channel on which the three exchanges are known to exist.
    async fn open(&self) -> Result<Channel, Error> {
        let connection = self.connection().await?;
        let opened = channel(&connection).await?;
        for exchange in exchanges() {
            let options = ExchangeDeclareOptions {
                durable: exchange.durable,
                ..Default::default()
            };
            let declared = opened.exchange_declare(
                exchange.name.into(),
                exchange.kind,
                options,
                FieldTable::default(),
            );
            in_time(ANSWER, declared).await?;
        }
        Ok(opened)
    }

    async fn sender(&self) -> Result<Channel, Error> {
        let mut slot = self.sending.lock().await;
        if let Some(open) = slot.as_ref().filter(|open| open.status().connected()) {
            return Ok(open.clone());
        }
        let opened = self.open().await?;
        *slot = Some(opened.clone());
        Ok(opened)
    }

    /// Makes a queue that ends with this connection, and takes from it.
    async fn consume(
        &self,
        queue: &str,
        (exchange, key): (&str, &str),
        (expires, ttl): (i32, Option<i32>),
    ) -> Result<(Channel, Consumer), BusError> {
        let queue = short(queue).map_err(|error| said(error.to_string()))?;
        let key = short(key).map_err(|error| said(error.to_string()))?;
        let opened = self.open().await.map_err(trouble)?;
        let mut arguments = table([("x-expires", AMQPValue::LongInt(expires))]);
        if let Some(ttl) = ttl {
            arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(ttl));
        }
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..Default::default()
        };
        let made = opened.queue_declare(queue.clone(), options, arguments);
        in_time(ANSWER, made).await.map_err(trouble)?;
        let bound = opened.queue_bind(
            queue.clone(),
            exchange.into(),
            key,
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        in_time(ANSWER, bound).await.map_err(trouble)?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..Default::default()
        };
        let consumer = opened.basic_consume(queue, "".into(), options, FieldTable::default());
        let consumer = in_time(ANSWER, consumer).await.map_err(trouble)?;
        Ok((opened, consumer))
    }
}

#[async_trait]
impl Bus for RabbitBus {
    async fn send(&self, to: &To, message: &Message) -> Result<(), BusError> {
        let (exchange, key) = match to {
            To::Monitors(key) => (EVENTS, key.as_str()),
            To::Workers => (REQUESTS, ""),
            To::Client(client) => (broadcast::ANSWERS, client.as_str()),
        };
        let key = short(key).map_err(|error| said(error.to_string()))?;
        let sending = self.sender().await.map_err(trouble)?;
        let sent = sending.basic_publish(
            exchange.into(),
            key,
            BasicPublishOptions::default(),
            &message.body,
            properties(message, exchange),
        );
        in_time(ANSWER, sent).await.map_err(trouble)?;
        Ok(())
    }

    async fn listen(&self, what: &For) -> Result<Heard, BusError> {
        let (channel, consumer) = match what {
            For::Requests(node) => {
                let (expires, ttl) = MAILBOX;
                self.consume(&mailbox(node), (REQUESTS, ""), (expires, Some(ttl)))
                    .await?
            }
            For::Events => {
                let queue = format!("{EVENTS}.{}", uuid::Uuid::new_v4());
                let (expires, ttl) = MONITOR;
                self.consume(&queue, (EVENTS, "#"), (expires, Some(ttl)))
                    .await?
            }
            For::Replies(queue) => return self.replies(queue).await,
        };
        // The channel lives as long as somebody listens.
        let heard = consumer
            .take_while(|pushed| std::future::ready(pushed.is_ok()))
            .filter_map(move |pushed| {
                let _open = &channel;
                std::future::ready(pushed.ok().map(message))
            });
        Ok(heard.boxed())
    }

    async fn ask(&self, ask: Ask) -> Result<Vec<Message>, BusError> {
        let (expires, _) = MAILBOX;
        let queue = answers(&ask.client);
        let (channel, mut consumer) = self
            .consume(&queue, (broadcast::ANSWERS, &ask.client), (expires, None))
            .await?;
        self.send(&To::Workers, &ask.request).await?;
        let mut answers = Vec::new();
        let collect = async {
            while let Some(Ok(pushed)) = consumer.next().await {
                answers.push(message(pushed));
                if answers.len() >= ask.enough.min(ANSWERS) {
                    return;
                }
            }
        };
        // The end of the wait is no error: who answered, answered.
        let _over = tokio::time::timeout(ask.patience, collect).await;
        let closed = in_time(ANSWER, channel.close(200, "OK".into())).await;
        closed.map_err(trouble)?;
        Ok(answers)
    }

    async fn forget(&self, queue: &str) -> Result<(), BusError> {
        self.forget_replies(queue).await
    }
}

fn properties(message: &Message, exchange: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in &message.headers {
        let value = match value {
            Value::String(text) => AMQPValue::LongString(text.as_str().into()),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => AMQPValue::LongLongInt(whole),
                None => AMQPValue::Double(number.as_f64().unwrap_or_default()),
            },
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => AMQPValue::Void,
        };
        headers.insert(name.as_str().into(), value);
    }
    let mode = if exchange == REQUESTS { 2 } else { 1 };
    BasicProperties::default()
        .with_content_type(message.content_type.as_str().into())
        .with_content_encoding(message.content_encoding.as_str().into())
        .with_delivery_mode(mode)
        .with_priority(0)
        .with_headers(headers)
}

/// Reads what was pushed. Of the headers only whole numbers are of use: the clock.
fn message(pushed: Delivery) -> Message {
    let properties = &pushed.properties;
    let text = |text: Option<&lapin::types::ShortString>| {
        text.map(|text| text.as_str().to_owned())
            .unwrap_or_default()
    };
    let mut headers = Map::new();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if let Some(whole) = whole(value) {
            headers.insert(name.to_string(), Value::from(whole));
        }
    }
    Message {
        content_type: text(properties.content_type().as_ref()),
        content_encoding: text(properties.content_encoding().as_ref()),
        headers,
        properties: Properties {
            correlation_id: properties
                .correlation_id()
                .as_ref()
                .map(ToString::to_string),
            ..Properties::default()
        },
        body: pushed.data.into(),
    }
}

fn whole(value: &AMQPValue) -> Option<i64> {
    if let AMQPValue::LongLongInt(number) = value {
        return Some(*number);
    }
    if let AMQPValue::LongInt(number) = value {
        return Some(i64::from(*number));
    }
    None
}

fn said(reason: String) -> BusError {
    BusError::Unavailable {
        system: SYSTEM,
        reason,
        source: None,
    }
}

fn trouble(error: Error) -> BusError {
    BusError::Unavailable {
        system: SYSTEM,
        reason: error.to_string(),
        source: Some(Box::new(error)),
    }
}
