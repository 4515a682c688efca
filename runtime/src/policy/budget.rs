//! How many tasks a task and all its descendants may send.
//!
//! There is no counter that all workers share, so the number travels: each
//! message of a task that was sent by a task carries what is left for it
//! (`x-celeriac-submits`), and what a task gives to its children it has no more.
//! The sum over a whole tree of tasks is never above the root's budget.
//!
//! What is sent at once gets a hundredth of its sender's budget, because nobody
//! knows how many more follow; what is sent on success shares all that is left,
//! because then their number is known. So a task that sends its own successor on
//! success can do so 10,000 times, and a tree of tasks can be 100 wide and 2 deep.
//!
//! A repeated attempt starts with the same budget again, and sends the same tasks
//! again (their ids say so). Retries that send other tasks each time are bounded
//! by the number of retries.

use crate::defence::{Defence, stands};
use celeriac_sandbox::SUBMITS;

/// Tasks that a task without a budget and all its descendants may send (10,000).
pub const ROOT: u32 = 10_000;

/// What one attempt has to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    left: u32,
    share: u32,
}

impl Budget {
    /// The budget of an attempt whose message told `told`.
    #[must_use]
    pub fn new(told: Option<u64>) -> Self {
        let told = told.and_then(|told| u32::try_from(told).ok());
        let left = told.unwrap_or(ROOT).min(ROOT);
        Self {
            left,
            share: (left / SUBMITS).saturating_sub(1),
        }
    }

    /// Takes `count` tasks that are sent at once, and returns what each of them
    /// may send; `None` when there is not enough left.
    pub fn now(&mut self, count: u32) -> Option<u32> {
        let price = count.checked_mul(self.share.saturating_add(1))?;
        self.take(price)?;
        Some(self.share)
    }

    /// Takes `count` tasks that are sent later; `None` when there is not enough.
    pub fn later(&mut self, count: u32) -> Option<()> {
        self.take(count)
    }

    fn take(&mut self, price: u32) -> Option<()> {
        if stands(Defence::Budget) {
            self.left = self.left.checked_sub(price)?;
        }
        Some(())
    }

    /// What each of `count` tasks may send that [`Budget::later`] took.
    #[must_use]
    pub fn shared(self, count: u32) -> u32 {
        self.left.checked_div(count).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defence::without;
    use proptest::prelude::*;

    #[test]
    fn a_task_may_send_a_hundred_which_may_send_99_each_and_that_is_all() {
        let mut root = Budget::new(None);
        for _ in 0..SUBMITS {
            assert_eq!(root.now(1), Some(99));
        }
        assert_eq!(root.now(1), None);
        let mut child = Budget::new(Some(99));
        for _ in 0..99 {
            assert_eq!(child.now(1), Some(0));
        }
        assert_eq!(child.now(1), None);
        assert_eq!(Budget::new(Some(0)).now(1), None);
    }

    #[test]
    fn a_task_may_send_its_successor_ten_thousand_times() {
        let mut left = ROOT;
        let mut sent = 0;
        loop {
            let mut budget = Budget::new(Some(u64::from(left)));
            if budget.later(1).is_none() {
                break;
            }
            left = budget.shared(1);
            sent += 1;
        }
        assert_eq!(sent, ROOT);
    }

    #[test]
    fn without_a_budget_a_task_sends_its_successor_without_end() {
        let successors = |most: u32| {
            let mut left = ROOT;
            (0..most)
                .take_while(|_| {
                    let mut budget = Budget::new(Some(u64::from(left)));
                    let sent = budget.later(1).is_some();
                    left = budget.shared(1);
                    sent
                })
                .count()
        };
        assert_eq!(successors(5 * ROOT), 10_000);
        let _away = without(&[Defence::Budget]);
        // The hundred tasks of an attempt are counted by the sandbox; each of them begins anew.
        assert_eq!(successors(5 * ROOT), 50_000);
        let mut child = Budget::new(Some(0));
        assert!((0..1_000).all(|_| child.now(1).is_some()));
    }

    #[test]
    fn a_budget_that_a_caller_makes_up_is_not_above_the_roots() {
        assert_eq!(Budget::new(Some(u64::MAX)), Budget::new(None));
        assert_eq!(Budget::new(Some(1_000_000)), Budget::new(None));
    }

    proptest! {
        /// Whatever is sent, the children and their budgets are within the sender's.
        #[test]
        fn nothing_is_given_twice(told in 0_u32..20_000, now in 0_u32..150, later in 0_u32..150) {
            let mut budget = Budget::new(Some(u64::from(told)));
            let mut given = 0;
            for _ in 0..now {
                given += budget.now(1).map_or(0, |share| share + 1);
            }
            let taken = (0..later).filter_map(|_| budget.later(1)).count();
            let taken = u32::try_from(taken).unwrap();
            given += taken + taken * budget.shared(taken);
            prop_assert!(given <= told.min(ROOT));
        }
    }
}
