//! What an attempt is given: the call, the facts about it, and a way to
//! interrupt it.

use crate::bill::Bill;
use crate::egress::Egress;
use crate::keep::Keeper;
use crate::log::Level;
use crate::outcome::Interruption;
use crate::submit::Sender;
use crate::uses::Use;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::{Notify, watch};

/// One call of one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The task's name within the component.
    pub task: String,
    /// A JSON array, handed to the guest byte for byte.
    #[serde(with = "crate::octets")]
    pub args: Bytes,
    /// A JSON object, likewise.
    #[serde(with = "crate::octets")]
    pub kwargs: Bytes,
}

/// The facts about an attempt that a guest may ask for. What connects it to its host
/// (the interrupt, the progress, the sender) is not written where it is serialized.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// The task id.
    pub id: String,
    /// Id of the first task of the workflow.
    pub root_id: Option<String>,
    /// Id of the task that sent this one.
    pub parent_id: Option<String>,
    /// Retries so far.
    pub retries: u32,
    /// Deliveries of this attempt's message, from 1.
    pub deliveries: u32,
    /// Retries after which the task fails.
    pub max_retries: Option<u32>,
    /// The queue the message came from.
    pub queue: String,
    /// Headers the guest may read, as text.
    pub headers: BTreeMap<String, String>,
    /// Lowest level of log lines that are kept.
    pub log_level: Level,
    /// Raised from outside to ask the guest to stop.
    #[serde(skip)]
    pub interrupt: Interrupt,
    /// Where the latest progress goes; `None` drops it.
    #[serde(skip)]
    pub progress: Option<watch::Sender<Option<Progress>>>,
    /// Who sends what the guest submits; `None` sends nothing.
    #[serde(skip)]
    pub sender: Option<Arc<dyn Sender>>,
    /// How what it sends by HTTP is sent, within its grants.
    #[serde(skip)]
    pub egress: Egress,
    /// What earlier calls of the same attempt did by HTTP (nothing): its limits there are
    /// for all calls together.
    pub http_used: Use,
    /// Who keeps the key-value store of the guest's module; `None` keeps nothing.
    #[serde(skip)]
    pub keeper: Option<Arc<dyn Keeper>>,
    /// Where what it takes is added up, even if it is cut off.
    #[serde(skip)]
    pub bill: Bill,
    /// How many progress updates the report repeats (0): for tests.
    pub keep_progress: usize,
}

impl Default for Attempt {
    fn default() -> Self {
        Self {
            id: "00000000-0000-0000-0000-000000000000".to_owned(),
            root_id: None,
            parent_id: None,
            retries: 0,
            deliveries: 1,
            max_retries: None,
            queue: "celery".to_owned(),
            headers: BTreeMap::new(),
            log_level: Level::Debug,
            interrupt: Interrupt::default(),
            progress: None,
            sender: None,
            egress: Egress::default(),
            http_used: Use::default(),
            keeper: None,
            bill: Bill::default(),
            keep_progress: 0,
        }
    }
}

/// How far an attempt is, as a state and its meta.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// `PROGRESS`, or a name of the task's own.
    pub state: String,
    /// JSON text.
    pub meta: String,
}

/// Asks a running guest to stop. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Raised>);

#[derive(Debug, Default)]
struct Raised {
    reason: AtomicU8,
    notify: Notify,
}

impl Interrupt {
    /// Asks the guest to stop; the first reason stays.
    pub fn raise(&self, reason: Interruption) {
        let code = match reason {
            Interruption::SoftLimit => 1,
            Interruption::Cancelled => 2,
            Interruption::Shutdown => 3,
        };
        // A second reason is ignored: the guest may have acted on the first.
        let first = self
            .0
            .reason
            .compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.0.notify.notify_waiters();
        }
    }

    /// Returns the reason, once raised.
    #[must_use]
    pub fn raised(&self) -> Option<Interruption> {
        match self.0.reason.load(Ordering::Acquire) {
            1 => Some(Interruption::SoftLimit),
            2 => Some(Interruption::Cancelled),
            3 => Some(Interruption::Shutdown),
            _ => None,
        }
    }

    /// Waits until it is raised, and returns the reason. Cancel-safe.
    pub async fn wait(&self) -> Interruption {
        loop {
            let notified = self.0.notify.notified();
            if let Some(reason) = self.raised() {
                return reason;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_of_an_interrupt_stays() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.raised(), None);
        interrupt.raise(Interruption::Shutdown);
        interrupt.raise(Interruption::Cancelled);
        assert_eq!(interrupt.wait().await, Interruption::Shutdown);
    }
}
