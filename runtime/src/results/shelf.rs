//! What modules keep between attempts: keys and values, each module's on a shelf of its own.
//!
//! Kept where orders are, so that all workers that share results or messages through one
//! server see the same.

use super::ResultsError;
use async_trait::async_trait;
use std::fmt::Debug;

/// Most keys of one page.
pub const PAGE: usize = 1_000;
/// The largest number that can be counted up to.
pub const LARGEST: u64 = i64::MAX.unsigned_abs();

/// How much a shelf holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes of all keys and values.
    pub bytes: u64,
    /// Number of keys.
    pub keys: u64,
}

/// Why something is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The keys and values would have too many bytes.
    TooManyBytes,
    /// There would be too many keys.
    TooManyKeys,
    /// What is there is no number, or the sum is over [`LARGEST`].
    NotANumber,
}

/// What became of something to be kept.
pub type Kept<T> = Result<T, Refused>;

/// The shelves of all modules. Methods may be called from many tasks at once; whoever
/// calls them keeps to sensible sizes of keys and values.
#[async_trait]
pub trait Shelves: Debug + Send + Sync {
    /// Returns the values of keys, in their order.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn get(
        &self,
        module: &str,
        keys: &[String],
    ) -> Result<Vec<Option<Vec<u8>>>, ResultsError>;

    /// Keeps values, one after the other, until one finds no space. A smaller value in
    /// the place of a larger one always does.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn set(
        &self,
        module: &str,
        pairs: Vec<(String, Vec<u8>)>,
        space: Space,
    ) -> Result<Kept<()>, ResultsError>;

    /// Removes keys.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn delete(&self, module: &str, keys: Vec<String>) -> Result<(), ResultsError>;

    /// Returns at most [`PAGE`] keys, in the order of their bytes, after so many of them.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn keys(&self, module: &str, after: u64) -> Result<Vec<String>, ResultsError>;

    /// Adds to a number that is kept as decimal digits, and returns the sum. What is not
    /// there is 0.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn increment(
        &self,
        module: &str,
        key: String,
        delta: u64,
        space: Space,
    ) -> Result<Kept<u64>, ResultsError>;
}
