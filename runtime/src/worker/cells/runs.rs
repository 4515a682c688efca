//! The runs of one cell, as its worker knows them: what the cell says is held against them.

use super::cell::unpoisoned;
use super::wire::{Ask, FromCell, Most, ToCell, Trouble};
use celeriac_sandbox::{Limits, Open, Progress, Report, SandboxError, Usage};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Events of one run that wait (2): its guest waits for the answer to each but the last.
const EVENTS: usize = 2;
/// How long a run may go on that was told to end (5 s): its guest is dropped at its next
/// tick, and the rest is a busy machine.
const OBEYS: Duration = Duration::from_secs(5);
/// Longest reason why a cell is gone (300 characters): a part of it may be the cell's own.
const REASON: usize = 300;

/// What is told of a run.
#[derive(Debug)]
pub(super) enum Event {
    Ask(Ask),
    Done(Result<Box<Report>, Trouble>),
}

/// The runs of a cell while it is there, and then why it is not.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    entries: HashMap<u64, Entry>,
    /// Runs that are to end for nobody.
    ending: HashMap<u64, Ending>,
    /// What a frame may be, by the limits of all runs that were ever begun.
    most: Most,
    gone: Option<String>,
}

#[derive(Debug)]
struct Entry {
    events: mpsc::Sender<Event>,
    progress: Option<watch::Sender<Option<Progress>>>,
    limits: Limits,
    /// Whether the cell was told of it. One that reads nothing would else end run after run,
    /// while what it is to be told piles up.
    told: bool,
    /// Whether its guest waits for an answer.
    asks: bool,
    bill: Open,
}

#[derive(Debug)]
struct Ending {
    since: Instant,
    /// As before.
    told: bool,
    limits: Limits,
    bill: Open,
}

