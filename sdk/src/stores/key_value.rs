//! The key-value store of a module.

use crate::{Context, StoreError};

/// The key-value store of this task's module; see [`Context::key_value`].
///
/// A key has at most 512 bytes, a value 64 KiB, a module 10,000 keys and the bytes that the
/// operator grants.
#[derive(Debug, Clone, Copy)]
pub struct KeyValue<'a> {
    pub(super) ctx: &'a Context,
}

impl KeyValue<'_> {
    /// Returns the value of a key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.ctx.backend.kept(key)
    }

    /// Keeps a value.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), StoreError> {
        self.ctx.backend.keep(key, value.as_ref())
    }

    /// Removes a key; one that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.ctx.backend.forget(key)
    }

    /// Adds to a number, and returns the sum; a key that is not there counts from 0. Other
    /// attempts may do so at the same time: nothing is counted twice or lost.
    ///
    /// # Errors
    /// [`StoreError`], also when what is kept is no number.
    pub fn increment(&self, key: &str, delta: u64) -> Result<u64, StoreError> {
        self.ctx.backend.increment(key, delta)
    }

    /// Returns all keys, in their order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keys(&self) -> Result<Vec<String>, StoreError> {
        self.ctx.backend.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_counted_and_removed() {
        let ctx = Context::test().kept("b", "2").build();
        let store = ctx.key_value();
        store.set("a", "text").unwrap();
        assert_eq!(store.get("a").unwrap().as_deref(), Some(b"text".as_slice()));
        assert_eq!(store.increment("b", 40), Ok(42));
        assert!(matches!(
            store.increment("a", 1),
            Err(StoreError::Failed(_))
        ));
        assert_eq!(store.keys().unwrap(), ["a", "b"]);
        store.delete("a").unwrap();
        assert_eq!(store.get("a"), Ok(None));
        assert_eq!(ctx.recording().kept["b"], b"42");
    }
}
