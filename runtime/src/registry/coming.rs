//! Components that are being pushed: workers elsewhere hear of them before the compiler here
//! is done, so that theirs work beside it and not after it.
//!
//! Nothing depends on it. What is announced may be refused, and what is not heard of is
//! fetched and compiled once it is published.

use super::digest::Digest;
use super::{Registry, RegistryError};
use crate::plane::ComponentView;
use crate::task::TenantName;
use bytes::Bytes;
use std::collections::HashSet;
use tokio::sync::watch;

/// Most components that are announced at once (8), as many as a control plane takes at once;
/// what comes beyond them is heard of when it is published.
pub const COMING: usize = 8;
/// What a refusal calls a component that has no name yet.
const SUBJECT: &str = "a component that is being pushed";

/// What is being pushed now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coming {
    /// Moves with every component that is announced.
    pub number: u64,
    /// The components.
    pub components: Vec<ComingComponent>,
}

/// A component that is being pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComingComponent {
    /// By whom.
    pub tenant: TenantName,
    /// The component.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
}

/// An announcement, until it is dropped.
#[derive(Debug)]
pub(super) struct Announced<'a> {
    board: &'a watch::Sender<Coming>,
    component: ComingComponent,
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.board.send_if_modified(|now| {
            let mut all = now.components.iter();
            if let Some(place) = all.position(|one| *one == self.component) {
                now.components.swap_remove(place);
            }
            // Nobody waits for the end of an announcement.
            false
        });
    }
}

impl Registry {
    /// Announces a component, as long as what is returned lives.
    pub(super) fn announce(&self, component: ComingComponent) -> Option<Announced<'_>> {
        let board = self.board();
        let is_told = board.send_if_modified(|now| {
            let has_room = now.components.len() < COMING;
            if has_room {
                now.number = now.number.wrapping_add(1);
                now.components.push(component.clone());
            }
            has_room
        });
        is_told.then_some(Announced { board, component })
    }

    /// Returns what is being pushed, and what will be.
    #[must_use]
    pub fn coming(&self) -> watch::Receiver<Coming> {
        self.board().subscribe()
    }

    /// Tells whether a component is being pushed.
    #[must_use]
    pub fn is_coming(&self, digest: Digest) -> bool {
        let now = self.board().borrow();
        now.components.iter().any(|one| one.digest == digest)
    }

    /// Tells whether a replica wants the bytes of a component that is being pushed, and makes
    /// room for them.
    ///
    /// # Errors
    /// [`TooLarge`](super::ReplicaError::TooLarge), [`Full`](super::ReplicaError::Full);
    /// [`RegistryError::Storage`], [`RegistryError::Database`].
    pub async fn wants(&self, coming: &ComingComponent) -> Result<bool, RegistryError> {
        let (digest, bytes) = (coming.digest, coming.bytes);
        let has = self
            .components()
            .blocking(move |files| Ok(files.has(digest, bytes)));
        if has.await? {
            return Ok(false);
        }
        let needed = HashSet::from([digest]);
        self.make_room((digest, bytes), &needed).await?;
        Ok(true)
    }

    /// Compiles a component that is being pushed and whose bytes are here, so that it is
    /// loaded at once when it is published.
    ///
    /// # Errors
    /// [`RegistryError::Damaged`] where they are not here; what compiling it brings,
    /// [`RegistryError::Refused`] for one.
    pub async fn prepare(&self, coming: &ComingComponent) -> Result<(), RegistryError> {
        if self.components().is_compiled(coming.digest) {
            return Ok(());
        }
        let subject = (&coming.tenant, SUBJECT);
        let held = self.components().get(coming.digest, subject);
        held.await.map(drop)
    }

    /// Returns the bytes of a component that were fetched when it was announced.
    ///
    /// # Errors
    /// [`RegistryError::Storage`].
    pub async fn prepared(
        &self,
        component: &ComponentView,
    ) -> Result<Option<Bytes>, RegistryError> {
        let Ok(digest) = component.digest.parse::<Digest>() else {
            return Ok(None);
        };
        self.components().found(digest).await
    }
}
