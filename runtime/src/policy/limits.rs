//! The limits of one attempt: what the module asks for, within what its tenant
//! may have, lowered by what the message asks for.

use crate::task::Ceiling;
use celeriac_sandbox::{AskedLimits, Limits};
use std::time::Duration;

/// Returns the limits of an attempt.
///
/// A task that asks for nothing gets `defaults`; what it asks for is lowered to
/// `ceiling`; the message's own hard and soft limits only lower the result.
#[must_use]
pub fn effective(
    defaults: &Limits,
    asked: &AskedLimits,
    ceiling: &Limits,
    hard: Option<Duration>,
    soft: Option<Duration>,
) -> Limits {
    let time = |asked: Option<u64>, default: Duration, most: Duration| {
        asked.map_or(default, Duration::from_millis).min(most)
    };
    let wall = time(asked.wall_ms, defaults.wall, ceiling.wall);
    let wall = hard.map_or(wall, |hard| hard.min(wall));
    let wanted = asked
        .soft_wall_ms
        .map(Duration::from_millis)
        .or(defaults.soft);
    let wanted = [wanted, ceiling.soft, soft].into_iter().flatten().min();
    Limits {
        wall,
        // A soft limit after the hard one would never be seen.
        soft: wanted.filter(|soft| *soft < wall),
        cpu: time(asked.cpu_ms, defaults.cpu, ceiling.cpu),
        memory: asked
            .memory_bytes
            .unwrap_or(defaults.memory)
            .min(ceiling.memory),
        arguments_bytes: defaults.arguments_bytes.min(ceiling.arguments_bytes),
        result_bytes: asked
            .result_bytes
            .unwrap_or(defaults.result_bytes)
            .min(ceiling.result_bytes),
        failure_bytes: defaults.failure_bytes.min(ceiling.failure_bytes),
        log_bytes: defaults.log_bytes.min(ceiling.log_bytes),
        log_lines: defaults.log_lines.min(ceiling.log_lines),
        progress_bytes: defaults.progress_bytes.min(ceiling.progress_bytes),
    }
}

/// Lowers the most that the operator's configuration lets an attempt have to the ceiling
/// of a tenant, which raises nothing.
#[must_use]
pub fn under(limits: &Limits, ceiling: &Ceiling) -> Limits {
    let time = |most: Option<u64>, own: Duration| {
        most.map_or(own, |most| Duration::from_millis(most).min(own))
    };
    let wall = time(ceiling.wall_ms, limits.wall);
    let memory = ceiling.memory_bytes.unwrap_or(u64::MAX);
    Limits {
        wall,
        soft: limits.soft.filter(|soft| *soft < wall),
        cpu: time(ceiling.cpu_ms, limits.cpu),
        memory: memory.min(limits.memory),
        ..limits.clone()
    }
}

/// Says why a task whose attempts may take `wall` cannot be run where the broker takes
/// a message back after `longest`; `None` when it can.
#[must_use]
pub fn outlasts(wall: Duration, longest: Option<Duration>) -> Option<String> {
    let longest = longest.filter(|longest| wall >= *longest)?;
    Some(format!(
        "an attempt may take {} s, but the broker takes its message back after {} s; lower the task's \
         time limit, or raise consumer_timeout in rabbitmq.conf and worker.consumer_timeout here",
        wall.as_secs(),
        longest.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_ceiling_lowers_and_raises_nothing() {
        let limits = Limits {
            soft: Some(Duration::from_secs(50)),
            ..Limits::default()
        };
        assert_eq!(under(&limits, &Ceiling::default()), limits);
        let high = Ceiling {
            wall_ms: Some(u64::MAX),
            cpu_ms: Some(u64::MAX),
            memory_bytes: Some(u64::MAX),
            max_retries: None,
        };
        assert_eq!(under(&limits, &high), limits);
        let low = Ceiling {
            wall_ms: Some(40_000),
            cpu_ms: Some(7),
            memory_bytes: Some(9),
            max_retries: Some(0),
        };
        let lowered = under(&limits, &low);
        assert_eq!(lowered.wall, Duration::from_secs(40));
        assert_eq!((lowered.soft, lowered.memory), (None, 9));
        assert_eq!(lowered.cpu, Duration::from_millis(7));
        assert_eq!(lowered.result_bytes, limits.result_bytes);
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_time_limit_must_end_before_the_broker_takes_the_message_back() {
        let longest = Some(seconds(1_800));
        assert_eq!(outlasts(seconds(1_799), longest), None);
        assert!(
            outlasts(seconds(1_800), longest)
                .unwrap()
                .contains("consumer_timeout")
        );
        assert_eq!(outlasts(Duration::MAX, None), None);
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ceiling() -> Limits {
        Limits {
            wall: seconds(600),
            cpu: seconds(60),
            memory: 128 * MIB,
            result_bytes: 8 * MIB,
            ..Limits::default()
        }
    }

    #[test]
    fn a_task_that_asks_for_nothing_gets_the_defaults() {
        let limits = effective(
            &Limits::default(),
            &AskedLimits::default(),
            &ceiling(),
            None,
            None,
        );
        assert_eq!(limits, Limits::default());
    }

    #[test]
    fn a_task_gets_what_it_asks_for_up_to_the_ceiling() {
        let modest = AskedLimits {
            wall_ms: Some(1_000),
            cpu_ms: Some(45_000),
            memory_bytes: Some(100 * MIB),
            result_bytes: Some(1),
            soft_wall_ms: Some(500),
        };
        let limits = effective(&Limits::default(), &modest, &ceiling(), None, None);
        assert_eq!(
            (limits.wall, limits.cpu, limits.soft),
            (seconds(1), seconds(45), Some(Duration::from_millis(500)))
        );
        assert_eq!((limits.memory, limits.result_bytes), (100 * MIB, 1));
        let greedy = AskedLimits {
            wall_ms: Some(u64::MAX),
            cpu_ms: Some(u64::MAX),
            memory_bytes: Some(u64::MAX),
            result_bytes: Some(u64::MAX),
            soft_wall_ms: Some(u64::MAX),
        };
        let limits = effective(&Limits::default(), &greedy, &ceiling(), None, None);
        assert_eq!(
            (limits.wall, limits.cpu, limits.soft),
            (seconds(600), seconds(60), None)
        );
        assert_eq!((limits.memory, limits.result_bytes), (128 * MIB, 8 * MIB));
    }

    #[test]
    fn a_message_may_lower_the_time_limits_and_never_raise_them() {
        let asked = AskedLimits::default();
        let of = |hard, soft| effective(&Limits::default(), &asked, &ceiling(), hard, soft);
        let lowered = of(Some(seconds(5)), Some(seconds(2)));
        assert_eq!((lowered.wall, lowered.soft), (seconds(5), Some(seconds(2))));
        let raised = of(Some(seconds(5_000)), Some(seconds(4_000)));
        assert_eq!((raised.wall, raised.soft), (seconds(300), None));
    }
}
