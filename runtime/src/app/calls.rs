//! Calls of tasks on behalf of tenants: over the control plane, by its callers.
//!
//! Each tenant has a client of its own, on its own broker and results: what is not found
//! there is not the tenant's.

mod arguments;
mod clients;
mod error;
mod events;
mod keyed;
mod request;
mod status;
mod waiting;

pub use clients::CLIENTS;
pub use error::CallRefused;
pub use events::{Follow, STREAM, TaskEvent};
pub use request::{HEADER_BYTES, HEADERS};
pub use waiting::{WAITERS, WAITERS_OF_A_TENANT};

use super::client::{Again, Client};
use crate::celery::TaskCall;
use crate::clock::Clock;
use crate::config::Config;
use crate::plane::{CallRequest, Called, TaskRevoked, TaskStatus};
use crate::platform::{CallKey, Issuer, Platform, PlatformError, Tenant};
use crate::registry::Registry;
use crate::results::orders::Target;
use crate::task::TaskId;
use crate::worker::revocations::Answer;
use arguments::Known;
use clients::{Clients, Lent};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use waiting::Waiting;

/// Longest time to send a message (15 s): less than an idempotency key is claimed for.
const SENDING: Duration = Duration::from_secs(15);

/// Calls tasks, and tells what becomes of them. A cheap handle.
#[derive(Debug, Clone)]
pub struct Calls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    platform: Platform,
    issuer: Issuer,
    clock: Clock,
    clients: Clients,
    known: Known,
    waiting: Waiting,
}

impl Calls {
    /// Makes what calls tasks, with the configuration of the control plane: that of tenant
    /// `default`, and where tenants have no more than a name.
    ///
    /// # Errors
    /// [`PlatformError::Sql`].
    pub async fn open(
        config: &Config,
        (registry, platform): (Registry, Platform),
        clock: Clock,
    ) -> Result<Self, PlatformError> {
        Ok(Self(Arc::new(Inner {
            issuer: platform.issuer().await?,
            registry,
            platform,
            clients: Clients::new(config.clone(), clock.clone()),
            known: Known::default(),
            waiting: Waiting::default(),
            clock,
        })))
    }

    /// Calls a task. With a key, the same request calls it once, however often it comes;
    /// `body` is what it came as.
    ///
    /// # Errors
    /// [`CallRefused`]; after [`CallRefused::Away`] it may have been sent.
    pub async fn call(
        &self,
        tenant: &Tenant,
        request: &CallRequest,
        key: Option<&CallKey>,
        body: &[u8],
    ) -> Result<Called, CallRefused> {
        if tenant.suspended {
            return Err(CallRefused::Suspended {
                tenant: tenant.name.clone(),
            });
        }
        let client = self.0.clients.get(tenant).await?;
        let asked = request::read(request, &client.config, self.0.clock.now())?;
        let id = match key {
            None => {
                self.admit(tenant, &client, request, &asked).await?;
                let id = self.0.issuer.issue(&tenant.name);
                self.send(&client, &asked, id.clone()).await?;
                id
            }
            Some(key) => {
                let whole = (tenant, &client);
                self.call_once(whole, request, &asked, (key, body)).await?
            }
        };
        Ok(Called::new(tenant.name.as_str(), id.as_str(), &asked.queue))
    }

    /// Tells what is known of a task, at once or, with `wait`, when it is over or the time
    /// has passed. Cancel-safe.
    ///
    /// # Errors
    /// [`CallRefused`].
    pub async fn status(
        &self,
        tenant: &Tenant,
        id: &str,
        wait: Option<Duration>,
    ) -> Result<TaskStatus, CallRefused> {
        let (id, client) = self.find(tenant, id).await?;
        let record = match wait {
            None => client.results().get(&id).await?,
            Some(wait) => {
                let _place = self.0.waiting.take(&tenant.name)?;
                let deadline = Instant::now() + wait;
                client.wait(&id, Some(deadline), &mut |_| ()).await?
            }
        };
        if record.is_none() && !self.0.issuer.is_issued(&tenant.name, &id) {
            return Err(CallRefused::no_task(id.as_str()));
        }
        Ok(status::status(&id, record.as_ref()))
    }

