//! How many attempts are in flight at most: a number that may change.

use crate::worker::shares::Shares;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places of attempts.
#[derive(Debug)]
pub struct Pool {
    shares: Arc<Shares>,
    size: Mutex<usize>,
    start: usize,
    most: usize,
}

/// Why the pool stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// No place is free.
    #[error("Can't shrink pool. All processes busy!")]
    Busy,
    /// It would be empty.
    #[error("the pool must keep at least one attempt in flight; it has {size}")]
    Empty {
        /// Its size.
        size: usize,
    },
    /// The sandbox was prepared for fewer.
    #[error(
        "this worker was started for at most {most} attempts in flight; start it with a higher concurrency"
    )]
    Full {
        /// The most.
        most: usize,
    },
}

impl Pool {
    /// Makes a pool of so many that may grow to `most`.
    #[must_use]
    pub fn new(size: usize, most: usize) -> Self {
        Self {
            shares: Arc::new(Shares::new(size)),
            size: Mutex::new(size),
            start: size,
            most: most.max(size),
        }
    }

    pub(in crate::worker) fn shares(&self) -> &Arc<Shares> {
        &self.shares
    }

    /// Returns the number that the worker was started with.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }

    /// Returns the number it can grow to.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// Returns the number of now.
    #[must_use]
    pub fn size(&self) -> usize {
        *self.lock()
    }

    /// Adds places.
    ///
    /// # Errors
    /// [`PoolError::Full`].
    pub fn grow(&self, by: usize) -> Result<(), PoolError> {
        let mut size = self.lock();
        let grown = size.saturating_add(by);
        if grown > self.most {
            return Err(PoolError::Full { most: self.most });
        }
        *size = grown;
        self.shares.grow(by);
        Ok(())
    }

    /// Takes places away that nobody uses.
    ///
    /// # Errors
    /// [`PoolError::Busy`], [`PoolError::Empty`]; then nothing is taken away.
    pub fn shrink(&self, by: usize) -> Result<(), PoolError> {
        let mut size = self.lock();
        if by >= *size {
            return Err(PoolError::Empty { size: *size });
        }
        if !self.shares.shrink(by) {
            return Err(PoolError::Busy);
        }
        *size -= by;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_grows_and_shrinks_within_its_bounds() {
        let pool = Pool::new(2, 3);
        assert_eq!(pool.grow(1), Ok(()));
        assert_eq!(pool.grow(1), Err(PoolError::Full { most: 3 }));
        let door = pool.shares().join(100);
        let used = [door.place("m.t").await, door.place("m.t").await];
        assert_eq!(pool.shrink(2), Err(PoolError::Busy));
        assert_eq!(pool.shrink(1), Ok(()));
        drop(used);
        assert_eq!(pool.shrink(2), Err(PoolError::Empty { size: 2 }));
        assert_eq!((pool.start(), pool.size()), (2, 2));
        assert_eq!(door.room(), 2);
    }
}
