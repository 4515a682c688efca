//! A logical clock: what follows from something shows a later time.

use std::sync::atomic::{AtomicI64, Ordering};

/// Highest time that is taken from others (2⁶²): a clock that was sent by
/// somebody hostile must not stand still at the end of the numbers.
const HIGHEST: i64 = 1 << 62;

/// Lamport's clock.
#[derive(Debug, Default)]
pub struct Lamport(AtomicI64);

impl Lamport {
    /// Moves on by one, and returns the time.
    pub fn forward(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Moves on beyond a time that was heard, and returns the time.
    pub fn adjust(&self, heard: i64) -> i64 {
        let heard = if heard > HIGHEST { 0 } else { heard };
        let next = |own: i64| Some(own.max(heard).wrapping_add(1));
        let before = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        before.map_or(0, |own| own.max(heard).wrapping_add(1))
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_only_moves_on() {
        let clock = Lamport::default();
        assert_eq!(clock.forward(), 1);
        assert_eq!(clock.adjust(10), 11);
        assert_eq!(clock.adjust(3), 12);
        assert_eq!(clock.adjust(i64::MAX), 13);
        assert_eq!(clock.adjust(i64::MIN), 14);
        assert_eq!(clock.now(), 14);
    }
}
