//! Tells monitors what happens, as Celery's workers do.
//!
//! A worker says that it is there, every two seconds, always; what happens to its
//! tasks it tells when that is switched on. An event never delays or fails a task:
//! it goes into a bounded buffer, and a monitor that was away has missed some.

mod buffer;
mod lamport;
mod load;

pub use buffer::{BUFFER_BYTES, BUFFER_EVENTS};
pub use lamport::Lamport;

use crate::bus::{Bus, To};
use crate::celery::event::{self, Event, MULTI, Sender};
use crate::clock::Clock;
use buffer::Buffer;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often a worker says that it is there: monitors drop it after twice as long.
pub const HEARTBEAT: Duration = Duration::from_secs(2);
/// Longest wait for the bus to take a message (5 s).
const SEND: Duration = Duration::from_secs(5);
/// Pause after the bus took nothing.
const PAUSE: Duration = Duration::from_secs(1);

/// Who tells, and what waits to be told. A cheap handle.
#[derive(Debug, Clone)]
pub struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sender: Sender,
    zone: TimeZone,
    clock: Clock,
    lamport: Lamport,
    enabled: AtomicBool,
    tells_sent: bool,
    buffer: Buffer,
    beat: Notify,
}

/// How busy a worker is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Tasks that run.
    pub active: u64,
    /// Tasks that it took since its start.
    pub processed: u64,
}

impl Events {
    /// Makes the events of the worker of this name. `zone` is the one of this
    /// machine; events of tasks are told where `enabled`.
    #[must_use]
    pub fn new(hostname: &str, zone: TimeZone, clock: Clock, enabled: bool) -> Self {
        Self::telling(hostname, zone, clock, (enabled, false))
    }

    /// As [`Events::new`], and tells of the messages that are sent where that is wanted.
    #[must_use]
    pub fn telling(
        hostname: &str,
        zone: TimeZone,
        clock: Clock,
        (enabled, tells_sent): (bool, bool),
    ) -> Self {
        Self(Arc::new(Inner {
            sender: Sender {
                hostname: hostname.to_owned(),
                pid: std::process::id(),
                utcoffset: 0.0,
            },
            zone,
            clock,
            lamport: Lamport::default(),
            enabled: AtomicBool::new(enabled),
            tells_sent,
            buffer: Buffer::default(),
            beat: Notify::new(),
        }))
    }

    /// Returns the name of the worker.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.0.sender.hostname
    }

    /// Returns the logical clock.
    #[must_use]
    pub fn lamport(&self) -> &Lamport {
        &self.0.lamport
    }

    /// Tells whether events of tasks are told.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.enabled.load(Ordering::Relaxed)
    }

    /// Switches events of tasks on or off, and returns whether they were on.
    pub fn enable(&self, on: bool) -> bool {
        self.0.enabled.swap(on, Ordering::Relaxed)
    }

    /// Says soon that the worker is there, out of turn.
    pub fn beat(&self) {
        self.0.beat.notify_one();
    }

    /// Tells something of a task, where that is switched on; it never waits.
    pub fn task(&self, event: impl FnOnce() -> Event) {
        if self.is_enabled() {
            self.push(event());
        }
    }

    /// Tells of a message that was sent, where that is wanted: as with Celery, whether or
    /// not events of tasks are. It never waits.
    pub fn sent(&self, event: impl FnOnce() -> Event) {
        if self.0.tells_sent {
            self.push(event());
        }
    }

    fn push(&self, event: Event) {
        let weight = event.weight();
        self.0.buffer.push(self.document(event), weight);
    }

    /// Tells what waits; what the bus does not take now waits on.
    pub async fn say_all(&self, bus: &dyn Bus) {
        while !self.0.buffer.is_empty() && self.flush(bus).await {}
    }

    /// Returns how many events were dropped because nobody took them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.buffer.dropped()
    }

    fn sender(&self) -> Sender {
        let now = self.0.clock.now();
        let offset = self.0.zone.to_offset(now);
        Sender {
            // Python counts hours west of UTC.
            utcoffset: 0.0 - f64::from(offset.seconds()) / 3_600.0,
            ..self.0.sender.clone()
        }
    }

    fn document(&self, event: Event) -> Value {
        let now = seconds(self.0.clock.now());
        event.document(&self.sender(), now, self.0.lamport.forward())
    }

    fn worker(&self, kind: &'static str, pulse: Pulse) -> (String, Value) {
        let event = Event::new(
            kind,
            json!({
                "freq": HEARTBEAT.as_secs_f64(),
                "active": pulse.active,
                "processed": pulse.processed,
                "loadavg": load::averages(),
                "sw_ident": "celeriac",
                "sw_ver": env!("CARGO_PKG_VERSION"),
                "sw_sys": load::system(),
            }),
        );
        (event.key(), self.document(event))
    }

    /// Tells what waits and that the worker is there, until `stop`; then what is
    /// left and that it is gone.
    pub async fn run(
        &self,
        bus: &dyn Bus,
        pulse: impl Fn() -> Pulse + Send,
        stop: CancellationToken,
    ) {
        let mut is_heard = self.say(bus, "worker-online", pulse()).await;
        let mut ticks =
            tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => is_heard = self.say(bus, "worker-heartbeat", pulse()).await,
                () = self.0.beat.notified() => is_heard = self.say(bus, "worker-heartbeat", pulse()).await,
                () = self.0.buffer.filled(), if is_heard => {
                    is_heard = self.flush(bus).await;
                    if !is_heard {
                        tokio::select! {
                            () = stop.cancelled() => break,
                            () = tokio::time::sleep(PAUSE) => {}
                        }
                    }
                }
            }
        }
        self.say_all(bus).await;
        self.say(bus, "worker-offline", pulse()).await;
    }

    async fn say(&self, bus: &dyn Bus, kind: &'static str, pulse: Pulse) -> bool {
        let (key, document) = self.worker(kind, pulse);
        self.send(bus, key, &document).await
    }

    /// Sends some of what waits; what cannot be sent waits on.
    async fn flush(&self, bus: &dyn Bus) -> bool {
        let some = self.0.buffer.take();
        if some.is_empty() {
            return true;
        }
        let several = Value::Array(some);
        if self.send(bus, MULTI.to_owned(), &several).await {
            return true;
        }
        if let Value::Array(some) = several {
            self.0.buffer.put_back(some);
        }
        false
    }

    async fn send(&self, bus: &dyn Bus, key: String, document: &Value) -> bool {
        let message = event::message(document, &self.0.sender);
        let to = To::Monitors(key);
        match tokio::time::timeout(SEND, bus.send(&to, &message)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(%error, "events wait");
                false
            }
            Err(_) => {
                tracing::debug!("events wait: the bus does not answer");
                false
            }
        }
    }
}

/// Returns a moment as Python's `time` does: seconds since 1970.
#[must_use]
pub fn seconds(moment: Timestamp) -> f64 {
    moment.as_duration().as_secs_f64()
}

#[cfg(test)]
pub(crate) mod tests;
