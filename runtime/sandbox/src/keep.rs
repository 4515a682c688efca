//! The key-value store of a module, as a guest's host sees it. What it is kept in is
//! the business of whoever runs the attempt.

mod drawer;

pub use drawer::Drawer;

use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::pin::Pin;

/// Longest key, bytes.
pub const KEY_VALUE_KEY_BYTES: usize = 512;
/// Largest value (64 KiB): larger things belong where large things are kept.
pub const KEY_VALUE_VALUE_BYTES: usize = 64 << 10;
/// Most keys of one module.
pub const KEY_VALUE_KEYS: u64 = 10_000;
/// Most keys of one call that names several, so that one answer stays small.
pub const KEY_VALUE_BATCH: usize = 100;
/// Most keys of one page.
pub const KEY_VALUE_PAGE: usize = 1_000;

/// How much a module may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Bytes of all keys and values.
    pub bytes: u64,
    /// Number of keys.
    pub keys: u64,
}

/// Why something was not kept or read; the text is for the guest's author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeepError {
    /// There is no room for it.
    Full(String),
    /// What is kept is no number that can be added to.
    NotANumber(String),
    /// The store cannot be reached just now.
    Unavailable(String),
}

impl KeepError {
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Full(text) | Self::NotANumber(text) | Self::Unavailable(text) => text,
        }
    }
}

/// What a [`Keeper`] answers with.
pub type Keeping<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeepError>> + Send + 'a>>;

/// The key-value store of one module. Keys and values are within the limits above; a
/// wait counts as time of the attempt.
pub trait Keeper: Debug + Send + Sync {
    /// Returns the values of keys, in their order.
    fn get(&self, keys: Vec<String>) -> Keeping<'_, Vec<Option<Vec<u8>>>>;

    /// Keeps values, one after the other, until one finds no room.
    fn set(&self, pairs: Vec<(String, Vec<u8>)>, room: Room) -> Keeping<'_, ()>;

    /// Removes keys; one that is not there is passed over.
    fn delete(&self, keys: Vec<String>) -> Keeping<'_, ()>;

    /// Returns at most [`KEY_VALUE_PAGE`] keys, in the order of their bytes, after so many.
    fn keys(&self, after: u64) -> Keeping<'_, Vec<String>>;

    /// Adds to a number kept as decimal digits, and returns the sum; a missing one is 0.
    fn increment(&self, key: String, delta: u64, room: Room) -> Keeping<'_, u64>;
}
