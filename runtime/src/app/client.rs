//! A client: calls tasks, of Python workers and of ours, and waits for their results.
//!
//! ```no_run
//! use celeriac::client::{CallFailed, Client, TaskCall};
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("redis://127.0.0.1/0", "redis://127.0.0.1/1").await?;
//! let sum = client.call(TaskCall::new("shop.add", "[2, 3]", "{}")?).await?;
//! match sum.get(Some(Duration::from_secs(10))).await {
//!     Ok(result) => println!("{result}"),
//!     Err(CallFailed::Failed(raised)) => println!("{}: {}", raised.class, raised.message),
//!     Err(other) => return Err(other.into()),
//! }
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! It sends what Celery's own clients send, with time limits, stamps and links. Results
//! are read where workers keep them. With `rpc://` for results they come as replies, to
//! this client alone and as long as somebody holds the [`Handle`] of the task.

mod error;
mod handle;
mod revoke;
mod send;

pub use crate::celery::{CallError, TaskCall};
pub use crate::config::{Config, RawConfig};
pub use crate::results::Record;
pub use crate::task::{Exception, Json, State, TaskId};
pub use error::{CallFailed, ClientError};
pub use handle::{Group, Handle};
pub use send::{Again, CALLS};

use super::stores::{self, Files};
use super::{clerk, facts, origin};
use crate::broker::Broker;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::config::Address;
use crate::events::Events;
use crate::policy::route;
use crate::results::{Results, ResultsError};
use crate::task::KnownQueues;
use crate::worker::revocations::Clerk;
use std::path::Path;
use std::sync::Arc;
use tokio::time::Instant;

/// Calls tasks. A cheap handle: clones share their connections.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    clock: Clock,
    broker: Arc<dyn Broker>,
    results: Arc<dyn Results>,
    bus: Arc<dyn Bus>,
    /// Writes revocations down, where there is a place for them.
    clerk: Option<Clerk>,
    events: Events,
    files: Files,
}

/// What commands and clients share.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) clock: &'a Clock,
    pub(super) broker: &'a Arc<dyn Broker>,
    pub(super) results: &'a Arc<dyn Results>,
    pub(super) bus: &'a Arc<dyn Bus>,
    pub(super) clerk: Clerk,
}

impl Client {
    /// Opens the broker and the results of two addresses, such as
    /// `redis://127.0.0.1/0`; without results, `disabled://` is the second.
    ///
    /// # Errors
    /// [`ClientError`] when an address cannot be used. A server that is away is no
    /// error: it is asked when something is called.
    pub async fn connect(broker: &str, results: &str) -> Result<Self, ClientError> {
        let mut raw = RawConfig::default();
        raw.set_flag("broker", "broker", broker.to_owned());
        raw.set_flag("result_backend", "result_backend", results.to_owned());
        let (config, _) = Config::check(raw)?;
        Self::open(config).await
    }

    /// Opens the broker and the results of a configuration file.
    ///
    /// # Errors
    /// As [`Client::connect`], and when the file cannot be read.
    pub async fn configured(file: &Path) -> Result<Self, ClientError> {
        let mut raw = RawConfig::default();
        raw.read_file(file)?;
        let (config, _) = Config::check(raw)?;
        Self::open(config).await
    }

