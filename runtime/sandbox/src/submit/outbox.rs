//! What one attempt has submitted so far, and its limits.

use super::signature;
use super::{
    HEADER_BYTES, HEADER_NAME_BYTES, HEADERS, HELD_BYTES, Job, KEY_BYTES, QUEUE_BYTES, SUBMITS,
    Signature, Submission, SubmitError, Submitted, TASK_BYTES, When, Wish,
};
use crate::defence::{Defence, stands};
use crate::grants::Grants;
use crate::invoke::check_json;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// The highest priority.
const PRIORITY: u8 = 9;

/// A job in the making, and what is wrong with it already.
#[derive(Debug)]
pub(crate) struct Draft {
    job: Job,
    wrong: Option<SubmitError>,
    held: u64,
}

/// What one attempt submits.
#[derive(Debug)]
pub(crate) struct Outbox {
    arguments_bytes: u64,
    grants: Arc<Grants>,
    /// Tasks submitted so far.
    count: u32,
    /// Numbers given so far.
    indexes: u32,
    held: u64,
    keys: HashMap<String, String>,
    submitted: Submitted,
    /// Names that no grant covers.
    denied: u64,
    /// What its author was told last.
    noted: String,
}

/// What becomes of something that is submitted.
#[derive(Debug)]
pub(crate) enum Step {
    /// It is to be sent under this number.
    Send(Wish, u32),
    /// It was submitted before, under this id.
    Known(String),
}

impl Outbox {
    pub(crate) fn new(grants: Arc<Grants>, arguments_bytes: u64) -> Self {
        Self {
            arguments_bytes,
            grants,
            count: 0,
            indexes: 0,
            held: 0,
            keys: HashMap::new(),
            submitted: Submitted::default(),
            denied: 0,
            noted: String::new(),
        }
    }

    /// Tells whether a note is another than the last one: a loop that is refused for ever
    /// must not fill the log.
    pub(crate) fn is_news(&mut self, note: &str) -> bool {
        let is_news = self.noted != note;
        if is_news {
            self.noted.clear();
            self.noted.push_str(note);
        }
        is_news
    }

    /// Begins a job. What is over a limit is not kept, and told when the job is
    /// submitted.
    pub(crate) fn draft(&mut self, task: String, args: Vec<u8>, kwargs: Vec<u8>) -> Draft {
        let mut draft = Draft {
            job: Job::default(),
            wrong: None,
            held: 0,
        };
        let bytes = (args.len() + kwargs.len()) as u64;
        let large = if task.len() > TASK_BYTES {
            Some(SubmitError::too_long(
                "the name of a task",
                task.len(),
                TASK_BYTES,
            ))
        } else if bytes > self.arguments_bytes {
            let most = self.arguments_bytes;
            Some(SubmitError::arguments("the arguments have", bytes, most))
        } else if !self.hold(&mut draft, bytes + task.len() as u64) {
            Some(SubmitError::too_much())
        } else {
            None
        };
        if large.is_some() {
            draft.wrong = large;
            return draft;
        }
        if task.is_empty() || task.chars().any(char::is_control) {
            draft.refuse("the name of a task cannot be empty or hold control characters");
        }
        let fits = |bytes: &[u8], open: u8, what: &str| {
            check_json(bytes).map_err(|reason| format!("the {what} are not JSON: {reason}"))?;
            let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
            (first == Some(&open))
                .then_some(())
                .ok_or(format!("the {what} are of the wrong kind"))
        };
        let fit = fits(&args, b'[', "positional arguments (a JSON array)")
            .and_then(|()| fits(&kwargs, b'{', "keyword arguments (a JSON object)"));
        if let Err(reason) = fit {
            draft.refuse(&reason);
        }
        draft.job.task = task;
        draft.job.args = Bytes::from(args);
        draft.job.kwargs = Bytes::from(kwargs);
        draft
    }

    /// Sets a queue.
    pub(crate) fn queue(&mut self, draft: &mut Draft, queue: String) {
        let (bytes, most) = (queue.len(), QUEUE_BYTES);
        if bytes > most {
            draft.over(SubmitError::too_long("the name of a queue", bytes, most));
        } else if !self.hold(draft, bytes as u64) {
            draft.over(SubmitError::too_much());
        } else if queue.is_empty() || queue.chars().any(|c| c == ',' || c.is_control()) {
            draft.refuse("a queue's name has no commas and no control characters");
        } else {
            draft.job.queue = Some(queue);
        }
    }

    /// Sets an idempotency key.
    pub(crate) fn key(&mut self, draft: &mut Draft, key: String) {
        let (bytes, most) = (key.len(), KEY_BYTES);
        if bytes > most {
            draft.over(SubmitError::too_long("an idempotency key", bytes, most));
        } else if !self.hold(draft, bytes as u64) {
            draft.over(SubmitError::too_much());
        } else {
            draft.job.key = Some(key);
        }
    }

