//! Preparing for what is being pushed: a component is fetched and compiled while the control
//! plane compiles it, and loaded at once when a module points to it.

use super::backoff::Backoff;
use super::{ANSWER, Follower, PACE, WAIT};
use crate::plane::{ComingView, WorkerComing};
use crate::registry::{ComingComponent, RegistryError};
use crate::remote::RemoteError;
use std::collections::HashSet;
use std::time::Duration;

/// Longest time for a component to come (30 s): what takes longer comes once it is published.
const FETCH: Duration = Duration::from_secs(30);

/// Why a worker is not prepared for a component.
#[derive(Debug, thiserror::Error)]
enum NotPrepared {
    #[error("its name cannot be read")]
    Unreadable,
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Follower {
    /// Prepares for ever; it is ended from outside, at any moment. Whoever follows modules
    /// says what an outage is and what a refusal: nothing depends on this.
    pub(super) async fn coming(self) {
        let (mut backoff, mut number, mut seen) = (Backoff::default(), None, HashSet::new());
        loop {
            let told = match self.ask_coming(number).await {
                Ok(told) => told,
                Err(error) => {
                    tracing::debug!(%error, "the control plane does not tell what is being pushed");
                    number = None;
                    backoff.pause().await;
                    continue;
                }
            };
            backoff.over();
            number = Some(told.number);
            // What could not be prepared is not tried again with every other announcement.
            let digests = told.components.iter().map(|one| one.digest.clone());
            let digests: HashSet<String> = digests.collect();
            for component in told.components {
                if seen.contains(&component.digest) {
                    continue;
                }
                let digest = component.digest.clone();
                if let Err(error) = Box::pin(self.prepare(component)).await {
                    tracing::debug!(component.digest = digest, %error, "this worker is not prepared for a component that is being pushed");
                }
            }
            seen = digests;
            tokio::time::sleep(PACE).await;
        }
    }

    async fn ask_coming(&self, number: Option<u64>) -> Result<WorkerComing, RemoteError> {
        let wait = number.map_or(0, |_| WAIT);
        let ask = self.0.remote.get(&["v1", "worker", "coming"]);
        ask.query("wait", Some(wait))
            .query("number", number)
            .within(Duration::from_secs(wait) + ANSWER)
            .document()
            .await
    }

    async fn prepare(&self, component: ComingView) -> Result<(), NotPrepared> {
        let digest = component.digest.parse();
        let coming = ComingComponent {
            tenant: component.tenant,
            digest: digest.map_err(|_| NotPrepared::Unreadable)?,
            bytes: component.bytes,
        };
        if !self.0.registry.wants(&coming).await? {
            return Ok(());
        }
        let digits = component.digest.trim_start_matches("sha256:");
        let ask = self.0.remote.get(&["v1", "worker", "components", digits]);
        let bytes = ask.within(FETCH).bytes(coming.bytes).await?;
        Ok(self.0.registry.prepare(&coming, bytes).await?)
    }
}