    /// Opens the broker and the results of a configuration.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn open(config: Config) -> Result<Self, ClientError> {
        let (clock, mut files) = (Clock::System, Files::default());
        let queues = KnownQueues::new(config.queues.clone());
        let broker = stores::broker(&config, &queues, &mut files, &clock).await?;
        let bus = stores::bus(&config, &mut files, &clock).await?;
        let results = stores::results(&config, (&broker, &bus), &mut files, &clock).await?;
        let name = "client";
        let clerk = match has_place(&config) {
            true => {
                let (orders, _) = stores::orders(&config, &mut files, &clock).await?;
                Some(clerk(&config, &orders, &results, &clock, name))
            }
            // A client makes no folder of its own for them.
            false => None,
        };
        Ok(Self(Arc::new(Inner {
            events: events(&config, &clock),
            config,
            clock,
            broker,
            results,
            bus,
            clerk,
            files,
        })))
    }

    /// Uses stores that are open and that somebody else closes.
    pub(super) fn over(parts: Parts<'_>) -> Self {
        Self(Arc::new(Inner {
            config: parts.config.clone(),
            clock: parts.clock.clone(),
            broker: Arc::clone(parts.broker),
            results: Arc::clone(parts.results),
            bus: Arc::clone(parts.bus),
            clerk: Some(parts.clerk),
            events: events(parts.config, parts.clock),
            files: Files::default(),
        }))
    }

    /// Returns the handle of a task that was called before, by whomever. With `rpc://`,
    /// it knows of nothing that came to others.
    #[must_use]
    pub fn handle(&self, id: TaskId) -> Handle {
        Handle::new(self.clone(), id, None)
    }

    /// Returns the handle of a call that something else sends, such as one that is linked
    /// to another call. Where results are replies, the call asks for them from now on,
    /// unless it names another queue for them: make its signature of it afterwards.
    ///
    /// # Errors
    /// [`ClientError::Results`] where nothing can be heard.
    pub async fn expect(&self, call: &mut TaskCall) -> Result<Handle, ClientError> {
        let mut handles = self.hear(std::slice::from_mut(call)).await?;
        let handle = handles.pop();
        Ok(handle.unwrap_or_else(|| self.handle(call.id.clone())))
    }

    /// Makes ready to hear of calls, and returns their handles.
    async fn hear(&self, calls: &mut [TaskCall]) -> Result<Vec<Handle>, ClientError> {
        let heard = calls.iter().filter(|call| call.reply_to.is_none());
        let ids: Vec<_> = heard.map(|call| call.id.clone()).collect();
        let hearing = match ids.is_empty() {
            true => None,
            false => self.0.results.hear(ids).await?.map(Arc::new),
        };
        let handles = calls.iter_mut().map(|call| {
            let mut hearing = hearing.clone();
            match (&call.reply_to, &hearing) {
                (None, Some(hearing)) => call.reply_to = Some(hearing.queue().to_owned()),
                (Some(_), _) => hearing = None,
                (None, None) => {}
            }
            Handle::new(self.clone(), call.id.clone(), hearing)
        });
        Ok(handles.collect())
    }

    /// Closes what it opened; what is queued is written first.
    pub async fn close(self) {
        self.0.results.hush().await;
        self.0.files.close().await;
    }

    /// Returns the queue of a task.
    #[must_use]
    pub fn queue_of(&self, task: &str) -> &str {
        route::queue(&self.0.config.routes, task)
    }

    /// Tells whether there is a place for results; with `rpc://` there is none.
    #[must_use]
    pub fn keeps_results(&self) -> bool {
        !matches!(
            self.0.config.result_backend,
            Address::Disabled | Address::Rpc
        )
    }

    /// Returns the broker, to look at it.
    pub(super) fn broker(&self) -> &dyn Broker {
        &*self.0.broker
    }

    /// Returns the results.
    pub(super) fn results(&self) -> &dyn Results {
        &*self.0.results
    }

    /// Returns what writes revocations down, where there is a place for them.
    pub(super) fn clerk(&self) -> Option<&Clerk> {
        self.0.clerk.as_ref()
    }

    /// Waits until a task is over, at most until `deadline`, and tells every
    /// state on the way. Returns the last known record. Cancel-safe.
    ///
    /// # Errors
    /// When the result backend does not answer.
    pub async fn wait(
        &self,
        id: &TaskId,
        deadline: Option<Instant>,
        changed: &mut (dyn FnMut(&Record) + Send),
    ) -> Result<Option<Record>, ResultsError> {
        let mut watcher = self.0.results.watch(id).await?;
        let mut known: Option<Record> = None;
        loop {
            let record = self.0.results.get(id).await?;
            match record {
                Some(record) if record.state.is_final() => return Ok(Some(record)),
                Some(record) if known.as_ref() != Some(&record) => {
                    changed(&record);
                    known = Some(record);
                }
                Some(_) | None => {}
            }
            let end = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = watcher.changed() => changed?,
                () = end => return Ok(known),
            }
        }
    }
}

/// Tells monitors what is sent, where that is wanted.
fn events(config: &Config, clock: &Clock) -> Events {
    let told = (false, config.publish.send_sent_event);
    Events::telling(&origin(), facts::zone(), clock.clone(), told)
}

/// Tells whether revocations have a place that a client need not make.
fn has_place(config: &Config) -> bool {
    [&config.broker, &config.result_backend]
        .into_iter()
        .any(|address| match address {
            Address::Redis(_) | Address::Sentinel(_) | Address::Embedded(_) => true,
            Address::Database(_)
            | Address::Postgres(_)
            | Address::Files(_)
            | Address::Amqp(_)
            | Address::Rpc
            | Address::Disabled => false,
        })
}

#[cfg(test)]
mod tests;
