//! What attempts of a task took lately.

use std::collections::HashMap;
use std::time::Duration;

/// Most tasks of a lane whose mean is kept (1,000); the rest share one.
const TASKS: usize = 1_000;
/// The name of the rest.
const REST: &str = "";
/// How much the newest attempt counts: one part of four.
const PARTS: u32 = 4;

/// Recent means of CPU time by task.
#[derive(Debug, Default)]
pub(super) struct Means(HashMap<String, Duration>);

impl Means {
    /// Returns what an attempt of a task will probably take.
    pub(super) fn of(&self, task: &str) -> Option<Duration> {
        self.0.get(task).or_else(|| self.0.get(REST)).copied()
    }

    /// Learns what one took.
    pub(super) fn learn(&mut self, task: &str, cpu: Duration) {
        let known = self.0.len() < TASKS || self.0.contains_key(task);
        let task = if known { task } else { REST };
        match self.0.get_mut(task) {
            Some(mean) => *mean = *mean - *mean / PARTS + cpu / PARTS,
            None => drop(self.0.insert(task.to_owned(), cpu)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_count_most_and_names_are_bounded() {
        let mut means = Means::default();
        assert_eq!(means.of("a"), None);
        means.learn("a", Duration::from_secs(4));
        means.learn("a", Duration::ZERO);
        assert_eq!(means.of("a"), Some(Duration::from_secs(3)));
        for number in 0..2 * TASKS {
            means.learn(&format!("t{number}"), Duration::from_secs(1));
        }
        assert!(means.0.len() <= TASKS + 1);
        assert_eq!(means.of("never seen"), Some(Duration::from_secs(1)));
    }
}
