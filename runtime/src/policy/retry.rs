//! Whether a failed attempt is repeated, and when.

use celeriac_sandbox::RetryPolicy;
use std::time::Duration;

/// Longest delay before a retry, whoever asks for it (30 days): a message that
/// waits longer is a schedule.
pub const LONGEST_DELAY: Duration = Duration::from_secs(30 * 24 * 3600);

/// How the attempts of one task are repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Retries after the first attempt.
    pub max_retries: u32,
    /// Delay before the first retry.
    pub first: Duration,
    /// Longest computed delay.
    pub longest: Duration,
    /// Growth of the delay, thousandths.
    pub factor_milli: u32,
    /// Whether the delay is random between zero and the computed one.
    pub jitter: bool,
    /// Prefixes of failure kinds that are retried.
    pub kinds: Vec<String>,
}

impl Plan {
    /// Makes a task's plan: what it asks for, with `max_retries` and
    /// `delay` where it asks for nothing, and never more than `cap` retries.
    #[must_use]
    pub fn new(asked: Option<&RetryPolicy>, max_retries: u32, delay: Duration, cap: u32) -> Self {
        let constant = Self {
            max_retries: max_retries.min(cap),
            first: delay,
            longest: delay,
            factor_milli: 1_000,
            jitter: false,
            kinds: Vec::new(),
        };
        let Some(asked) = asked else {
            return constant;
        };
        let asked_for = Self {
            max_retries: asked.max_retries.unwrap_or(max_retries).min(cap),
            kinds: asked.retry_kinds.clone(),
            jitter: asked.jitter,
            ..constant
        };
        let Some(first) = asked.first_delay_ms else {
            return asked_for;
        };
        Self {
            first: Duration::from_millis(first),
            longest: Duration::from_millis(asked.max_delay_ms).min(LONGEST_DELAY),
            factor_milli: asked.factor_milli,
            ..asked_for
        }
    }

    /// Tells whether a plain failure of this kind is retried.
    #[must_use]
    pub fn covers(&self, kind: &str) -> bool {
        self.kinds
            .iter()
            .any(|prefix| kind.starts_with(prefix.as_str()))
    }

    /// Returns the delay before retry number `retries + 1`. `dice` is a random
    /// number, used only with jitter.
    #[must_use]
    pub fn delay(&self, retries: u32, dice: u64) -> Duration {
        let factor = f64::from(self.factor_milli.max(1)) / 1_000.0;
        // Past 64 doublings everything is the longest delay.
        let grown =
            self.first.as_secs_f64() * factor.powi(i32::try_from(retries.min(64)).unwrap_or(64));
        let computed = Duration::try_from_secs_f64(grown)
            .unwrap_or(LONGEST_DELAY)
            .min(self.longest);
        if !self.jitter {
            return computed;
        }
        let span = u64::try_from(computed.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(if span == 0 { 0 } else { dice % (span + 1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            max_retries: Some(5),
            first_delay_ms: Some(1_000),
            max_delay_ms: 600_000,
            factor_milli: 2_000,
            jitter: false,
            retry_kinds: vec!["http.".to_owned(), "ConnectionError".to_owned()],
        }
    }

    fn plan(policy: &RetryPolicy) -> Plan {
        Plan::new(Some(policy), 3, Duration::from_secs(180), 100)
    }

    #[test]
    fn a_task_without_a_policy_waits_as_celery_does() {
        let plan = Plan::new(None, 3, Duration::from_secs(180), 100);
        assert_eq!(plan.max_retries, 3);
        assert_eq!(plan.delay(0, 7), plan.delay(2, 9));
        assert_eq!(plan.delay(0, 0), Duration::from_secs(180));
    }

    #[test]
    fn a_task_that_names_no_delay_gets_the_hosts() {
        let asked = RetryPolicy {
            first_delay_ms: None,
            ..policy()
        };
        let plan = plan(&asked);
        assert_eq!((plan.max_retries, plan.covers("http.x")), (5, true));
        assert_eq!(plan.delay(4, 0), Duration::from_secs(180));
    }

    #[test]
    fn the_delay_doubles_up_to_the_longest() {
        let plan = plan(&policy());
        let delays: Vec<u64> = (0..12)
            .map(|retries| plan.delay(retries, 0).as_secs())
            .collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
    }

    #[test]
    fn kinds_match_by_prefix() {
        let plan = plan(&policy());
        assert!(plan.covers("http.timeout") && plan.covers("ConnectionError"));
        assert!(!plan.covers("https") && !plan.covers("ValueError"));
    }

    #[test]
    fn the_cap_bounds_what_a_module_asks_for() {
        let greedy = RetryPolicy {
            max_retries: Some(u32::MAX),
            ..policy()
        };
        assert_eq!(plan(&greedy).max_retries, 100);
    }

    proptest! {
        #[test]
        fn no_policy_gives_a_delay_over_the_longest(
            first in any::<u64>(), longest in any::<u64>(), factor in any::<u32>(),
            jitter in any::<bool>(), retries in any::<u32>(), dice in any::<u64>(),
        ) {
            let wild = RetryPolicy {
                max_retries: None, first_delay_ms: Some(first), max_delay_ms: longest,
                factor_milli: factor, jitter, retry_kinds: Vec::new(),
            };
            let plan = plan(&wild);
            let delay = plan.delay(retries, dice);
            prop_assert!(delay <= plan.longest && delay <= LONGEST_DELAY);
        }
    }
}