impl Runs {
    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(&self.0)
    }

    /// Takes a run in, and returns what will be told of it.
    pub(super) fn add(
        &self,
        run: u64,
        limits: &Limits,
        progress: Option<watch::Sender<Option<Progress>>>,
        bill: Open,
    ) -> Result<mpsc::Receiver<Event>, SandboxError> {
        let mut state = self.lock();
        if let Some(reason) = &state.gone {
            // It was not told of the run.
            let reason = reason.clone();
            return Err(SandboxError::NotStarted { reason });
        }
        let (events, told) = mpsc::channel(EVENTS);
        let entry = Entry {
            events,
            progress,
            limits: limits.clone(),
            told: false,
            asks: false,
            bill,
        };
        state.most = state.most.or(Most::of(limits));
        state.entries.insert(run, entry);
        Ok(told)
    }

    /// Notes that nobody waits for a run any more, and tells whether it still runs.
    pub(super) fn drop_one(&self, run: u64) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.entries.remove(&run) else {
            return false;
        };
        let ending = Ending {
            since: Instant::now(),
            told: entry.told,
            limits: entry.limits,
            bill: entry.bill,
        };
        state.ending.insert(run, ending);
        true
    }

    /// Notes what the cell is being told: it may speak of a run, and its guest may ask again.
    pub(super) fn says(&self, order: &ToCell) {
        let mut state = self.lock();
        match order {
            ToCell::Run(order) => {
                let run = order.run;
                if let Some(entry) = state.entries.get_mut(&run) {
                    entry.told = true;
                } else if let Some(ending) = state.ending.get_mut(&run) {
                    ending.told = true;
                }
            }
            ToCell::Answer { run, .. } => {
                if let Some(entry) = state.entries.get_mut(run) {
                    entry.asks = false;
                }
            }
            ToCell::Egress { .. }
            | ToCell::Load { .. }
            | ToCell::Interrupt { .. }
            | ToCell::Cancel { .. } => {}
        }
    }

    /// Returns what a frame may be.
    pub(super) fn most(&self) -> Most {
        self.lock().most
    }

    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.entries.is_empty() && state.ending.is_empty()
    }

    /// Says why the cell is gone, once it is.
    pub(super) fn why_gone(&self) -> Option<String> {
        self.lock().gone.clone()
    }

    /// The first reason stays. All runs hear that nothing follows.
    pub(super) fn gone(&self, why: &str) {
        let mut state = self.lock();
        let why = || why.chars().take(REASON).collect();
        state.gone.get_or_insert_with(why);
        state.entries.clear();
        // What they took died with it.
        state.ending.clear();
    }

    /// Passes on what a cell told; an error is what none of ours would tell. A run that it was
    /// given ends once, and until then it may speak of it.
    pub(super) fn told(&self, message: FromCell) -> Result<(), String> {
        let mut state = self.lock();
        let run = message.run();
        let ends = message.ends();
        let took = message.took();
        if let Some(Ending {
            told: true, limits, ..
        }) = state.ending.get(&run)
        {
            took.map_or(Ok(()), |took| took.check(limits))?;
            // Of a run that was cancelled nobody wants to know more than what it took.
            if ends && let Some(Ending { bill, .. }) = state.ending.remove(&run) {
                close(bill, took);
            }
            return Ok(());
        }
        let entry = state.entries.get_mut(&run);
        let Some(entry) = entry.filter(|entry| entry.told) else {
            return Err("it spoke of a run that it does not have".to_owned());
        };
        took.map_or(Ok(()), |took| took.check(&entry.limits))?;
        let event = match message {
            FromCell::Progress { progress, .. } => {
                progress.check(&entry.limits)?;
                let latest = entry.progress.as_ref();
                latest.map(|latest| latest.send_replace(Some(progress)));
                return Ok(());
            }
            FromCell::Ended { .. } => {
                return Err("it ended a run that nobody had told it to end".to_owned());
            }
            FromCell::Ask { .. } if entry.asks => {
                return Err("it asked again before it was answered".to_owned());
            }
            FromCell::Ask { ask, .. } => {
                entry.asks = true;
                Event::Ask(ask)
            }
            FromCell::Done { end, .. } => Event::Done(end),
        };
        // There is room for a question and the end; where nobody listens, its drop is on the
        // way.
        let _nobody = entry.events.try_send(event);
        // It is over: its drop has nothing to cancel.
        if ends && let Some(Entry { bill, .. }) = state.entries.remove(&run) {
            close(bill, took);
        }
        Ok(())
    }

    /// Waits until a run goes on that was to end: a kill or an order to terminate must hold
    /// even where the sandbox does not.
    pub(super) async fn disobeyed(&self) {
        loop {
            tokio::time::sleep(OBEYS).await;
            let state = self.lock();
            let late = |one: &Ending| one.since.elapsed() > OBEYS;
            if state.ending.values().any(late) {
                return;
            }
        }
    }
}

