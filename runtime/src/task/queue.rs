//! How a queue is declared where it is missing, and what is bound to it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Longest name of an exchange and longest routing key, bytes, as AMQP allows.
const NAME_BYTES: usize = 255;
/// Most queues that are described to a running worker (1,000): each is held in memory.
const TOLD: usize = 1_000;

/// Why a queue of Redis is fed by no fanout.
pub const NO_FANOUT: &str = "over Redis a fanout exchange reaches who listens at that moment and no queue; write \"topic\" or \"direct\"";

/// Queues by their names; one that is not there is as [`QueueShape::of`] says.
pub type QueueShapes = BTreeMap<String, QueueShape>;

/// How no queue's name begins: in Redis a queue is a key, and these are kombu's tables and
/// ours, where nothing else may be.
pub const RESERVED_QUEUES: [&str; 3] = ["unacked", "celeriac.", "_kombu."];

/// Tells whether no queue can be called so, whatever the broker: a task moves from one to
/// another.
#[must_use]
pub fn is_reserved_queue(queue: &str) -> bool {
    RESERVED_QUEUES.iter().any(|begin| queue.starts_with(begin))
}

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

/// Checks the name of an exchange, or a routing key, of at least so many bytes.
///
/// # Errors
/// What is wanted.
pub fn check_name(text: &str, least: usize) -> Result<(), String> {
    let is_name = (least..=NAME_BYTES).contains(&text.len());
    match is_name && !text.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(format!(
            "{least} to {NAME_BYTES} bytes without control characters are wanted"
        )),
    }
}

/// The shapes of queues as a running worker knows them: those of its configuration, and
/// those that it was told of since. Clones know the same.
#[derive(Debug, Clone, Default)]
pub struct KnownQueues(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    configured: QueueShapes,
    told: RwLock<QueueShapes>,
}

/// More queues are described to a worker than are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{TOLD} queues were described to this worker; describe queues in [queues], or restart the worker to forget them"
)]
pub struct TooManyShapes;

impl KnownQueues {
    /// Knows those of the configuration.
    #[must_use]
    pub fn new(configured: QueueShapes) -> Self {
        Self(Arc::new(Known {
            configured,
            told: RwLock::default(),
        }))
    }

    /// Tells whether the configuration describes a queue.
    #[must_use]
    pub fn is_configured(&self, queue: &str) -> bool {
        self.0.configured.contains_key(queue)
    }

    /// Returns what was said of a queue.
    #[must_use]
    pub fn described(&self, queue: &str) -> Option<QueueShape> {
        let configured = self.0.configured.get(queue).cloned();
        configured.or_else(|| self.told(queue))
    }

    /// Returns what this worker was told of a queue while it ran.
    #[must_use]
    pub fn told(&self, queue: &str) -> Option<QueueShape> {
        let told = self.0.told.read().unwrap_or_else(PoisonError::into_inner);
        told.get(queue).cloned()
    }

    /// Describes a queue, until the worker ends. The configuration is stronger.
    ///
    /// # Errors
    /// [`TooManyShapes`].
    pub fn tell(&self, queue: &str, shape: QueueShape) -> Result<(), TooManyShapes> {
        let mut told = self.0.told.write().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD && !told.contains_key(queue) {
            return Err(TooManyShapes);
        }
        told.insert(queue.to_owned(), shape);
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_known_to_all_and_the_configuration_is_stronger() {
        let configured = QueueShapes::from([("a".to_owned(), QueueShape::of("x"))]);
        let known = KnownQueues::new(configured);
        let other = known.clone();
        for queue in ["a", "b"] {
            assert_eq!(known.tell(queue, QueueShape::of("y")), Ok(()));
        }
        assert_eq!(other.described("a"), Some(QueueShape::of("x")));
        assert_eq!(other.described("b"), Some(QueueShape::of("y")));
        assert_eq!(other.described("c"), None);
    }

    #[test]
    fn a_worker_is_told_of_so_many_queues_and_no_more() {
        let known = KnownQueues::default();
        for number in 0..TOLD {
            let queue = number.to_string();
            assert_eq!(known.tell(&queue, QueueShape::of(&queue)), Ok(()));
        }
        let again = QueueShape::of("again");
        assert_eq!(known.tell("one more", again.clone()), Err(TooManyShapes));
        assert_eq!(known.tell("0", again.clone()), Ok(()));
        assert_eq!(known.described("0"), Some(again));
    }

    #[test]
    fn names_have_a_length_and_no_control_characters() {
        for (text, least, is_name) in [
            ("other", 1, true),
            ("", 0, true),
            ("", 1, false),
            ("a\u{6}b", 1, false),
            (&"x".repeat(NAME_BYTES), 1, true),
            (&"x".repeat(NAME_BYTES + 1), 1, false),
        ] {
            assert_eq!(check_name(text, least).is_ok(), is_name, "{text:?}");
        }
    }
}
