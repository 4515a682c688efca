//! The stand-in for a worker in unit tests: answers from what the test set, and records.

mod stores;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::testing::{LogLine, Progress, Recording, Submitted};
use crate::{Interruption, Job, Level, Signature, SubmitError, When};

/// What the test decided before the attempt.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) id: String,
    pub(crate) root_id: Option<String>,
    pub(crate) parent_id: Option<String>,
    pub(crate) retries: u32,
    pub(crate) deliveries: u32,
    pub(crate) max_retries: Option<u32>,
    pub(crate) queue: String,
    pub(crate) time_limit: Duration,
    pub(crate) soft_time_limit: Option<Duration>,
    /// After so many polls that found nothing, the attempt is asked to stop.
    pub(crate) interruption: Option<(u32, Interruption)>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) started_unix_ms: u64,
    pub(crate) least_level: Level,
    pub(crate) seed: u64,
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) kept: BTreeMap<String, Vec<u8>>,
}

/// Plays the script and keeps what the task told.
#[derive(Debug)]
pub(crate) struct Recorder {
    script: Script,
    polls: Cell<u32>,
    /// Time passes only in sleeps.
    elapsed_ms: Cell<u64>,
    random: Cell<u64>,
    recording: RefCell<Recording>,
    /// Ids of jobs by their keys.
    keys: RefCell<BTreeMap<String, String>>,
    files: RefCell<stores::Files>,
}

impl Recorder {
    pub(crate) fn new(mut script: Script) -> Self {
        let random = Cell::new(script.seed);
        Self {
            polls: Cell::new(0),
            elapsed_ms: Cell::new(0),
            random,
            recording: RefCell::new(Recording {
                kept: std::mem::take(&mut script.kept),
                ..Recording::default()
            }),
            keys: RefCell::default(),
            files: RefCell::default(),
            script,
        }
    }

    pub(crate) fn recording(&self) -> Recording {
        self.recording.borrow().clone()
    }

    pub(crate) fn id(&self) -> String {
        self.script.id.clone()
    }

    pub(crate) fn root_id(&self) -> Option<String> {
        self.script.root_id.clone()
    }

    pub(crate) fn parent_id(&self) -> Option<String> {
        self.script.parent_id.clone()
    }

    pub(crate) fn retries(&self) -> u32 {
        self.script.retries
    }

    pub(crate) fn deliveries(&self) -> u32 {
        self.script.deliveries
    }

    pub(crate) fn max_retries(&self) -> Option<u32> {
        self.script.max_retries
    }

    pub(crate) fn queue(&self) -> String {
        self.script.queue.clone()
    }

    pub(crate) fn remaining_ms(&self) -> u64 {
        self.left_of(self.script.time_limit)
    }

    pub(crate) fn soft_remaining_ms(&self) -> Option<u64> {
        self.script.soft_time_limit.map(|limit| self.left_of(limit))
    }

    pub(crate) fn interrupted(&self) -> Option<Interruption> {
        if self.soft_remaining_ms() == Some(0) {
            return Some(Interruption::SoftLimit);
        }
        let (after, reason) = self.script.interruption?;
        let polls = self.polls.get();
        self.polls.set(polls.saturating_add(1));
        (polls >= after).then_some(reason)
    }

    pub(crate) fn wait(&self, ms: u64) -> Option<Interruption> {
        if let Some(reason) = self.interrupted() {
            return Some(reason);
        }
        // As in a worker, a sleep ends where the soft limit passes.
        let slept = self.soft_remaining_ms().map_or(ms, |left| left.min(ms));
        self.elapsed_ms
            .set(self.elapsed_ms.get().saturating_add(slept));
        self.recording
            .borrow_mut()
            .sleeps
            .push(Duration::from_millis(slept));
        (self.soft_remaining_ms() == Some(0)).then_some(Interruption::SoftLimit)
    }

    pub(crate) fn progress(&self, current: u64, total: Option<u64>, message: Option<&str>) {
        let message = message.map(str::to_owned);
        self.recording.borrow_mut().progress.push(Progress {
            current,
            total,
            message,
        });
    }

    pub(crate) fn set_state(&self, name: &str, meta: String) {
        let meta = serde_json::from_str(&meta).unwrap_or(serde_json::Value::Null);
        self.recording
            .borrow_mut()
            .states
            .push((name.to_owned(), meta));
    }

    pub(crate) fn log_enabled(&self, level: Level) -> bool {
        level >= self.script.least_level
    }

    pub(crate) fn log(&self, level: Level, message: String, fields: Vec<(String, String)>) {
        self.recording.borrow_mut().log.push(LogLine {
            level,
            message,
            fields,
        });
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.script.headers.get(name).cloned()
    }

    pub(crate) fn submit(&self, job: &Job, when: When) -> Result<String, SubmitError> {
        let key = job.key.clone();
        let known = key
            .as_ref()
            .and_then(|key| self.keys.borrow().get(key).cloned());
        if let Some(id) = known {
            return Ok(id);
        }
        let mut unkeyed = job.clone();
        unkeyed.key = None;
        let id = self.apply(Signature::from(unkeyed).json(), when)?;
        if let Some(key) = key {
            self.keys.borrow_mut().insert(key, id.clone());
        }
        Ok(id)
    }

    pub(crate) fn apply(&self, signature: String, when: When) -> Result<String, SubmitError> {
        let signature = value(&signature)?;
        let submitted = &mut self.recording.borrow_mut().submitted;
        let id = format!("00000000-0000-4000-8000-{:012}", submitted.len() + 1);
        submitted.push(Submitted {
            id: id.clone(),
            signature,
            when,
        });
        Ok(id)
    }

    pub(crate) fn replace(&self, signature: String) -> Result<(), SubmitError> {
        self.recording.borrow_mut().replacement = Some(value(&signature)?);
        Ok(())
    }

    pub(crate) fn now_unix_ms(&self) -> u64 {
        self.script
            .started_unix_ms
            .saturating_add(self.elapsed_ms.get())
    }

    pub(crate) fn random(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(self.next_random().to_le_bytes()) {
                *to = from;
            }
        }
    }

    /// SplitMix64: repeatable, which is all that a test wants.
    fn next_random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn left_of(&self, limit: Duration) -> u64 {
        u64::try_from(limit.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_sub(self.elapsed_ms.get())
    }
}

fn value(json: &str) -> Result<serde_json::Value, SubmitError> {
    serde_json::from_str(json).map_err(|error| SubmitError::Invalid(error.to_string()))
}
