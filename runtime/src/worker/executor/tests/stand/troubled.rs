//! Stores and a broker that fail once, where a test wants them to.

use crate::broker::embedded::EmbeddedBroker;
use crate::broker::{
    Broker, BrokerError, DeadLetter, Delivery, Depth, Outgoing, Profile, Purge, Receipt, Settlement,
};
use crate::celery::Message;
use crate::results::chord::{Expect, JoinPart, Joined, Joining};
use crate::results::embedded::EmbeddedResults;
use crate::results::{Begun, Record, Results, ResultsError, Start, Watch, Write, Written};
use crate::task::{Fence, TaskId};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Trouble {
    /// It is done, and nobody hears of it; the worker asks again.
    AnswerLost,
    /// It is not done, and the worker does not ask again: it is as good as dead.
    Killed,
}

/// What goes wrong next, and with which call.
#[derive(Debug, Default)]
struct Next(Mutex<Option<(String, Trouble)>>);

impl Next {
    fn takes(&self, what: &str) -> Option<Trouble> {
        let mut next = self.0.lock().unwrap();
        let (_, trouble) = next.take_if(|(wanted, _)| wanted == what)?;
        Some(trouble)
    }
}

/// Results that fail once, where a test wants them to.
#[derive(Debug)]
pub(in super::super) struct Store {
    pub(super) kept: Arc<EmbeddedResults>,
    next: Next,
    pause: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
    joined: Mutex<Vec<JoinPart>>,
}

impl Store {
    pub(super) fn new(kept: Arc<EmbeddedResults>) -> Self {
        Self {
            kept,
            next: Next::default(),
            pause: Mutex::default(),
            joined: Mutex::default(),
        }
    }

    /// Stops the next look at a record or start of a run: the first tells when it is there,
    /// and it goes on when the second does.
    pub(in super::super) fn pause(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((there, is_there), (on, goes_on)) = (oneshot::channel(), oneshot::channel());
        *self.pause.lock().unwrap() = Some((there, goes_on));
        (is_there, on)
    }

    async fn stops(&self) {
        let pause = self.pause.lock().unwrap().take();
        if let Some((there, goes_on)) = pause {
            there.send(()).unwrap();
            goes_on.await.unwrap();
        }
    }

    /// Lets something go wrong with the next `write TASK` or `join GROUP`.
    pub(in super::super) fn fail(&self, what: &str, trouble: Trouble) {
        *self.next.0.lock().unwrap() = Some((what.to_owned(), trouble));
    }

    /// The parts of chords that were counted, however often.
    pub(in super::super) fn parts(&self) -> Vec<JoinPart> {
        self.joined.lock().unwrap().clone()
    }
}

fn lost() -> ResultsError {
    ResultsError::Unavailable {
        system: "test",
        reason: "the answer was lost".to_owned(),
        source: None,
    }
}

fn killed() -> ResultsError {
    ResultsError::Misconfigured {
        system: "test",
        reason: "killed".to_owned(),
    }
}

#[async_trait]
impl Results for Store {
    fn system(&self) -> &'static str {
        "test"
    }

    async fn begin(&self, start: Start) -> Result<Begun, ResultsError> {
        self.stops().await;
        self.kept.begin(start).await
    }

    async fn renew(
        &self,
        runs: Vec<(TaskId, Fence)>,
        until: Timestamp,
    ) -> Result<(), ResultsError> {
        self.kept.renew(runs, until).await
    }

    async fn write(&self, write: Write) -> Result<Written, ResultsError> {
        match self.next.takes(&format!("write {}", write.id)) {
            Some(Trouble::Killed) => Err(killed()),
            Some(Trouble::AnswerLost) => {
                self.kept.write(write).await?;
                Err(lost())
            }
            None => self.kept.write(write).await,
        }
    }

    async fn get(&self, id: &TaskId) -> Result<Option<Record>, ResultsError> {
        self.stops().await;
        self.kept.get(id).await
    }

    async fn watch(&self, id: &TaskId) -> Result<Box<dyn Watch>, ResultsError> {
        self.kept.watch(id).await
    }

    fn joining(&self) -> Joining {
        self.kept.joining()
    }

    async fn expect(&self, chord: Expect) -> Result<(), ResultsError> {
        self.kept.expect(chord).await
    }

    async fn join(&self, part: JoinPart) -> Result<Joined, ResultsError> {
        let trouble = self.next.takes(&format!("join {}", part.group));
        if trouble == Some(Trouble::Killed) {
            return Err(killed());
        }
        self.joined.lock().unwrap().push(part.clone());
        let joined = self.kept.join(part).await?;
        match trouble {
            Some(_) => Err(lost()),
            None => Ok(joined),
        }
    }

    async fn joined(&self, group: &str) -> Result<(), ResultsError> {
        self.kept.joined(group).await
    }

    async fn sweep(&self) -> Result<u64, ResultsError> {
        self.kept.sweep().await
    }
}

