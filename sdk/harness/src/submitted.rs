//! What a task sends in a test: kept, not sent.

use celeriac_sandbox::{Sender, Sending, Signature, When, Wish};
use serde_json::Value;
use std::sync::{Mutex, PoisonError};

/// Something a task sent, or would send on success.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// The id the task was told.
    pub id: String,
    /// When it is sent.
    pub when: When,
    /// What it is, with everything the task set.
    pub wish: Wish,
}

impl Submitted {
    /// Returns the name of the task: `celery.chain` and the like where it is several.
    #[must_use]
    pub fn task(&self) -> &str {
        match &self.wish {
            Wish::Job(job) => &job.task,
            Wish::Signature(signature) => name(signature),
        }
    }

    /// Returns the positional arguments.
    #[must_use]
    pub fn args(&self) -> Value {
        self.part("args")
    }

    /// Returns the keyword arguments.
    #[must_use]
    pub fn kwargs(&self) -> Value {
        self.part("kwargs")
    }

    fn part(&self, name: &str) -> Value {
        let bytes = match &self.wish {
            Wish::Job(job) if name == "args" => &job.args,
            Wish::Job(job) => &job.kwargs,
            Wish::Signature(signature) => &signature.json,
        };
        let mut value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        match &self.wish {
            Wish::Job(_) => value,
            Wish::Signature(_) => value.get_mut(name).map(Value::take).unwrap_or_default(),
        }
    }
}

/// The name of a signature's task, as it is written.
fn name(signature: &Signature) -> &str {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        task: &'a str,
    }
    serde_json::from_slice::<Named<'_>>(&signature.json).map_or("", |named| named.task)
}

/// Keeps what one run submits.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Mutex<Vec<Submitted>>);

impl Outbox {
    pub(crate) fn take(&self) -> Vec<Submitted> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut kept)
    }
}

impl Sender for Outbox {
    fn send<'a>(&'a self, wish: &'a Wish, when: When, index: u32) -> Sending<'a> {
        let id = format!("00000000-0000-4000-8000-{:012}", u64::from(index) + 1);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(Submitted {
            id: id.clone(),
            when,
            wish: wish.clone(),
        });
        Box::pin(std::future::ready(Ok(id)))
    }

    fn replace<'a>(&'a self, _signature: &'a Signature) -> Sending<'a> {
        Box::pin(std::future::ready(Ok(String::new())))
    }
}
