//! Does what remote control asks: `celery inspect` and `celery control`, Flower,
//! and our own `inspect`.
//!
//! Requests are hostile: they are read within bounds, a worker does a bounded
//! number of them a second, and one that it does not understand is an answer.

mod arguments;
mod audience;
mod change;
mod commands;
mod info;
mod show;

use crate::bus::{self, Bus, For, Heard, To};
use crate::celery::Message;
use crate::celery::pidbox::{Answer, Request};
use crate::clock::Clock;
use crate::events::Events;
use crate::registry::Resolver;
use crate::shutdown::Shutdown;
use crate::task::KnownQueues;
use crate::task::TenantName;
use crate::worker::steering::Steering;
use commands::Said;
use futures::StreamExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Most requests that are done in a second (200); what comes beyond is dropped.
pub const REQUESTS: u32 = 200;
/// Most requests that wait (64), as large as [`crate::celery::broadcast::HEARD_BYTES`].
const WAITING: usize = 64;
/// Longest wait for the bus to take an answer (5 s).
const ANSWER: Duration = Duration::from_secs(5);
/// Longest wait for the bus before the first message is taken (10 s): work goes before
/// remote control.
const BEGINNING: Duration = Duration::from_secs(10);
/// The time in which [`REQUESTS`] are counted.
const SECOND: Duration = Duration::from_secs(1);

/// What a worker says of itself that does not change.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Whose tasks are shown and spoken of.
    pub tenant: TenantName,
    /// Settings by Celery's names, without secrets.
    pub settings: Value,
    /// Where messages come from, as Celery describes it, without secrets.
    pub broker: Value,
    /// Versions and addresses, for people.
    pub report: String,
    /// How queues are declared.
    pub queues: KnownQueues,
    /// Whether an exchange of the type fanout feeds queues here.
    pub has_fanout: bool,
    /// Our tasks by the names that callers use beside their own.
    pub aliases: BTreeMap<String, String>,
    /// Default time limits, seconds: soft, hard.
    pub timeouts: [u64; 2],
    /// Whether events of tasks are told from the start.
    pub task_events: bool,
}

/// One worker under remote control.
#[derive(Debug)]
pub struct Control {
    /// Where requests come from.
    pub bus: Arc<dyn Bus>,
    /// Whose worker it is, and its logical clock.
    pub events: Events,
    /// What it is told.
    pub steering: Arc<Steering>,
    /// Its stop.
    pub shutdown: Shutdown,
    /// Which tasks it knows.
    pub resolver: Resolver,
    /// The clock.
    pub clock: Clock,
    /// When it began.
    pub began: Instant,
    /// What does not change.
    pub facts: Facts,
}

impl Control {
    /// Begins to hear what is asked: as with Celery, who takes messages can be asked of them.
    /// A bus that is away, or too slow, is tried again while the work goes on.
    pub async fn begin(&self) -> Option<Heard> {
        tokio::select! {
            begun = begin(&*self.bus, self.requests()) => begun,
            () = self.shutdown.stopping() => None,
        }
    }

    fn requests(&self) -> For {
        For::Requests(self.events.hostname().to_owned())
    }

