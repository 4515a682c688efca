//! Who may look names up just now: each lookup holds a thread, and may hold it long after
//! the attempt that asked for it has ended, so that there is a number of them for the
//! process, and nobody may hold most of it for long.

use crate::defence::{Defence, stands};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Lookups at once in a process (64): as many threads.
const LOOKUPS: usize = 64;
/// Lookups at once of one attempt (8), those included that it gave up and that still hold
/// their threads: as many as requests that are under way by default.
pub(super) const LOOKUPS_OF_ATTEMPT: usize = 8;

/// Whose a lookup is: the place of the grants that all attempts of a module share, or
/// nothing for the worker itself.
type Whom = Option<Arc<str>>;

/// One attempt that asks for names.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    whom: Arc<str>,
    turns: Arc<Semaphore>,
}

/// All places for lookups. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Lookups(Arc<Mutex<Desk>>);

#[derive(Debug)]
struct Desk {
    free: usize,
    /// How many places are held, by whom; those that hold none are not there.
    held: BTreeMap<Whom, usize>,
    /// Those that wait, the first first. There are no more of them than requests that are
    /// under way.
    waiting: VecDeque<(Whom, oneshot::Sender<Held>)>,
}

/// A place that is given back when it is dropped.
#[derive(Debug)]
struct Held {
    lookups: Lookups,
    whom: Whom,
}

/// The right to look one name up, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _place: Held,
    _own: Option<OwnedSemaphorePermit>,
}

impl Asker {
    /// Makes one for an attempt whose grants are written at `place`.
    pub(super) fn new(place: &str) -> Self {
        Self {
            whom: place.into(),
            turns: Arc::new(Semaphore::new(LOOKUPS_OF_ATTEMPT)),
        }
    }

    /// Tells whether it has as many lookups under way as it may have.
    pub(super) fn is_busy(&self) -> bool {
        self.turns.available_permits() == 0
    }
}

impl Default for Lookups {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Desk {
            free: LOOKUPS,
            held: BTreeMap::new(),
            waiting: VecDeque::new(),
        })))
    }
}

impl Lookups {
    /// Waits for a turn: of an attempt, or of the worker itself. Cancel-safe.
    pub(super) async fn turn(&self, asker: Option<&Asker>) -> io::Result<Turn> {
        let own = match asker.filter(|_| stands(Defence::Lookups)) {
            Some(asker) => Some(Arc::clone(&asker.turns).acquire_owned().await),
            None => None,
        };
        let own = own.transpose().map_err(io::Error::other)?;
        let place = self.place(asker.map(|asker| Arc::clone(&asker.whom)));
        Ok(Turn {
            _place: place.await?,
            _own: own,
        })
    }

    async fn place(&self, whom: Whom) -> io::Result<Held> {
        let given = {
            let mut desk = self.desk();
            if desk.may(&whom) && !desk.waiting.iter().any(|(other, _)| *other == whom) {
                desk.take(&whom);
                let lookups = self.clone();
                return Ok(Held { lookups, whom });
            }
            let (give, given) = oneshot::channel();
            desk.waiting.push_back((whom, give));
            given
        };
        given.await.map_err(io::Error::other)
    }

    /// Gives places to those that wait, as far as there are some for them.
    fn serve(&self) {
        while let Some((held, give)) = self.next() {
            // Who does not want it any more gives it back by dropping it, not under the lock.
            drop(give.send(held));
        }
    }

    fn next(&self) -> Option<(Held, oneshot::Sender<Held>)> {
        let mut desk = self.desk();
        desk.waiting.retain(|(_, give)| !give.is_closed());
        let first = desk.waiting.iter().position(|(whom, _)| desk.may(whom))?;
        let (whom, give) = desk.waiting.remove(first)?;
        desk.take(&whom);
        let lookups = self.clone();
        Some((Held { lookups, whom }, give))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many places are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        LOOKUPS - self.desk().free
    }
}

impl Desk {
    /// Tells whether somebody may have one more place: nobody holds more than are free, so
    /// that whoever holds on to all it gets leaves half of them, the next one a quarter.
    fn may(&self, whom: &Whom) -> bool {
        if !stands(Defence::Lookups) {
            return self.free > 0;
        }
        self.held.get(whom).copied().unwrap_or(0) < self.free
    }

    fn take(&mut self, whom: &Whom) {
        self.free = self.free.saturating_sub(1);
        let held = self.held.entry(whom.clone()).or_default();
        *held = held.saturating_add(1);
    }

    fn give_back(&mut self, whom: &Whom) {
        self.free = self.free.saturating_add(1);
        if let Some(held) = self.held.get_mut(whom) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(whom);
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lookups.desk().give_back(&self.whom);
        self.lookups.serve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn whom(name: &str) -> Whom {
        Some(name.into())
    }

    /// Takes places until there is none for `name`.
    fn all(lookups: &Lookups, name: &str) -> Vec<Held> {
        let next = || lookups.place(whom(name)).now_or_never();
        std::iter::from_fn(next).map(Result::unwrap).collect()
    }

    #[test]
    fn whoever_holds_on_to_all_places_leaves_as_many_as_it_holds() {
        let lookups = Lookups::default();
        let kept: Vec<Vec<Held>> = ["a", "b", "c", "d"].map(|name| all(&lookups, name)).into();
        let counts: Vec<usize> = kept.iter().map(Vec::len).collect();
        assert_eq!(counts, [32, 16, 8, 4]);
        assert!(lookups.place(None).now_or_never().is_some());
        drop(kept);
        let desk = lookups.desk();
        assert_eq!((desk.free, desk.held.len()), (LOOKUPS, 0));
    }

    #[test]
    fn the_first_that_waits_is_the_first_that_is_served_and_neighbours_are_not_kept() {
        let lookups = Lookups::default();
        let mut kept = all(&lookups, "a");
        let mut first = Box::pin(lookups.place(whom("a")));
        let mut second = Box::pin(lookups.place(whom("a")));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(lookups.place(whom("b")).now_or_never().is_some());
        kept.pop();
        assert!(second.as_mut().now_or_never().is_none());
        let held = first.as_mut().now_or_never().unwrap().unwrap();
        drop(held);
        assert!(second.as_mut().now_or_never().is_some());
    }

    #[test]
    fn one_that_no_longer_waits_keeps_nobody_waiting() {
        let lookups = Lookups::default();
        let mut kept = all(&lookups, "a");
        let mut gone = Box::pin(lookups.place(whom("a")));
        let mut next = Box::pin(lookups.place(whom("a")));
        assert!(gone.as_mut().now_or_never().is_none());
        assert!(next.as_mut().now_or_never().is_none());
        drop(gone);
        kept.pop();
        assert!(next.as_mut().now_or_never().is_some());
        drop((kept, next));
        assert_eq!(lookups.held(), 0);
    }

    #[test]
    fn an_attempt_has_eight_turns_until_their_lookups_have_ended() {
        let lookups = Lookups::default();
        let asker = Asker::new("a");
        let next = || lookups.turn(Some(&asker)).now_or_never();
        let turns: Vec<Turn> = std::iter::from_fn(next).map(Result::unwrap).collect();
        assert_eq!(turns.len(), LOOKUPS_OF_ATTEMPT);
        let other = Asker::new("a");
        assert!(lookups.turn(Some(&other)).now_or_never().is_some());
        drop(turns);
        assert!(next().is_some());
    }
}