/// Puts on the bill what a run took; one that could not begin took nothing.
fn close(bill: Open, took: Option<Usage>) {
    if let Some(took) = took {
        bill.close(&took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::cells::wire::{Answer, Kept, Order};
    use bytes::Bytes;
    use celeriac_sandbox::{Attempt, Bill, Call, Grants};

    const NOT_ITS_OWN: &str = "it spoke of a run that it does not have";

    fn progress(run: u64) -> FromCell {
        let (state, meta) = ("PROGRESS".to_owned(), "1".to_owned());
        FromCell::Progress {
            run,
            progress: Progress { state, meta },
        }
    }

    fn ask(run: u64) -> FromCell {
        let ask = Ask::Keys { after: 0 };
        FromCell::Ask { run, ask }
    }

    fn done(run: u64) -> FromCell {
        let end = Err(Trouble::Busy { slots: 1 });
        FromCell::Done { run, end }
    }

    fn ended(run: u64) -> FromCell {
        let usage = Usage::default();
        FromCell::Ended { run, usage }
    }

    fn order(run: u64) -> ToCell {
        ToCell::Run(Box::new(Order {
            run,
            code: 0,
            call: Call {
                task: "t".to_owned(),
                args: Bytes::new(),
                kwargs: Bytes::new(),
            },
            limits: Limits::default(),
            grants: Grants::default(),
            facts: Attempt::default(),
        }))
    }

    fn answer(run: u64) -> ToCell {
        let answer = Answer::Kept(Ok(Kept::Done));
        ToCell::Answer { run, answer }
    }

    fn runs() -> (Runs, mpsc::Receiver<Event>) {
        let runs = Runs::default();
        let events = runs
            .add(1, &Limits::default(), None, Bill::default().open())
            .unwrap();
        runs.says(&order(1));
        (runs, events)
    }

    #[test]
    fn of_a_run_that_it_was_not_given_a_cell_says_nothing() {
        let (runs, _events) = runs();
        for message in [progress(2), ask(2), done(2), ended(2)] {
            assert_eq!(runs.told(message).unwrap_err(), NOT_ITS_OWN);
        }
    }

    #[test]
    fn of_a_run_that_is_over_a_cell_says_nothing_more() {
        let (runs, mut events) = runs();
        for message in [progress(1), ask(1), done(1)] {
            assert_eq!(runs.told(message), Ok(()));
        }
        for message in [progress(1), ask(1), done(1), ended(1)] {
            assert_eq!(runs.told(message).unwrap_err(), NOT_ITS_OWN);
        }
        assert!(matches!(events.try_recv(), Ok(Event::Ask(_))));
        assert!(matches!(events.try_recv(), Ok(Event::Done(_))));
        assert!(runs.is_empty());
    }

    #[test]
    fn a_run_that_was_cancelled_ends_once() {
        for last in [done(1), ended(1)] {
            let (runs, _events) = runs();
            assert!(runs.drop_one(1));
            for message in [progress(1), ask(1), ask(1), last] {
                assert_eq!(runs.told(message), Ok(()));
            }
            assert!(runs.is_empty() && !runs.drop_one(1));
            let more = runs.told(ended(1));
            assert_eq!(more.unwrap_err(), NOT_ITS_OWN);
        }
    }

    #[test]
    fn nobody_but_its_worker_cancels_a_run() {
        let (runs, _events) = runs();
        let ended = runs.told(ended(1));
        assert!(ended.unwrap_err().contains("nobody had told it"));
    }

    #[test]
    fn a_guest_asks_once_until_it_is_answered() {
        let (runs, mut events) = runs();
        assert_eq!(runs.told(ask(1)), Ok(()));
        let again = runs.told(ask(1)).unwrap_err();
        assert_eq!(again, "it asked again before it was answered");
        assert!(events.try_recv().is_ok());
        assert!(runs.told(ask(1)).is_err(), "it was taken, not answered");
        runs.says(&answer(1));
        assert_eq!(runs.told(ask(1)), Ok(()));
    }

    #[test]
    fn a_cell_that_reads_nothing_ends_no_run_that_it_was_not_told_of() {
        let (runs, _events) = runs();
        let _second = runs
            .add(2, &Limits::default(), None, Bill::default().open())
            .unwrap();
        assert_eq!(runs.told(done(2)).unwrap_err(), NOT_ITS_OWN);
        assert!(runs.drop_one(2));
        let early = ended(2);
        assert_eq!(runs.told(early).unwrap_err(), NOT_ITS_OWN);
        runs.says(&order(2));
        assert_eq!(runs.told(ended(2)), Ok(()));
    }

    #[test]
    fn a_frame_may_be_what_the_largest_limits_allow() {
        let (runs, _events) = runs();
        let usual = runs.most();
        assert_eq!(usual, Most::of(&Limits::default()));
        let limits = Limits {
            result_bytes: 16 << 20,
            ..Limits::default()
        };
        let _more = runs.add(2, &limits, None, Bill::default().open()).unwrap();
        assert_eq!(runs.most().bytes, usual.bytes + (12 << 20));
        let _less = runs
            .add(3, &Limits::default(), None, Bill::default().open())
            .unwrap();
        assert_eq!(runs.most(), Most::of(&limits));
    }

    #[test]
    fn the_first_reason_stays_and_is_short() {
        let (runs, mut events) = runs();
        runs.gone(&"x".repeat(1_000));
        runs.gone("later");
        assert_eq!(runs.why_gone(), Some("x".repeat(300)));
        assert!(matches!(
            events.try_recv(),
            Err(mpsc::error::TryRecvError::Disconnected)
        ));
        let refused = runs.add(2, &Limits::default(), None, Bill::default().open());
        assert!(matches!(refused, Err(SandboxError::NotStarted { .. })));
    }
}