    /// Hears and does what is asked until `stop`, from where [`Control::begin`] began.
    pub async fn run(&self, begun: Option<Heard>, stop: CancellationToken) {
        let heard = bus::follow_on(Arc::clone(&self.bus), self.requests(), begun);
        let (sender, mut waiting) = mpsc::channel(WAITING);
        // Hearing goes on while an answer is sent: what nobody reads would pile up.
        let hear = hear(heard, sender);
        let answer = async {
            while let Some(message) = waiting.recv().await {
                self.handle(&message).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = hear => {}
            () = answer => {}
        }
    }

    async fn handle(&self, message: &Message) {
        let Some(request) = Request::read(message) else {
            tracing::debug!("a request that cannot be read is passed over");
            return;
        };
        if let Some(clock) = request.clock {
            self.events.lamport().adjust(clock);
        }
        if !audience::includes(&request.to, self.events.hostname()) {
            return;
        }
        tracing::debug!(method = request.method, "remote control");
        let said = commands::run(self, &request).await;
        if let (Said::Value(value), Some(client)) = (said, request.reply_to) {
            self.answer(client, request.ticket.as_deref(), value).await;
        }
    }

    async fn answer(
        &self,
        client: String,
        ticket: Option<&str>,
        value: Box<serde_json::value::RawValue>,
    ) {
        let node = self.events.hostname().to_owned();
        let answer = Answer { node, value };
        let message = answer.message(ticket, self.events.lamport().forward());
        let to = To::Client(client);
        match tokio::time::timeout(ANSWER, self.bus.send(&to, &message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "an answer was not sent"),
            Err(_) => tracing::warn!("an answer was not sent in time"),
        }
    }
}

async fn begin(bus: &dyn Bus, requests: For) -> Option<Heard> {
    match tokio::time::timeout(BEGINNING, bus.listen(&requests)).await {
        // Who goes on listening meets the error again, and tells it.
        Ok(begun) => begun.ok(),
        Err(_) => {
            let waited = BEGINNING.as_secs();
            tracing::warn!(waited, "remote control is not heard yet; the work begins");
            None
        }
    }
}

/// Passes on as many requests as are done in a second.
async fn hear(mut heard: Heard, waiting: mpsc::Sender<Message>) {
    let mut second = Instant::now();
    let mut count = 0;
    while let Some(message) = heard.next().await {
        if second.elapsed() >= SECOND {
            second = Instant::now();
            count = 0;
        }
        count += 1;
        if count > REQUESTS || waiting.try_send(message).is_err() {
            tracing::warn!(a_second = REQUESTS, "too many requests; one is dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Ask, BusError};
    use crate::celery::broadcast;
    use async_trait::async_trait;
    use futures::stream;
    use serde_json::Map;

    /// A bus that nothing comes over.
    #[derive(Debug)]
    enum Quiet {
        HeardAfter(Duration),
        Silent,
        Away,
    }

    #[async_trait]
    impl Bus for Quiet {
        async fn send(&self, _to: &To, _message: &Message) -> Result<(), BusError> {
            Ok(())
        }

        async fn listen(&self, _what: &For) -> Result<Heard, BusError> {
            match self {
                Self::HeardAfter(time) => {
                    tokio::time::advance(*time).await;
                    Ok(stream::empty().boxed())
                }
                Self::Silent => std::future::pending().await,
                Self::Away => Err(BusError::Unavailable {
                    system: "test",
                    reason: "away".to_owned(),
                    source: None,
                }),
            }
        }

        async fn ask(&self, _ask: Ask) -> Result<Vec<Message>, BusError> {
            Ok(Vec::new())
        }
    }

    /// Whether a worker hears when its work begins, and after how long that is.
    async fn work_begins(bus: Quiet) -> (bool, Duration) {
        let started = Instant::now();
        let begun = begin(&bus, For::Requests("celery@here".to_owned())).await;
        (begun.is_some(), started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn work_begins_when_requests_are_heard() {
        let soon = Duration::from_secs(3);
        assert_eq!(work_begins(Quiet::HeardAfter(soon)).await, (true, soon));
    }

    #[tokio::test(start_paused = true)]
    async fn work_waits_for_no_bus_that_is_slow_or_away() {
        assert_eq!(work_begins(Quiet::Silent).await, (false, BEGINNING));
        assert_eq!(work_begins(Quiet::Away).await, (false, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_requests_in_a_second_are_dropped() {
        let one = || broadcast::message("{}".to_owned(), Map::new());
        let burst = stream::repeat_with(one).take(1_000);
        let later = stream::once(async move {
            tokio::time::advance(SECOND).await;
            one()
        });
        let (sender, mut waiting) = mpsc::channel(2_000);
        hear(burst.chain(later).boxed(), sender).await;
        let mut passed = 0;
        while waiting.recv().await.is_some() {
            passed += 1;
        }
        assert_eq!(passed, REQUESTS + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_nobody_does_are_dropped() {
        let one = || broadcast::message("{}".to_owned(), Map::new());
        let (sender, waiting) = mpsc::channel(WAITING);
        hear(stream::repeat_with(one).take(150).boxed(), sender).await;
        assert_eq!(waiting.len(), WAITING);
    }
}
