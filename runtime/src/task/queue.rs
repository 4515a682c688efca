//! How a queue is declared where it is missing, and what is bound to it.

use std::collections::BTreeMap;

/// Queues by their names; one that is not there is as [`QueueShape::of`] says.
pub type QueueShapes = BTreeMap<String, QueueShape>;

/// What a queue is, as Celery's `task_queues` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueShape {
    /// The exchange that feeds it.
    pub exchange: String,
    /// How that exchange chooses among its queues.
    pub exchange_type: ExchangeType,
    /// What it is bound with: a key, or a pattern of a topic.
    pub routing_key: String,
    /// The highest priority it tells apart; `None` is none at all.
    pub max_priority: Option<u8>,
    /// Whether it is kept by several servers.
    pub quorum: bool,
}

/// How an exchange chooses among the queues that are bound to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeType {
    /// Those bound with this very key.
    Direct,
    /// Those whose pattern the key matches: `*` is one word, `#` any number of them.
    Topic,
    /// All of them.
    Fanout,
}

impl QueueShape {
    /// The shape of a queue of which nobody said anything: Celery's own.
    #[must_use]
    pub fn of(queue: &str) -> Self {
        Self {
            exchange: queue.to_owned(),
            exchange_type: ExchangeType::Direct,
            routing_key: queue.to_owned(),
            max_priority: None,
            quorum: false,
        }
    }
}

impl ExchangeType {
    /// Reads the word for a type.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Direct, Self::Topic, Self::Fanout];
        all.into_iter().find(|kind| kind.word() == word)
    }

    /// Returns the word for it, as AMQP has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Topic => "topic",
            Self::Fanout => "fanout",
        }
    }
}
