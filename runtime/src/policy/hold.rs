//! How long a message waits whose task an operator holds, before it is looked at again.

use std::time::Duration;

/// The shortest pause (5 s): an order that is undone soon costs little.
pub const SHORTEST: Duration = Duration::from_secs(5);
/// The longest pause where the end of the order makes messages ready (60 s): it is only
/// for those that the news passes by.
pub const LONGEST: Duration = Duration::from_secs(60);
/// The longest pause where nothing but time does (15 s): that is how late they are.
pub const UNWOKEN: Duration = Duration::from_secs(15);

/// Returns the pause of a message that is held by an order of this age: half of it, so
/// that a backlog is taken ever less often.
#[must_use]
pub fn pause(age: Duration, wakes: bool) -> Duration {
    let longest = if wakes { LONGEST } else { UNWOKEN };
    (age / 2).clamp(SHORTEST, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_age_of_the_order_up_to_a_minute() {
        for (age, woken, unwoken) in [
            (0, 5, 5),
            (10, 5, 5),
            (20, 10, 10),
            (30, 15, 15),
            (100, 50, 15),
            (120, 60, 15),
            (1_000_000, 60, 15),
        ] {
            let age = Duration::from_secs(age);
            assert_eq!(pause(age, true).as_secs(), woken);
            assert_eq!(pause(age, false).as_secs(), unwoken);
        }
    }
}
