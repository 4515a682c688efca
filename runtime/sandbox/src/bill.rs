//! What attempts came to, also those that are cut off and leave no report.

use crate::invoke::Usage;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Adds up what attempts took. Cheap to clone; all clones are one.
///
/// Whoever drops an attempt before its end gets no [`Report`](crate::Report): its bill says
/// all the same what it took, as soon as the guest is gone.
#[derive(Debug, Clone, Default)]
pub struct Bill(Arc<Sheet>);

#[derive(Debug, Default)]
struct Sheet {
    sums: Mutex<Sums>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Sums {
    usage: Usage,
    open: u32,
}

/// Something on a bill that is not over yet. Dropped, it is over and came to nothing.
#[derive(Debug)]
pub struct Open {
    bill: Bill,
    usage: Usage,
}

impl Bill {
    /// Notes that something begins whose cost is yet to come.
    #[must_use]
    pub fn open(&self) -> Open {
        let mut sums = self.sums();
        sums.open = sums.open.saturating_add(1);
        Open {
            bill: self.clone(),
            usage: Usage::default(),
        }
    }

    /// Returns what has come to an end took together. Attempts of one bill run one after
    /// another, and what passes in between is not theirs: there is no wall time.
    #[must_use]
    pub fn total(&self) -> Usage {
        self.sums().usage
    }

    /// Waits until all that was begun is over. Cancel-safe.
    pub async fn closed(&self) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.sums().open == 0 {
                return;
            }
            changed.await;
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        // Sums that a panic left are sums all the same.
        self.0.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Says what it came to; it is over.
    pub fn close(mut self, usage: &Usage) {
        self.usage = *usage;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut sums = self.bill.sums();
        sums.usage.add(&self.usage);
        sums.open = sums.open.saturating_sub(1);
        drop(sums);
        self.bill.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::time::Duration;

    fn cpu(ms: u64) -> Usage {
        Usage {
            cpu: Duration::from_millis(ms),
            ..Usage::default()
        }
    }

    #[tokio::test]
    async fn a_bill_is_closed_when_all_on_it_is_over() {
        let bill = Bill::default();
        assert!(bill.closed().now_or_never().is_some());
        let (first, second) = (bill.open(), bill.clone().open());
        first.close(&cpu(5));
        let mut closed = Box::pin(bill.closed());
        assert!(closed.as_mut().now_or_never().is_none());
        drop(second);
        closed.await;
        bill.open().close(&cpu(7));
        assert_eq!(bill.total(), cpu(12));
    }
}
