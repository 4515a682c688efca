//! One request, and its answer read within its bounds.

use super::{Events, Remote, RemoteError};
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Largest document of an answer (64 MiB): a result has at most 16 MiB, and is escaped.
pub const ANSWER_BYTES: u64 = 64 << 20;
/// Longest time for a request and its answer, where nothing else is said (60 s): a change
/// waits some seconds for workers.
pub const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Most bytes that are read of an answer that is no success (64 KiB).
const REFUSAL_BYTES: u64 = 64 << 10;
/// The kind of a component's bytes.
const WASM: HeaderValue = HeaderValue::from_static("application/wasm");

/// A request that was not sent yet.
#[derive(Debug)]
pub struct Ask<'a> {
    remote: &'a Remote,
    builder: RequestBuilder,
    url: String,
    within: Duration,
    strange: Option<String>,
}

impl<'a> Ask<'a> {
    pub(super) fn new(
        remote: &'a Remote,
        method: Method,
        url: Url,
        strange: Option<String>,
    ) -> Self {
        Self {
            remote,
            url: url.to_string(),
            builder: remote.client.request(method, url),
            within: ANSWER_TIME,
            strange,
        }
    }

    /// Adds a parameter to the query, if it has a value.
    #[must_use]
    pub fn query<V: ToString>(mut self, name: &str, value: Option<V>) -> Self {
        if let Some(value) = value {
            self.builder = self.builder.query(&[(name, value.to_string())]);
        }
        self
    }

    /// Adds a parameter without a value to the query, or with `true` as that.
    #[must_use]
    pub fn switch(self, name: &str, is_on: bool) -> Self {
        self.query(name, is_on.then_some(true))
    }

    /// Adds a header, if it has a value; one that no header can carry is left to the server,
    /// which misses it.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: Option<&str>) -> Self {
        let value = value.and_then(|value| HeaderValue::from_str(value).ok());
        if let Some(value) = value {
            let name = HeaderName::from_static(name);
            self.builder = self.builder.header(name, value);
        }
        self
    }

    /// Sends a document with it.
    #[must_use]
    pub fn json<B: Serialize + ?Sized>(mut self, body: &B) -> Self {
        self.builder = self.builder.json(body);
        self
    }

    /// Sends a component with it.
    #[must_use]
    pub fn component(mut self, bytes: Bytes) -> Self {
        self.builder = self.builder.header(CONTENT_TYPE, WASM).body(bytes);
        self
    }

    /// Sets the longest time for the request and its answer.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// Sends it and reads a document.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn document<T: DeserializeOwned>(self) -> Result<T, RemoteError> {
        let (url, response) = self.send().await?;
        let body = body(&url, response, ANSWER_BYTES).await?;
        read(&url, &body)
    }

    /// Sends it and reads a document, where there is one: `None` is an answer without a body.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn maybe<T: DeserializeOwned>(self) -> Result<Option<T>, RemoteError> {
        let (url, response) = self.send().await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let body = body(&url, response, ANSWER_BYTES).await?;
        read(&url, &body).map(Some)
    }

    /// Sends it and reads bytes, at most so many.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn bytes(self, most: u64) -> Result<Bytes, RemoteError> {
        let (url, response) = self.send().await?;
        body(&url, response, most).await
    }

    /// Sends it, and takes any success for one.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn done(self) -> Result<(), RemoteError> {
        let (url, response) = self.send().await?;
        body(&url, response, ANSWER_BYTES).await.map(drop)
    }

    /// Sends it and reads events as they come (`text/event-stream`). Only the beginning of
    /// the answer has to come in time.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn events(self) -> Result<Events, RemoteError> {
        let within = self.within;
        let url = self.remote.url().to_owned();
        let late = RemoteError::Away {
            url,
            reason: "there was no answer in time".to_owned(),
        };
        let begun = tokio::time::timeout(within, self.begin(None)).await;
        let (url, response) = begun.map_err(|_| late)??;
        Ok(Events::new(url, response))
    }

    async fn send(self) -> Result<(String, Response), RemoteError> {
        let within = self.within;
        self.begin(Some(within)).await
    }

    /// Sends it, and returns the answer if it is a success.
    async fn begin(self, within: Option<Duration>) -> Result<(String, Response), RemoteError> {
        if let Some(part) = self.strange {
            return Err(RemoteError::Misconfigured {
                what: format!("{part:?} is no name that a URL can carry"),
            });
        }
        let builder = match within {
            Some(within) => self.builder.timeout(within),
            None => self.builder,
        };
        let sent = builder.send().await;
        let response = sent.map_err(|error| RemoteError::of(self.remote.url(), &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok((self.url, response));
        }
        // Of a long text the beginning will do: it is no failure of ours then.
        let body = match body(&self.url, response, REFUSAL_BYTES).await {
            Err(RemoteError::TooLarge { .. }) => Bytes::new(),
            body => body?,
        };
        Err(RemoteError::refused(&self.url, status, &body))
    }
}

/// Reads the whole of an answer.
async fn body(url: &str, mut response: Response, most: u64) -> Result<Bytes, RemoteError> {
    let too_large = || RemoteError::TooLarge {
        url: url.to_owned(),
        allowed: most,
    };
    if response.content_length().is_some_and(|bytes| bytes > most) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    loop {
        let part = response.chunk().await;
        match part.map_err(|error| RemoteError::of(url, &error))? {
            None => return Ok(body.freeze()),
            Some(part) if (body.len() + part.len()) as u64 > most => return Err(too_large()),
            Some(part) => body.extend_from_slice(&part),
        }
    }
}

fn read<T: DeserializeOwned>(url: &str, body: &[u8]) -> Result<T, RemoteError> {
    serde_json::from_slice(body).map_err(|error| RemoteError::Unreadable {
        url: url.to_owned(),
        reason: error.to_string(),
    })
}
