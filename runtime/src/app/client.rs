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
//! It sends what Celery's own clients send. Results are read where workers keep them;
//! replies (`rpc://`) are not waited for.

mod error;
mod handle;
mod revoke;

pub use crate::celery::{CallError, TaskCall};
pub use crate::config::{Config, RawConfig};
pub use crate::results::Record;
pub use crate::task::{Exception, Json, State, TaskId};
pub use error::{CallFailed, ClientError};
pub use handle::{Group, Handle};

use super::stores::{self, Files};
use super::{clerk, origin};
use crate::broker::{Broker, BrokerError, Outgoing};
use crate::bus::Bus;
use crate::celery::Message;
use crate::clock::Clock;
use crate::config::{Address, check_queue};
use crate::policy::route;
use crate::results::{Results, ResultsError};
use crate::worker::revocations::Clerk;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Most calls of one group (10,000): their messages are made in memory, and each is
/// waited for.
pub const CALLS: usize = 10_000;

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
    files: Files,
}

/// A try to publish that failed, and the next one.
#[derive(Debug)]
pub struct Again<'a> {
    /// What went wrong.
    pub error: &'a BrokerError,
    /// How long from now the next try is.
    pub pause: Duration,
    /// Which further try it is, from 1.
    pub try_number: u32,
    /// How many there are at most.
    pub most: u32,
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
        let broker = stores::broker(&config, &mut files, &clock).await?;
        let results = stores::results(&config, &broker, &mut files, &clock).await?;
        let bus = stores::bus(&config, &mut files, &clock).await?;
        let name = "client";
        let clerk = match has_place(&config) {
            true => {
                let orders = stores::orders(&config, &mut files, &clock).await?;
                Some(clerk(&config, &orders, &results, &clock, name))
            }
            // A client makes no folder of its own for them.
            false => None,
        };
        Ok(Self(Arc::new(Inner {
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
            files: Files::default(),
        }))
    }

    /// Calls a task: its message goes to the queue of its route, else to `celery`. Where
    /// the broker is away, this tries again as `[publish]` says.
    ///
    /// # Errors
    /// [`ClientError`] when it may not have been sent.
    pub async fn call(&self, call: TaskCall) -> Result<Handle, ClientError> {
        let queue = self.queue_of(&call.task).to_owned();
        self.call_in(&queue, call).await
    }

    /// Calls a task through a queue.
    ///
    /// # Errors
    /// As [`Client::call`], and where no queue may have that name.
    pub async fn call_in(&self, queue: &str, call: TaskCall) -> Result<Handle, ClientError> {
        let outgoing = self.outgoing(queue, &call, call.message(&origin()))?;
        self.publish(vec![outgoing], &mut tell).await?;
        Ok(self.handle(call.id))
    }

    /// Calls tasks together, as a group of Celery's: each runs as soon as a worker is
    /// free.
    ///
    /// # Errors
    /// As [`Client::call`], and where they are over [`CALLS`]. Then some may be sent.
    pub async fn group(&self, calls: Vec<TaskCall>) -> Result<Group, ClientError> {
        if calls.len() > CALLS {
            let count = calls.len();
            return Err(ClientError::TooMany { count });
        }
        let (id, origin) = (TaskId::random(), origin());
        let mut all = Vec::with_capacity(calls.len());
        for (place, call) in calls.iter().enumerate() {
            let mut message = call.message(&origin);
            for (name, value) in [("group", json!(id.as_str())), ("group_index", json!(place))] {
                message.headers.insert(name.to_owned(), value);
            }
            let queue = self.queue_of(&call.task);
            all.push(self.outgoing(queue, call, message)?);
        }
        self.publish(all, &mut tell).await?;
        let members = calls.into_iter().map(|call| self.handle(call.id));
        Ok(Group::new(id, members.collect()))
    }

    /// Returns the handle of a task that was called before, by whomever.
    #[must_use]
    pub fn handle(&self, id: TaskId) -> Handle {
        Handle::new(self.clone(), id)
    }

    /// Closes what it opened; what is queued is written first.
    pub async fn close(self) {
        self.0.files.close().await;
    }

    /// Returns the queue of a task.
    #[must_use]
    pub fn queue_of(&self, task: &str) -> &str {
        route::queue(&self.0.config.routes, task)
    }

    /// Tells whether there is a place for results.
    #[must_use]
    pub fn keeps_results(&self) -> bool {
        !matches!(
            self.0.config.result_backend,
            Address::Disabled | Address::Rpc
        )
    }

    /// Makes the message of a call ready for a queue.
    ///
    /// # Errors
    /// [`ClientError::Queue`].
    pub fn outgoing(
        &self,
        queue: &str,
        call: &TaskCall,
        message: Message,
    ) -> Result<Outgoing, ClientError> {
        check_queue(queue).map_err(|reason| ClientError::Queue {
            queue: queue.to_owned(),
            reason,
        })?;
        // What we park is seen by our workers alone, and this may be for others: they
        // look at the header themselves, as ours do.
        let parks = !self.0.broker.profile().parks_apart;
        Ok(Outgoing {
            queue: queue.to_owned(),
            message,
            due: call.eta.filter(|_| parks),
            key: None,
        })
    }

    /// Publishes messages, trying as often as `[publish]` allows, and tells of each
    /// further try. A try whose answer was lost leaves a second message of the same id,
    /// as with Celery; where results are kept, the record of the run makes it stale.
    ///
    /// # Errors
    /// [`BrokerError`], as publishing has it.
    pub async fn publish(
        &self,
        messages: Vec<Outgoing>,
        again: &mut (dyn FnMut(&Again<'_>) + Send),
    ) -> Result<(), BrokerError> {
        let policy = &self.0.config.publish;
        let mut tries = 0;
        loop {
            let error = match self.0.broker.publish(messages.clone()).await {
                Err(error @ BrokerError::Unavailable { .. }) => error,
                published => return published,
            };
            let Some(pause) = policy.pause(tries) else {
                return Err(error);
            };
            tries += 1;
            again(&Again {
                error: &error,
                pause,
                try_number: tries,
                most: policy.max_retries,
            });
            tokio::time::sleep(pause).await;
        }
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

fn tell(again: &Again<'_>) {
    let (error, tries) = (again.error, again.try_number);
    tracing::warn!(%error, tries, "a message was not sent; trying again");
}

#[cfg(test)]
mod tests;
