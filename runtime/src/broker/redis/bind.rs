//! Binding queues to exchanges in kombu's tables, so that Celery's clients which
//! publish to an exchange reach them.
//!
//! The members are exactly kombu's: it declares the same queue again and again, and
//! another text would be another entry. What the server forgot is bound again soon.

use super::keys::{Keys, SEPARATOR};
use super::{Inner, trouble};
use crate::broker::BrokerError;
use crate::task::{ExchangeType, KnownQueues, QueueShape};
use std::collections::HashMap;
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};

/// How long a binding stays lost with a database that was emptied (10 s).
const AGAIN: Duration = Duration::from_secs(10);

/// The queues that are described, and when each was bound last.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    shapes: KnownQueues,
    bound: Mutex<HashMap<String, (Instant, QueueShape)>>,
}

impl Bindings {
    pub(super) fn new(shapes: KnownQueues) -> Self {
        Self {
            shapes,
            bound: Mutex::default(),
        }
    }

    /// Binds those of `queues` that are described, each now and then.
    pub(super) async fn ensure(&self, inner: &Inner, queues: &[String]) -> Result<(), BrokerError> {
        let described = queues.iter().filter_map(|queue| {
            let shape = self.shapes.described(queue)?;
            Some((queue, shape))
        });
        let described: Vec<_> = described.collect();
        if described.is_empty() {
            return Ok(());
        }
        let mut bound = self.bound.lock().await;
        let now = Instant::now();
        let is_due = |(queue, shape): &(&String, QueueShape)| {
            let last = bound.get(*queue);
            last.is_none_or(|(at, bound)| now - *at >= AGAIN || bound != shape)
        };
        let due: Vec<_> = described.into_iter().filter(is_due).collect();
        if due.is_empty() {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        for (queue, shape) in &due {
            for table in tables(&inner.keys, &shape.exchange) {
                pipe.sadd(table, member(queue, shape)).ignore();
            }
        }
        pipe.query_async::<()>(&mut inner.server.shared())
            .await
            .map_err(trouble)?;
        let due = due.into_iter();
        bound.extend(due.map(|(queue, shape)| (queue.clone(), (now, shape))));
        Ok(())
    }
}

/// Both tables of an exchange: the second keeps the first from being swept by kombu
/// 5.7.
fn tables(keys: &Keys, exchange: &str) -> [String; 2] {
    ["binding", "binding_permanent"].map(|table| keys.own(&format!("_kombu.{table}.{exchange}")))
}

fn member(queue: &str, shape: &QueueShape) -> String {
    let key = &shape.routing_key;
    let pattern = match shape.exchange_type {
        ExchangeType::Topic => pattern(key),
        ExchangeType::Direct | ExchangeType::Fanout => String::new(),
    };
    format!("{key}{SEPARATOR}{pattern}{SEPARATOR}{queue}")
}

/// The regular expression of a topic's key, as kombu writes it.
fn pattern(key: &str) -> String {
    let word = |word: &str| match word {
        "*" => "[^\\.]+".to_owned(),
        "#" => ".*?".to_owned(),
        word => word.chars().fold(String::new(), |mut escaped, c| {
            if !c.is_alphanumeric() && !matches!(c, '#' | '*') {
                escaped.push('\\');
            }
            escaped.push(c);
            escaped
        }),
    };
    let words: Vec<String> = key.split('.').map(word).collect();
    format!("^{}$", words.join("\\."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `TopicExchange.key_to_pattern` of kombu 5.7 says.
    #[test]
    fn a_topic_is_the_pattern_that_kombu_writes() {
        for (key, expected) in [
            ("media.#", r"^media\..*?$"),
            ("*.resize", r"^[^\.]+\.resize$"),
            ("#", r"^.*?$"),
            ("plain", r"^plain$"),
            ("", r"^$"),
            ("a-b_c.d e", r"^a\-b\_c\.d\ e$"),
            ("a*.b#", r"^a*\.b#$"),
            ("ä.(x|y)+", r"^ä\.\(x\|y\)\+$"),
        ] {
            assert_eq!(pattern(key), expected, "{key}");
        }
    }

    #[test]
    fn an_entry_has_a_pattern_for_a_topic_alone() {
        let shape = |exchange_type| QueueShape {
            exchange_type,
            routing_key: "k.*".to_owned(),
            ..QueueShape::of("q")
        };
        assert_eq!(
            member("q", &shape(ExchangeType::Direct)),
            "k.*\u{6}\u{16}\u{6}\u{16}q"
        );
        assert_eq!(
            member("q", &shape(ExchangeType::Topic)),
            "k.*\u{6}\u{16}^k\\.[^\\.]+$\u{6}\u{16}q"
        );
    }
}
