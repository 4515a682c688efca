//! What a tenant's share of a worker is.

use super::tenant::{Quota, Weight};

/// What a tenant gets of a worker, and how much at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// Whether its tasks wait until an operator says otherwise.
    pub suspended: bool,
    /// Its part of the cores beside others who want them.
    pub weight: Weight,
    /// How much it may use.
    pub quota: Quota,
}

/// Bytes of results, by the second of 1970 at which they are gone.
pub type Buckets = Vec<(i64, u64)>;