/// A broker that fails once, where a test wants it to, and remembers what was sent.
#[derive(Debug)]
pub(in super::super) struct Post {
    pub(super) kept: EmbeddedBroker,
    next: Next,
    sent: Mutex<Vec<Outgoing>>,
}

impl Post {
    pub(super) fn new(kept: EmbeddedBroker) -> Self {
        Self {
            kept,
            next: Next::default(),
            sent: Mutex::default(),
        }
    }

    /// Lets something go wrong with the next `publish` or `settle`.
    pub(in super::super) fn fail(&self, what: &str, trouble: Trouble) {
        *self.next.0.lock().unwrap() = Some((what.to_owned(), trouble));
    }

    /// What the worker published, as ids and whether it is marked as sent before.
    pub(in super::super) fn sent(&self) -> Vec<(String, bool)> {
        let sent = self.sent.lock().unwrap();
        let told = sent.iter().map(|outgoing| {
            let header = |name: &str| outgoing.message.headers.get(name).cloned();
            let id = header("id").and_then(|id| id.as_str().map(str::to_owned));
            let again = header(crate::celery::request::AGAIN) == Some(Value::Bool(true));
            (id.unwrap_or_default(), again)
        });
        told.collect()
    }
}

fn gone() -> BrokerError {
    BrokerError::Unavailable {
        system: "test",
        reason: "the answer was lost".to_owned(),
        source: None,
    }
}

fn dead() -> BrokerError {
    BrokerError::Misconfigured {
        system: "test",
        reason: "killed".to_owned(),
    }
}

#[async_trait]
impl Broker for Post {
    fn profile(&self) -> Profile {
        self.kept.profile()
    }

    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BrokerError> {
        let trouble = self.next.takes("publish");
        if trouble == Some(Trouble::Killed) {
            return Err(dead());
        }
        self.sent.lock().unwrap().extend(messages.iter().cloned());
        self.kept.publish(messages).await?;
        trouble.map_or(Ok(()), |_| Err(gone()))
    }

    async fn fetch(&self, queues: &[String], max: usize) -> Result<Vec<Delivery>, BrokerError> {
        self.kept.fetch(queues, max).await
    }

    async fn extend(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, BrokerError> {
        self.kept.extend(receipts).await
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> Result<(), BrokerError> {
        let trouble = self.next.takes("settle");
        if trouble == Some(Trouble::Killed) {
            return Err(dead());
        }
        self.kept.settle(delivery, settlement).await?;
        trouble.map_or(Ok(()), |_| Err(gone()))
    }

    async fn reply(&self, to: &str, message: Message) -> Result<(), BrokerError> {
        self.kept.reply(to, message).await
    }

    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        self.kept.depth(queue).await
    }

    async fn queues(&self) -> Result<Vec<(String, Depth)>, BrokerError> {
        self.kept.queues().await
    }

    async fn dead_letters(&self, queue: &str, max: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        self.kept.dead_letters(queue, max).await
    }

    async fn wake(&self, queue: &str, until: Timestamp) -> Result<u64, BrokerError> {
        self.kept.wake(queue, until).await
    }

    async fn purge(&self, queue: &str, what: Purge) -> Result<u64, BrokerError> {
        self.kept.purge(queue, what).await
    }
}
