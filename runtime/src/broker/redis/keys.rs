//! The names of keys: kombu's, and ours beside them.

use crate::celery::envelope::{Envelope, turned};
use jiff::Timestamp;

/// What stands between a queue and the step of its priority, and in kombu's bindings.
pub(super) const SEPARATOR: &str = "\u{6}\u{16}";
/// kombu's steps of priority: a priority waits in the largest step up to it.
const STEPS: [u8; 4] = [0, 3, 6, 9];

/// The keys of one prefix.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
    pub(super) unacked: String,
    pub(super) unacked_index: String,
    /// Kombu's lock of those who give back what was abandoned.
    pub(super) mutex: String,
    /// Every queue that we published to or took from.
    pub(super) queues: String,
}

/// Where a message goes: a list, or with a score a sorted set.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) key: String,
    /// Milliseconds since 1970; 0 is a list.
    pub(super) score: i64,
    pub(super) member: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let key = |name: &str| format!("{prefix}{name}");
        Self {
            prefix: prefix.to_owned(),
            unacked: key("unacked"),
            unacked_index: key("unacked_index"),
            mutex: key("unacked_mutex"),
            queues: key("celeriac.queues"),
        }
    }

    /// The lists of a queue, the first to be served first.
    pub(super) fn lists(&self, queue: &str) -> [String; 4] {
        STEPS.map(|step| self.list(queue, step))
    }

    pub(super) fn parked(&self, queue: &str) -> String {
        format!("{}celeriac.parked.{queue}", self.prefix)
    }

    pub(super) fn leases(&self, queue: &str) -> String {
        format!("{}celeriac.leases.{queue}", self.prefix)
    }

    pub(super) fn dead(&self, queue: &str) -> String {
        format!("{}{queue}.dead", self.prefix)
    }

    pub(super) fn marker(&self, key: &str) -> String {
        format!("{}celeriac.key.{key}", self.prefix)
    }

    /// A key of kombu's by its name.
    pub(super) fn own(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Kombu's table of the queues that are bound to an exchange.
    pub(super) fn bindings(&self, exchange: &str) -> String {
        format!("{}_kombu.binding.{exchange}", self.prefix)
    }

    /// The list where an envelope waits once it is due.
    pub(super) fn list_of(&self, queue: &str, envelope: &Envelope) -> String {
        self.list(queue, step(envelope))
    }

    /// The place of what goes nowhere: a key that a script is given and does not look at. A
    /// user of Redis who sees one prefix is refused a script that is given any other key.
    pub(super) fn nowhere(&self) -> Place {
        Place {
            key: self.unacked.clone(),
            score: 0,
            member: String::new(),
        }
    }

    /// Where an envelope waits: until it is due, or in the list of its priority.
    pub(super) fn place(&self, queue: &str, envelope: &Envelope, due: Option<Timestamp>) -> Place {
        let step = step(envelope);
        let text = envelope.write(queue);
        match due {
            None => Place {
                key: self.list(queue, step),
                score: 0,
                member: text,
            },
            // The same call may be parked twice for the same moment, so each
            // member begins with a name of its own; then comes the step.
            Some(due) => Place {
                key: self.parked(queue),
                score: due.as_millisecond().max(1),
                member: format!("{}{step}{text}", uuid::Uuid::new_v4().simple()),
            },
        }
    }

    fn list(&self, queue: &str, step: u8) -> String {
        match step {
            0 => format!("{}{queue}", self.prefix),
            step => format!("{}{queue}{SEPARATOR}{step}", self.prefix),
        }
    }
}

/// The list of a message: a message without a priority is among the first, as
/// in kombu.
fn step(envelope: &Envelope) -> u8 {
    let raw = envelope.message.properties.priority.map_or(0, turned);
    let step = STEPS.iter().rev().find(|step| **step <= raw);
    step.copied().unwrap_or_default()
}

/// The queue of an entry of kombu's bindings (key, pattern, queue), if it has this
/// very key and no pattern.
pub(super) fn bound<'a>(binding: &'a str, routing_key: &str) -> Option<&'a str> {
    let (key, rest) = binding.split_once(SEPARATOR)?;
    let (pattern, queue) = rest.split_once(SEPARATOR)?;
    (key == routing_key && pattern.is_empty() && !queue.is_empty()).then_some(queue)
}

/// A moment as kombu's scores have it: seconds with a fraction.
pub(super) fn seconds(moment: Timestamp) -> String {
    let milliseconds = moment.as_millisecond().max(0);
    format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_of(priority: Option<u8>) -> String {
        let mut envelope = Envelope::read(br#"{"body": ""}"#);
        envelope.message.properties.priority = priority;
        Keys::new("p:").place("q", &envelope, None).key
    }

    #[test]
    fn a_priority_waits_in_the_step_where_kombu_looks_for_it() {
        // 9 is first with us and 0 with kombu.
        for (ours, list) in [
            (None, "p:q"),
            (Some(9), "p:q"),
            (Some(7), "p:q"),
            (Some(6), "p:q\u{6}\u{16}3"),
            (Some(3), "p:q\u{6}\u{16}6"),
            (Some(0), "p:q\u{6}\u{16}9"),
            (Some(200), "p:q"),
        ] {
            assert_eq!(list_of(ours), list, "{ours:?}");
        }
    }

    #[test]
    fn a_binding_names_its_queue_for_its_own_key_alone() {
        assert_eq!(bound("k\u{6}\u{16}\u{6}\u{16}q", "k"), Some("q"));
        for (binding, key) in [
            ("k\u{6}\u{16}\u{6}\u{16}q", "other"),
            ("k\u{6}\u{16}^k$\u{6}\u{16}q", "k"),
            ("k\u{6}\u{16}\u{6}\u{16}", "k"),
            ("k\u{6}\u{16}q", "k"),
            ("", ""),
        ] {
            assert_eq!(bound(binding, key), None, "{binding:?} {key:?}");
        }
    }

    #[test]
    fn scores_are_seconds() {
        let moment = Timestamp::from_millisecond(1_790_000_000_045).unwrap();
        assert_eq!(seconds(moment), "1790000000.045");
    }
}
