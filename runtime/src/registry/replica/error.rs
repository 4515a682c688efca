//! What a replica does not take, and why.

use crate::registry::digest::Digest;

/// What is wrong with a replica, or with what its control plane told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// Give the worker a data folder of its own.
    #[error(
        "the data folder has modules or tokens of its own, which a worker that follows a control plane would replace; give it a folder of its own: data, or --data"
    )]
    Occupied,
    /// Change it where it is kept.
    #[error(
        "the modules of this data folder are those of the control plane {server}, which a worker follows; change them there, with --server {server}"
    )]
    Foreign {
        /// Where the control plane is.
        server: String,
    },
    /// Throw it away, and look who stands between the two.
    #[error(
        "the bytes that came as component {digest} are others and were thrown away; look at the store of components of the control plane, and at what stands between it and this worker"
    )]
    Tampered {
        /// What it was called.
        digest: Digest,
    },
    /// Do not fetch it.
    #[error("component {digest} is said to have {bytes} bytes, and {most} is the most (fixed)")]
    TooLarge {
        /// The component.
        digest: Digest,
        /// What was said.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// Raise the limit, or have modules removed.
    #[error(
        "a component of {bytes} bytes has no room beside what modules need; worker.component_cache = {most} bytes"
    )]
    Full {
        /// What is to come.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// Go on with what is known.
    #[error("the control plane told of {number} {what}, and {most} is the most (fixed)")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        number: usize,
        /// The limit.
        most: usize,
    },
    /// Go on with what is known, and compare the versions of both.
    #[error("{what} cannot be read: {reason}; is the control plane of the same version?")]
    Unreadable {
        /// What.
        what: String,
        /// Why.
        reason: String,
    },
}
