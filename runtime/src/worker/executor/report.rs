//! Step j, report: one wide event and the metrics of an attempt, told once at
//! its end.

use super::Attempt;
use super::leave::Left;
use super::tell::Ending;
use crate::broker::{Delivery, Settlement};
use crate::celery::Request;
use crate::clock::Clock;
use crate::plane::UsageSums;
use crate::policy::verdict::Verdict;
use crate::registry::Loaded;
use crate::task::{Day, Exception, State};
use crate::telemetry::{AttemptEvent, Granted, OTHER, Spent};
use crate::worker::crew::Crew;
use celeriac_sandbox::{Bill, Capability, Outcome, Report, Usage, Use, Uses};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// States of an attempt that was admitted and has no outcome because its guest
/// was cut off: given back, gone to another worker, or failed as at-most-once.
const CUT_OFF: [&str; 3] = ["GIVEN_BACK", "LOST", "FAILURE"];

/// What happened so far.
#[derive(Debug)]
pub(super) struct Story {
    id: String,
    task: String,
    known: bool,
    retries: u32,
    queue: String,
    digest: String,
    state: String,
    outcome: &'static str,
    verdict: &'static str,
    settlement: &'static str,
    queue_wait: Duration,
    began: Option<Timestamp>,
    wall: Duration,
    bill: Bill,
    /// What was run, once its guest was.
    ran: Option<Arc<Loaded>>,
    ending: Ending,
    /// Whether monitors know the end.
    is_told: bool,
}

impl Story {
    pub(super) fn new(crew: &Crew, delivery: &Delivery) -> Self {
        let wait = crew.clock.now().duration_since(delivery.ready_at);
        Self {
            id: String::new(),
            task: OTHER.to_owned(),
            known: false,
            retries: 0,
            queue: delivery.queue.clone(),
            digest: String::new(),
            state: String::new(),
            outcome: "",
            verdict: "",
            settlement: "",
            queue_wait: Duration::try_from(wait).unwrap_or(Duration::ZERO),
            began: None,
            wall: Duration::ZERO,
            bill: Bill::default(),
            ran: None,
            ending: Ending::default(),
            is_told: false,
        }
    }

    pub(super) fn knows(&mut self, request: &Request) {
        self.id = request.id.to_string();
        self.task.clone_from(&request.task);
        self.retries = request.retries;
    }

    pub(super) fn has(&mut self, attempt: &Attempt) {
        self.known = true;
        self.digest = attempt.code.digest.to_string();
        self.began = Some(attempt.started);
        self.bill = attempt.bill.clone();
    }

    /// From now on it is billed.
    pub(super) fn runs(&mut self, attempt: &Attempt) {
        self.ran = Some(Arc::clone(&attempt.code));
    }

    /// Takes over how long a guest ran that was cut off, as its caller is told it.
    pub(super) fn leaves(&mut self, left: &Left) {
        let told = left.usage().map_or(0, |usage| usage.run_us);
        self.wall = self.wall.max(Duration::from_micros(told));
    }

    pub(super) fn did(&mut self, report: &Report) {
        self.outcome = outcome(&report.outcome);
        self.wall = report.usage.wall;
    }

    pub(super) fn decided(&mut self, verdict: &Verdict) {
        self.verdict = verdict.word();
        self.ending = Ending::of(verdict);
        self.state = match verdict {
            Verdict::Succeed(_) => "SUCCESS",
            Verdict::Fail(_) | Verdict::Reject { .. } => "FAILURE",
            Verdict::RetryAt { .. } => "RETRY",
            Verdict::Revoke(_) => "REVOKED",
            Verdict::Ignore => "IGNORED",
            Verdict::Return => "RETURNED",
            Verdict::Defer => "GIVEN_BACK",
        }
        .to_owned();
    }

    pub(super) fn ends(&mut self, state: &State) {
        state.as_str().clone_into(&mut self.state);
    }

    pub(super) fn refused(&mut self, exception: &Exception) {
        self.ending = Ending::refused(exception);
    }

    pub(super) fn left(&mut self, why: &str) {
        why.clone_into(&mut self.state);
    }

    pub(super) fn settles(&mut self, settlement: &Settlement) {
        self.settlement = match settlement {
            Settlement::Ack => "ack",
            Settlement::Requeue => "requeue",
            Settlement::Return => "return",
            Settlement::Park(_) => "park",
            Settlement::DeadLetter { .. } => "dead letter",
        };
    }

    /// What follows it runs ahead: its message is settled later.
    pub(super) fn goes_on(&mut self) {
        self.settlement = "ahead";
    }

    /// The time in the sandbox. A guest that was cut off left no report; the time
    /// since its admission is known all the same.
    fn run(&self, clock: &Clock) -> Duration {
        let cut_off = self.outcome.is_empty() && CUT_OFF.contains(&self.state.as_str());
        match self.began {
            Some(began) if cut_off && self.wall.is_zero() => {
                Duration::try_from(clock.now().duration_since(began)).unwrap_or_default()
            }
            _ => self.wall,
        }
    }

