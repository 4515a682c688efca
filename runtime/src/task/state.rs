//! The states of a task, as Celery stores them, and how they may follow.

use std::fmt;

/// A stored state. Nothing stored reads as Celery's PENDING.
///
/// Celery's RECEIVED, REJECTED and IGNORED are words of events only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// A worker runs it. Set at the start of a run that needs a record.
    Started,
    /// It told how far it is: PROGRESS, or a name of the task's own.
    Custom(String),
    /// An attempt failed and another follows. Set when an attempt ends.
    Retry,
    /// It returned a result. Final.
    Success,
    /// It failed for good. Final.
    Failure,
    /// It was revoked or expired. Final.
    Revoked,
}

impl State {
    /// Tells whether nothing follows.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Success | Self::Failure | Self::Revoked => true,
            Self::Started | Self::Custom(_) | Self::Retry => false,
        }
    }

    /// Tells whether `next` may be stored over this state. From a final state
    /// nothing follows; from every other one anything may.
    #[must_use]
    pub fn may_become(&self, next: &Self) -> bool {
        match next {
            Self::Started
            | Self::Custom(_)
            | Self::Retry
            | Self::Success
            | Self::Failure
            | Self::Revoked => !self.is_final(),
        }
    }

    /// Returns Celery's word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Started => "STARTED",
            Self::Custom(name) => name,
            Self::Retry => "RETRY",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Revoked => "REVOKED",
        }
    }

    /// Reads Celery's word; any word of no other meaning is a custom state.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "STARTED" => Self::Started,
            "RETRY" => Self::Retry,
            "SUCCESS" => Self::Success,
            "FAILURE" => Self::Failure,
            "REVOKED" => Self::Revoked,
            _ => Self::Custom(word.to_owned()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<State> {
        [
            "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED",
        ]
        .map(State::from_word)
        .to_vec()
    }

    #[test]
    fn every_pair_of_states_follows_unless_the_first_is_final() {
        for from in all() {
            for to in all() {
                assert_eq!(from.may_become(&to), !from.is_final(), "{from} -> {to}");
            }
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for state in all() {
            assert_eq!(State::from_word(state.as_str()), state);
        }
        assert_eq!(
            State::from_word("PROGRESS"),
            State::Custom("PROGRESS".to_owned())
        );
    }
}
