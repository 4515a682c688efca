//! How long to wait before the control plane is asked again.

use std::time::Duration;

/// The first pause (200 ms).
const FIRST: Duration = Duration::from_millis(200);
/// The longest pause (10 s): a control plane that is back is heard of soon.
const LONGEST: Duration = Duration::from_secs(10);

/// Pauses that grow, each with chance in it: workers that lost the same control plane do not
/// come back at the same moment.
#[derive(Debug, Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    /// Returns the next pause: at least half of what it could be.
    pub(super) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.0.min(16)).min(LONGEST);
        self.0 = self.0.saturating_add(1);
        whole.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Begins anew.
    pub(super) fn over(&mut self) {
        self.0 = 0;
    }

    /// Waits for the next pause.
    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_a_fifth_of_a_second_to_ten() {
        let mut backoff = Backoff::default();
        let first = backoff.next();
        assert!(FIRST / 2 <= first && first <= FIRST, "{first:?}");
        for _ in 0..100 {
            let pause = backoff.next();
            assert!(FIRST <= pause * 2 && pause <= LONGEST, "{pause:?}");
        }
        assert!(backoff.next() >= LONGEST / 2);
        backoff.over();
        assert!(backoff.next() <= FIRST);
    }
}
