//! Following what must not run, and whom to serve how, apart from modules: who must stop
//! something does not wait for code that is fetched.

use super::backoff::Backoff;
use super::{ANSWER, Follower, PACE, WAIT};
use crate::plane::WorkerOrders;
use crate::registry::RegistryError;
use crate::remote::RemoteError;
use std::time::Duration;

/// What this follows, as the log calls it.
const PART: &str = "orders";

/// What is known of the control plane: the installation, changes of kills and, once they were
/// told, of tenants.
type Known = Option<(String, u64, Option<u64>)>;

impl Follower {
    /// Follows orders for ever; it is ended from outside, at any moment.
    pub(super) async fn orders(self) {
        let (mut backoff, mut known) = (Backoff::default(), None);
        loop {
            let told = match self.ask_orders(&known).await {
                Ok(told) => told,
                Err(error) => {
                    self.failed(PART, &error);
                    // What comes back may be another, with the same numbers.
                    known = None;
                    backoff.pause().await;
                    continue;
                }
            };
            self.answered(PART);
            let numbers = (
                told.installation.clone(),
                told.kills_number,
                told.tenants_number,
            );
            match Box::pin(self.take_orders(told)).await {
                Ok(()) => {
                    known = Some(numbers);
                    backoff.over();
                    tokio::time::sleep(PACE).await;
                }
                Err(error) => {
                    tracing::error!(%error, "the orders of the control plane are not followed now; trying again");
                    known = None;
                    backoff.pause().await;
                }
            }
        }
    }

    async fn ask_orders(&self, known: &Known) -> Result<WorkerOrders, RemoteError> {
        let known = known.as_ref();
        let ask = self.0.remote.get(&["v1", "worker", "orders"]);
        ask.query("wait", known.map(|_| WAIT))
            .query(
                "installation",
                known.map(|(installation, _, _)| installation),
            )
            .query("kills", known.map(|(_, kills, _)| *kills))
            .query("tenants", known.and_then(|(.., tenants)| *tenants))
            .within(Duration::from_secs(WAIT) + ANSWER)
            .document()
            .await
    }

    async fn take_orders(&self, told: WorkerOrders) -> Result<(), RegistryError> {
        let registry = &self.0.registry;
        if let Some(kills) = told.kills {
            let origin = (self.url(), told.installation.as_str(), told.kills_number);
            registry.follow_kills(origin, kills).await?;
        }
        if let (Some(tenants), Some(number)) = (told.tenants, told.tenants_number) {
            let origin = (self.url(), told.installation.as_str(), number);
            registry.follow_tenants(origin, &tenants).await?;
            self.0.tenants.send_replace(tenants.into());
        }
        Ok(())
    }
}
