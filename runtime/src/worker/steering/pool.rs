//! How many attempts are in flight at most: a number that may change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// The permits of attempts.
#[derive(Debug)]
pub struct Pool {
    permits: Arc<Semaphore>,
    size: Mutex<usize>,
    start: usize,
    most: usize,
}

/// Why the pool stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// No permit is free.
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
    pub(super) fn new(size: usize, most: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(size)),
            size: Mutex::new(size),
            start: size,
            most: most.max(size),
        }
    }

    pub(in crate::worker) fn permits(&self) -> &Arc<Semaphore> {
        &self.permits
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

    /// Adds permits.
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
        self.permits.add_permits(by);
        Ok(())
    }

    /// Takes permits away that nobody uses.
    ///
    /// # Errors
    /// [`PoolError::Busy`], [`PoolError::Empty`]; then nothing is taken away.
    pub fn shrink(&self, by: usize) -> Result<(), PoolError> {
        let mut size = self.lock();
        if by >= *size {
            return Err(PoolError::Empty { size: *size });
        }
        let by_permits = u32::try_from(by).unwrap_or(u32::MAX);
        let Ok(permits) = self.permits.try_acquire_many(by_permits) else {
            return Err(PoolError::Busy);
        };
        permits.forget();
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

    #[test]
    fn it_grows_and_shrinks_within_its_bounds() {
        let pool = Pool::new(2, 3);
        assert_eq!(pool.grow(1), Ok(()));
        assert_eq!(pool.grow(1), Err(PoolError::Full { most: 3 }));
        let used = pool.permits().clone().try_acquire_many_owned(2).unwrap();
        assert_eq!(pool.shrink(2), Err(PoolError::Busy));
        assert_eq!(pool.shrink(1), Ok(()));
        drop(used);
        assert_eq!(pool.shrink(2), Err(PoolError::Empty { size: 2 }));
        assert_eq!((pool.start(), pool.size()), (2, 2));
        assert_eq!(pool.permits().available_permits(), 2);
    }
}
