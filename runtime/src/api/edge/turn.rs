//! Whose turn it is on a connection: the client's, to send the head of a request, or ours.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The turn on one connection. HTTP/1 has one request at a time.
#[derive(Debug)]
pub(in crate::api) struct Turn {
    state: Mutex<State>,
    header: Duration,
    idle: Duration,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing of the next head has come.
    Quiet(Instant),
    /// Some of it has.
    Begun(Instant),
    /// A request is done.
    Ours,
}

impl Turn {
    /// Makes the turn of a connection that was just opened: a head is due.
    pub(super) fn new(header: Duration, idle: Duration) -> Self {
        Self {
            state: Mutex::new(State::Begun(Instant::now() + header)),
            header,
            idle,
        }
    }

    /// Returns by when the client must have sent a head, where that is due.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state() {
            State::Quiet(due) | State::Begun(due) => Some(due),
            State::Ours => None,
        }
    }

    /// Says that bytes of the client arrived.
    pub(super) fn heard(&self) {
        if let State::Quiet(_) = self.state() {
            self.set(State::Begun(Instant::now() + self.header));
        }
    }

    /// Says that a head arrived.
    pub(in crate::api) fn begin(&self) {
        self.set(State::Ours);
    }

    /// Says that the answer was given.
    pub(in crate::api) fn end(&self) {
        self.set(State::Quiet(Instant::now() + self.idle));
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_has_time_for_a_head_and_more_between_two() {
        let (header, idle) = (Duration::from_secs(10), Duration::from_secs(75));
        let turn = Turn::new(header, idle);
        let left = |turn: &Turn| turn.due().map(|due| due - Instant::now());
        assert_eq!(left(&turn), Some(header));
        turn.heard();
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(left(&turn), Some(Duration::from_secs(6)));
        turn.begin();
        turn.heard();
        assert_eq!(left(&turn), None);
        turn.end();
        assert_eq!(left(&turn), Some(idle));
        turn.heard();
        assert_eq!(left(&turn), Some(header));
    }
}