    /// Tells monitors how it ended, once: when that is stored, and before anybody can begin
    /// with what follows, so that they hear of one after the other.
    pub(super) fn tell_monitors(&mut self, crew: &Crew) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let ran = self.began.map(|_| self.run(&crew.clock));
        self.ending.tell(&crew.events, &self.id, &self.state, ran);
    }

    /// Tells all of it, and returns what the guest took.
    pub(super) fn tell(mut self, crew: &Crew) -> Duration {
        self.tell_monitors(crew);
        let run = self.run(&crew.clock);
        let usage = self.bill.total();
        let label = if self.known {
            self.task.as_str()
        } else {
            OTHER
        };
        crew.metrics
            .settled(&self.queue, label, &self.state, self.queue_wait, run);
        if self.known {
            measure(crew, label, &usage);
        }
        // The sandbox could not run what is parked here, but perhaps the first calls of a map.
        let has_run = self.state != "PARKED" || !usage.cpu.is_zero();
        if let Some(code) = self.ran.as_ref().filter(|_| has_run) {
            let names = (code.module.as_str(), code.task.name.as_str());
            let day = Day::of(crew.clock.now());
            let tenant = &crew.settings.tenant;
            let sums = billed(&self.state, run, &usage);
            crew.tally.count(day, tenant, names, &sums);
        }
        AttemptEvent {
            id: &self.id,
            task: &self.task,
            retries: self.retries,
            queue: &self.queue,
            tenant: crew.settings.tenant.as_str(),
            digest: &self.digest,
            state: &self.state,
            outcome: self.outcome,
            verdict: self.verdict,
            settlement: self.settlement,
            queue_wait: self.queue_wait,
            run,
            cpu: usage.cpu,
            memory_peak_bytes: usage.memory_peak_bytes,
            bytes_in: usage.bytes_in,
            bytes_out: usage.bytes_out,
            host_calls: usage.host_calls,
            grants_used: &listed(&usage.uses, |used| used.calls),
            grants_denied: &listed(&usage.uses, |used| used.denied),
        }
        .emit();
        usage.cpu
    }
}

/// What a run adds to what its tenant used, in the numbers of its record: whole
/// microseconds, so that the sums are the same.
fn billed(state: &str, run: Duration, usage: &Usage) -> UsageSums {
    let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let ended = |word: &str| u64::from(state == word);
    let http = usage.uses.of(Capability::Http);
    UsageSums {
        attempts: 1,
        succeeded: ended("SUCCESS"),
        failed: ended("FAILURE"),
        retried: ended("RETRY"),
        revoked: ended("REVOKED"),
        cpu_us: micros(usage.cpu),
        run_us: micros(run),
        bytes_in: usage.bytes_in,
        bytes_out: usage.bytes_out,
        http_requests: http.calls,
        http_bytes_in: http.bytes_in,
        http_bytes_out: http.bytes_out,
        host_calls: usage.host_calls,
    }
}

/// Adds what a run took to the totals of its task and of the grants.
fn measure(crew: &Crew, label: &str, usage: &Usage) {
    let spent = Spent {
        cpu: usage.cpu,
        memory_peak_bytes: usage.memory_peak_bytes,
        bytes_in: usage.bytes_in,
        bytes_out: usage.bytes_out,
        host_calls: usage.host_calls,
    };
    crew.metrics.spent(label, &spent);
    for (capability, used) in usage.uses.iter() {
        let granted = Granted {
            used: used.calls,
            denied: used.denied,
            bytes_in: used.bytes_in,
            bytes_out: used.bytes_out,
        };
        crew.metrics.granted(capability.name(), &granted);
    }
}

/// Lists numbers about grants, those that are not zero: `submit:3 http:1`.
fn listed(uses: &Uses, number: impl Fn(Use) -> u64) -> String {
    let numbers = uses
        .iter()
        .map(|(capability, used)| (capability, number(used)));
    let numbers = numbers.filter(|(_, number)| *number > 0);
    let texts = numbers.map(|(capability, number)| format!("{}:{number}", capability.name()));
    texts.collect::<Vec<_>>().join(" ")
}

fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Returned(_) => "returned",
        Outcome::BadResult { .. } => "bad result",
        Outcome::Failed(_) => "failed",
        Outcome::Retry(_) => "retry",
        Outcome::Reject(_) => "reject",
        Outcome::Ignore => "ignore",
        Outcome::Interrupted { .. } => "interrupted",
        Outcome::LimitHit(_) => "limit hit",
        Outcome::Trapped(_) => "trapped",
        Outcome::Exited { .. } => "exited",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_guest_that_was_cut_off_is_known() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let mut story = Story {
            id: "7f3a".to_owned(),
            task: "images.resize".to_owned(),
            known: true,
            retries: 0,
            queue: "celery".to_owned(),
            digest: String::new(),
            state: String::new(),
            outcome: "",
            verdict: "",
            settlement: "",
            queue_wait: Duration::ZERO,
            began: Some(clock.now()),
            wall: Duration::ZERO,
            bill: Bill::default(),
            ran: None,
            ending: Ending::default(),
            is_told: false,
        };
        clock.advance(Duration::from_secs(2));
        for (state, seconds) in [("GIVEN_BACK", 2), ("LOST", 2), ("PARKED", 0), ("STALE", 0)] {
            story.left(state);
            assert_eq!(story.run(&clock), Duration::from_secs(seconds), "{state}");
        }
        story.left("GIVEN_BACK");
        story.outcome = "interrupted";
        story.wall = Duration::from_millis(1_900);
        assert_eq!(story.run(&clock), Duration::from_millis(1_900));
        story.outcome = "";
        story.began = None;
        story.wall = Duration::ZERO;
        assert_eq!(story.run(&clock), Duration::ZERO);
    }
}