    /// Tells what happens to a task, from what is known now on; `last` is the id of the
    /// last event that its caller knows of.
    ///
    /// # Errors
    /// [`CallRefused`].
    pub async fn follow(
        &self,
        tenant: &Tenant,
        id: &str,
        last: Option<&str>,
    ) -> Result<Follow, CallRefused> {
        let (id, client) = self.find(tenant, id).await?;
        let place = self.0.waiting.take(&tenant.name)?;
        let is_issued = self.0.issuer.is_issued(&tenant.name, &id);
        if !is_issued && client.results().get(&id).await?.is_none() {
            return Err(CallRefused::no_task(id.as_str()));
        }
        let watcher = client.results().watch(&id).await?;
        Ok(Follow::new((client, id), watcher, place, last))
    }

    /// Revokes a task: what waits is not run, and with `terminate` what runs is ended.
    ///
    /// # Errors
    /// [`CallRefused`].
    pub async fn revoke(
        &self,
        tenant: &Tenant,
        id: &str,
        terminate: bool,
    ) -> Result<TaskRevoked, CallRefused> {
        let id = TaskId::parse(id).map_err(|_| CallRefused::no_task(id))?;
        let client = self.0.clients.get(tenant).await?;
        let keeps = client.keeps_results();
        let is_issued = self.0.issuer.is_issued(&tenant.name, &id);
        if !is_issued && (!keeps || client.results().get(&id).await?.is_none()) {
            return Err(CallRefused::no_task(id.as_str()));
        }
        let target = [Target::Task(id.clone())];
        let mut state = None;
        if let Some(clerk) = client.clerk() {
            clerk.record(&target, terminate).await?;
            state = match clerk.answer(&id).await? {
                Answer::Stored => Some("REVOKED".to_owned()),
                Answer::Over(state) | Answer::Running(state) => Some(state.to_string()),
                Answer::Unknown => None,
            };
        }
        client.tell_revoked(&target, terminate).await?;
        Ok(TaskRevoked {
            id: id.to_string(),
            state,
            terminate,
        })
    }

    /// Closes the clients that are open.
    pub async fn close(&self) {
        self.0.clients.close().await;
    }

    /// Returns the id of a task, and a client of a tenant that keeps results.
    async fn find(&self, tenant: &Tenant, id: &str) -> Result<(TaskId, Lent), CallRefused> {
        let id = TaskId::parse(id).map_err(|_| CallRefused::no_task(id))?;
        let client = self.0.clients.get(tenant).await?;
        match client.keeps_results() {
            true => Ok((id, client)),
            false => Err(CallRefused::NoResults),
        }
    }

    /// Tells whether a call may be sent: its task is there and may run, its arguments are
    /// what the task takes, and its queue has room.
    async fn admit(
        &self,
        tenant: &Tenant,
        client: &Client,
        request: &CallRequest,
        asked: &request::Asked,
    ) -> Result<(), CallRefused> {
        let Inner {
            registry, known, ..
        } = &*self.0;
        let task = known.task(registry, &tenant.name, &asked.name).await?;
        known.check(task, request).await?;
        let Some(most) = tenant.quota.queue_depth else {
            return Ok(());
        };
        let depth = client.broker().depth(&asked.queue).await?;
        let waiting = depth.ready.saturating_add(depth.parked.unwrap_or(0));
        match waiting < most {
            true => Ok(()),
            false => Err(CallRefused::QueueFull {
                queue: asked.queue.clone(),
                waiting,
                most,
            }),
        }
    }

    /// Sends a message; should two have the same id, the broker keeps one where it can.
    async fn send(
        &self,
        client: &Client,
        asked: &request::Asked,
        id: TaskId,
    ) -> Result<(), CallRefused> {
        let call = TaskCall {
            id,
            ..asked.call.clone()
        };
        let message = call.message(&super::origin());
        let mut outgoing = client.outgoing(&asked.queue, &call, message)?;
        outgoing.key = Some(format!("call {}", call.id));
        let mut again = |_: &Again<'_>| ();
        match timeout(SENDING, client.publish(vec![outgoing], &mut again)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(CallRefused::Away {
                what: "the broker",
                detail: format!("a message was not taken within {} s", SENDING.as_secs()),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