    /// Adds a header.
    pub(crate) fn header(&mut self, draft: &mut Draft, name: String, value: String) {
        let full = draft.job.headers.len() >= HEADERS && !draft.job.headers.contains_key(&name);
        let (named, bytes) = (name.len(), value.len());
        if full {
            let text = format!("a job has at most {HEADERS} headers (fixed)");
            draft.over(SubmitError::TooLarge(text));
        } else if named > HEADER_NAME_BYTES {
            let what = "the name of a header";
            draft.over(SubmitError::too_long(what, named, HEADER_NAME_BYTES));
        } else if bytes > HEADER_BYTES {
            draft.over(SubmitError::too_long("a header", bytes, HEADER_BYTES));
        } else if !self.hold(draft, (named + bytes) as u64) {
            draft.over(SubmitError::too_much());
        } else if name.is_empty() || name.chars().chain(value.chars()).any(char::is_control) {
            draft.refuse("a header has a name, and no control characters");
        } else {
            draft.job.headers.insert(name, value);
        }
    }

    /// Frees what a job held.
    pub(crate) fn free(&mut self, draft: &Draft) {
        self.held = self.held.saturating_sub(draft.held);
    }

    /// Decides about a job that is submitted.
    pub(crate) fn job(&mut self, draft: Draft, when: When) -> Result<Step, SubmitError> {
        self.free(&draft);
        if let Some(wrong) = draft.wrong {
            return Err(wrong);
        }
        self.granted(&draft.job.task)?;
        let known = draft.job.key.as_ref().and_then(|key| self.keys.get(key));
        match known {
            Some(id) => Ok(Step::Known(id.clone())),
            None => self.admit(Wish::Job(draft.job), when),
        }
    }

    /// Decides about a signature that is submitted.
    pub(crate) fn signature(&mut self, json: Vec<u8>, when: When) -> Result<Step, SubmitError> {
        let signature = self.read(json)?;
        self.admit(Wish::Signature(signature), when)
    }

    /// Decides about what is to take over.
    pub(crate) fn replacement(&mut self, json: Vec<u8>) -> Result<Signature, SubmitError> {
        let signature = self.read(json)?;
        let count = Wish::Signature(signature.clone()).count();
        let count = self.count.saturating_add(count);
        match count > SUBMITS {
            true => Err(SubmitError::too_many(count)),
            false => Ok(signature),
        }
    }

    /// Keeps what takes over, in place of an earlier one.
    pub(crate) fn replace(&mut self, signature: Signature) {
        self.submitted.replacement = Some(signature);
    }

    /// Remembers what was accepted.
    pub(crate) fn accepted(&mut self, id: &str, wish: Wish, when: When, index: u32) {
        self.count = self.count.saturating_add(wish.count());
        if let Wish::Job(Job { key: Some(key), .. }) = &wish {
            self.keys.insert(key.clone(), id.to_owned());
        }
        self.submitted.ids.push(id.to_owned());
        if when == When::OnSuccess {
            self.held = self.held.saturating_add(wish.bytes());
            self.submitted.on_success.push(Submission {
                id: id.to_owned(),
                wish,
                index,
            });
        }
    }

    /// Returns how often there was no grant.
    pub(crate) fn denied(&self) -> u64 {
        self.denied
    }

    pub(crate) fn take(&mut self) -> Submitted {
        std::mem::take(&mut self.submitted)
    }

    fn admit(&mut self, wish: Wish, when: When) -> Result<Step, SubmitError> {
        let count = self.count.saturating_add(wish.count());
        if count > SUBMITS && stands(Defence::Quota) {
            return Err(SubmitError::too_many(count));
        }
        if when == When::OnSuccess && self.held.saturating_add(wish.bytes()) > HELD_BYTES {
            return Err(SubmitError::too_much());
        }
        let index = self.indexes;
        self.indexes = self.indexes.saturating_add(1);
        Ok(Step::Send(wish, index))
    }

    fn read(&mut self, json: Vec<u8>) -> Result<Signature, SubmitError> {
        let (bytes, most) = (json.len() as u64, self.arguments_bytes);
        if bytes > most {
            return Err(SubmitError::arguments("the signature has", bytes, most));
        }
        check_json(&json).map_err(|reason| {
            SubmitError::Denied(format!("the signature is not JSON: {reason}"))
        })?;
        let tasks = signature::tasks(&json, SUBMITS)?;
        for task in &tasks {
            self.granted(task)?;
        }
        Ok(Signature {
            json: Bytes::from(json),
            tasks,
        })
    }

    fn granted(&mut self, task: &str) -> Result<(), SubmitError> {
        self.grants.submits(task).map_err(|reason| {
            self.denied = self.denied.saturating_add(1);
            SubmitError::Denied(reason)
        })
    }

    fn hold(&mut self, draft: &mut Draft, bytes: u64) -> bool {
        let held = self.held.saturating_add(bytes);
        if held > HELD_BYTES {
            return false;
        }
        self.held = held;
        draft.held = draft.held.saturating_add(bytes);
        true
    }
}

impl Draft {
    pub(crate) fn job(&mut self) -> &mut Job {
        &mut self.job
    }

    pub(crate) fn priority(&mut self, priority: u8) {
        self.job.priority = Some(priority.min(PRIORITY));
    }

    /// Remembers the first limit that it is over.
    fn over(&mut self, limit: SubmitError) {
        self.wrong.get_or_insert(limit);
    }

    fn refuse(&mut self, reason: &str) {
        self.wrong
            .get_or_insert_with(|| SubmitError::Denied(reason.to_owned()));
    }
}

#[cfg(test)]
mod tests;
