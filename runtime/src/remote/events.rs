//! Events as a server tells them, `text/event-stream`.

use super::{ANSWER_BYTES, RemoteError};
use reqwest::Response;
use std::collections::VecDeque;
use std::time::Duration;

/// Longest silence (60 s): a control plane says at least a line of nothing every 15 s.
const SILENCE: Duration = Duration::from_secs(60);

/// What a server tells, as it comes.
#[derive(Debug)]
pub struct Events {
    url: String,
    response: Response,
    rest: Vec<u8>,
    event: Told,
    ready: VecDeque<Told>,
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// By which a stream goes on after it; empty where it has none.
    pub id: String,
    /// Its name; empty where it has none.
    pub name: String,
    /// Its text.
    pub data: String,
}

impl Events {
    pub(super) fn new(url: String, response: Response) -> Self {
        Self {
            url,
            response,
            rest: Vec::new(),
            event: Told::default(),
            ready: VecDeque::new(),
        }
    }

    /// Waits for the next event; `None` when the server ends the answer.
    ///
    /// # Errors
    /// [`RemoteError::Away`] when it breaks off or falls silent, [`RemoteError::TooLarge`]
    /// when an event is.
    pub async fn next(&mut self) -> Result<Option<Told>, RemoteError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let silent = |_| RemoteError::Away {
                url: self.url.clone(),
                reason: format!("it said nothing for {} s", SILENCE.as_secs()),
            };
            let part = tokio::time::timeout(SILENCE, self.response.chunk()).await;
            let part = part.map_err(silent)?;
            match part.map_err(|error| RemoteError::of(&self.url, &error))? {
                None => return Ok(None),
                Some(part) => self.take(&part)?,
            }
        }
    }

    fn take(&mut self, part: &[u8]) -> Result<(), RemoteError> {
        self.rest.extend_from_slice(part);
        let held = self.rest.len() + self.event.data.len();
        if held as u64 > ANSWER_BYTES {
            return Err(RemoteError::TooLarge {
                url: self.url.clone(),
                allowed: ANSWER_BYTES,
            });
        }
        // Only what is new can hold the end of a line.
        let from = self.rest.len() - part.len();
        let Some(end) = part.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let rest = self.rest.split_off(from + end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        for line in String::from_utf8_lossy(&whole).lines() {
            self.line(line);
        }
        Ok(())
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if event != Told::default() {
                self.ready.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.event.id),
            "event" => value.clone_into(&mut self.event.name),
            "data" if self.event.data.is_empty() => value.clone_into(&mut self.event.data),
            "data" => {
                self.event.data.push('\n');
                self.event.data.push_str(value);
            }
            // An empty field is a comment, which says that the server is there.
            _ => {}
        }
    }
}
