//! Following where modules point: what is new is fetched, looked at, and only then pointed to.

use super::backoff::Backoff;
use super::{ANSWER, Follower, PACE, WAIT};
use crate::plane::{ComponentView, DescribeWish, Described, WorkerModules};
use crate::registry::{Digest, Fetched, ModuleCopy, RegistryError};
use crate::remote::RemoteError;
use bytes::Bytes;
use celeriac_sandbox::UPLOAD_BYTES;
use std::pin::pin;
use std::time::Duration;

/// What this follows, as the log calls it.
const PART: &str = "modules";
/// Components that are described at once (64): each says at most 256 KiB about its tasks.
const AT_ONCE: usize = 64;
/// Longest time for a component to come (5 min): of 32 MiB over a slow line.
const FETCH: Duration = Duration::from_secs(300);

/// What is known of the control plane: the installation, and its generation.
type Known = Option<(String, u64)>;

/// Why a component is not here.
#[derive(Debug, thiserror::Error)]
enum NotHad {
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

fn numbers(told: &WorkerModules) -> Known {
    Some((told.installation.clone(), told.generation))
}

impl Follower {
    /// Follows modules for ever; it is ended from outside, at any moment.
    pub(super) async fn modules(self) {
        let (mut backoff, mut known, mut stuck) = (Backoff::default(), None, 0);
        loop {
            // What could not be had is tried again, and what is new is heard of meanwhile.
            let wait = match stuck {
                0 => WAIT,
                _ => backoff.next().as_secs().max(1),
            };
            let told = match self.ask_modules(&known, wait).await {
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
            if told.modules.is_none() && stuck > 0 {
                known = None;
                continue;
            }
            match Box::pin(self.copy(told)).await {
                Ok(reached) => {
                    tokio::time::sleep(PACE).await;
                    (known, stuck) = reached;
                    if stuck == 0 && known.is_some() {
                        backoff.over();
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the modules of the control plane are not followed now; trying again");
                    known = None;
                    backoff.pause().await;
                }
            }
        }
    }

    async fn ask_modules(&self, known: &Known, wait: u64) -> Result<WorkerModules, RemoteError> {
        let (installation, generation) = known.clone().unzip();
        let ask = self.0.remote.get(&["v1", "worker", "modules"]);
        ask.query("wait", installation.is_some().then_some(wait))
            .query("installation", installation)
            .query("generation", generation)
            .within(Duration::from_secs(wait) + ANSWER)
            .document()
            .await
    }

    /// Follows what was told, and what is told while its components are on their way; returns
    /// how far that is, and how many modules could not be followed.
    async fn copy(&self, told: WorkerModules) -> Result<(Known, usize), RegistryError> {
        let mut known = numbers(&told);
        let installation = told.installation.clone();
        let Some(copy) = ModuleCopy::read(self.url(), told)? else {
            return Ok((known, 0));
        };
        // Whatever is compiled for a push gives way to what is published.
        self.0.published.send_replace(copy.digests());
        let lacking = self.0.registry.lacking(&copy).await?;
        let has_begun = !lacking.is_empty() && self.has_modules_of(&copy).await?;
        let mut fetching = pin!(self.fetch_all(&copy, &lacking));
        let (mut newest, mut is_newest) = (copy.clone(), true);
        let fetched = loop {
            if has_begun {
                // A rollback does not wait for the components of others.
                self.0.registry.follow(newest.clone(), Vec::new()).await?;
            }
            let told = tokio::select! {
                biased;
                fetched = &mut fetching => break fetched,
                // Whoever begins waits for all that was told.
                told = self.newer(&known), if has_begun => told,
            };
            (known, is_newest) = (numbers(&told), false);
            match ModuleCopy::read(self.url(), told)? {
                Some(newer) if newer.is_of(&installation) => newest = newer,
                _ => return Ok((None, 0)),
            }
        };
        let followed = self.0.registry.follow(newest, fetched).await?;
        if !is_newest {
            // It may name components that were not asked for yet.
            return Ok((None, 0));
        }
        if followed.stuck > 0 {
            tracing::warn!(
                modules = followed.stuck,
                "modules stay as they were here, as their components cannot be had; trying again"
            );
        }
        Ok((known, followed.stuck))
    }

    /// Waits until something newer is told; after an outage everything is.
    async fn newer(&self, known: &Known) -> WorkerModules {
        let (mut known, mut backoff) = (known.clone(), Backoff::default());
        loop {
            tokio::time::sleep(PACE).await;
            match self.ask_modules(&known, WAIT).await {
                Ok(told) => {
                    self.answered(PART);
                    if told.modules.is_some() {
                        return told;
                    }
                }
                Err(error) => {
                    self.failed(PART, &error);
                    known = None;
                    backoff.pause().await;
                }
            }
        }
    }

    async fn fetch_all(&self, copy: &ModuleCopy, lacking: &[Digest]) -> Vec<Fetched> {
        let mut fetched = Vec::with_capacity(lacking.len());
        for some in lacking.chunks(AT_ONCE) {
            self.fetch_some(copy, some, &mut fetched).await;
        }
        fetched
    }

    /// Tells whether modules of this installation were followed before: whoever begins waits
    /// for all of them.
    async fn has_modules_of(&self, copy: &ModuleCopy) -> Result<bool, RegistryError> {
        let known = self.0.registry.copied(self.url()).await?.modules;
        Ok(known.is_some_and(|(installation, _)| copy.is_of(&installation)))
    }

    /// Fetches components; each that cannot be had is told, and keeps no other away.
    async fn fetch_some(&self, copy: &ModuleCopy, some: &[Digest], fetched: &mut Vec<Fetched>) {
        let digests = some.iter().map(ToString::to_string).collect();
        let ask = self.0.remote.post(&["v1", "worker", "components"]);
        let described = ask.json(&DescribeWish { digests }).document::<Described>();
        let described = match described.await {
            Ok(described) => described.components,
            Err(error) => {
                tracing::warn!(%error, "components are not described by the control plane");
                return;
            }
        };
        for component in described.into_iter().take(some.len()) {
            let digest = component.digest.clone();
            if !some.iter().any(|wanted| wanted.to_string() == digest) {
                tracing::error!(
                    digest,
                    "the control plane described a component that nobody asked for"
                );
                continue;
            }
            match Box::pin(self.fetch(copy, component)).await {
                Ok(one) => fetched.push(one),
                Err(NotHad::Remote(error)) => {
                    tracing::warn!(component.digest = digest, %error, "a component cannot be fetched");
                }
                Err(NotHad::Registry(error)) => {
                    tracing::error!(component.digest = digest, %error, "a component is not taken");
                }
            }
        }
    }

    async fn fetch(&self, copy: &ModuleCopy, component: ComponentView) -> Result<Fetched, NotHad> {
        // What is fetched for a push, perhaps this very one, is not fetched again.
        let _alone = self.0.fetching.lock().await;
        let bytes = match self.0.registry.prepared(&component).await? {
            Some(bytes) => bytes,
            None => {
                self.0.registry.expect(copy, &component).await?;
                self.bytes(&component.digest, component.bytes).await?
            }
        };
        Ok(self.0.registry.take(component, bytes).await?)
    }

    /// Returns the bytes of a component, `most` of them.
    pub(super) async fn bytes(&self, digest: &str, most: u64) -> Result<Bytes, RemoteError> {
        let digits = digest.trim_start_matches("sha256:");
        let ask = self.0.remote.get(&["v1", "worker", "components", digits]);
        ask.within(FETCH).bytes(most.min(UPLOAD_BYTES)).await
    }
}
