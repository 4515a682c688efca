//! Preparing for what is being pushed: a component is fetched and compiled while the control
//! plane compiles it, and loaded at once when a module points to it.

use super::backoff::Backoff;
use super::{ANSWER, Follower, PACE, WAIT};
use crate::plane::{ComingView, WorkerComing};
use crate::registry::{COMING, ComingComponent, Digest, RegistryError};
use crate::remote::RemoteError;
use std::collections::HashSet;
use std::time::Duration;

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
            for component in told.components.into_iter().take(COMING) {
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

    /// Prepares for a component, unless others are published meanwhile: nobody waits for the
    /// compiler behind what may be refused.
    async fn prepare(&self, component: ComingView) -> Result<(), NotPrepared> {
        let digest = component.digest.parse();
        let coming = ComingComponent {
            tenant: component.tenant,
            digest: digest.map_err(|_| NotPrepared::Unreadable)?,
            bytes: component.bytes,
        };
        tokio::select! {
            done = self.fetch_and_compile(&coming) => done,
            () = self.others(coming.digest) => Ok(()),
        }
    }

    /// Waits until something is published, and not this.
    async fn others(&self, digest: Digest) {
        let mut published = self.0.published.subscribe();
        loop {
            // It is never closed: we have it.
            let _open = published.changed().await;
            if !published.borrow_and_update().contains(&digest) {
                return;
            }
        }
    }

    async fn fetch_and_compile(&self, coming: &ComingComponent) -> Result<(), NotPrepared> {
        let registry = &self.0.registry;
        let alone = self.0.fetching.lock().await;
        if registry.wants(coming).await? {
            let bytes = self.bytes(&coming.digest.to_string(), coming.bytes).await?;
            registry.keep(coming.digest, bytes).await?;
        }
        drop(alone);
        Ok(registry.prepare(coming).await?)
    }
}
