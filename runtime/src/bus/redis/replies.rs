//! Replies to one caller, in a list as kombu's transport fills it.
//!
//! A reply is looked at, and removed when the next one is asked for: taking it at once
//! (`BRPOP`, as Celery's clients do) loses it when the answer of the server is lost.

use super::super::Heard;
use crate::celery::envelope::Envelope;
use crate::resp::{RedisServer, Watch, cannot_watch};
use futures::StreamExt as _;
use futures::stream;
use redis::{RedisError, Script, pipe};
use std::sync::LazyLock;
use std::time::Duration;

/// Between two looks where the server does not tell of changes (40 ms).
const LOOK: Duration = Duration::from_millis(40);

/// Tells whether something is there, and has the server tell of the next change.
static LOOK_AT: LazyLock<Script> =
    LazyLock::new(|| Script::new("return redis.call('EXISTS', KEYS[1])"));

/// One who waits for replies.
struct Ear {
    server: RedisServer,
    list: String,
    /// None where the server does not tell of changes.
    watch: Option<Watch>,
    /// What was looked at last, still in the list.
    seen: Option<Vec<u8>>,
}

/// Listens until the connection is lost. What was seen last comes again then.
pub(super) async fn listen(server: &RedisServer, list: String) -> Result<Heard, RedisError> {
    let watch = match server.watch().await {
        Ok(watch) => Some(watch),
        Err(error) if cannot_watch(&error) => None,
        Err(error) => return Err(error),
    };
    let ear = Ear {
        server: server.clone(),
        list,
        watch,
        seen: None,
    };
    let heard = stream::unfold(ear, async |mut ear| match ear.next().await {
        Ok(text) => {
            let message = Envelope::read(&text).message;
            ear.seen = Some(text);
            Some((message, ear))
        }
        Err(error) => {
            tracing::warn!(%error, "replies are not heard just now");
            None
        }
    });
    Ok(heard.boxed())
}

impl Ear {
    async fn next(&mut self) -> Result<Vec<u8>, RedisError> {
        loop {
            let mut look = pipe();
            if let Some(seen) = &self.seen {
                // By its value: a repeated command removes no other one.
                look.cmd("LREM").arg(&self.list).arg(-1).arg(seen).ignore();
            }
            look.cmd("LINDEX").arg(&self.list).arg(-1);
            let (next,): (Option<Vec<u8>>,) = look.query_async(&mut self.server.shared()).await?;
            self.seen = None;
            if let Some(next) = next {
                return Ok(next);
            }
            let Some(watch) = &mut self.watch else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            let keys = std::slice::from_ref(&self.list);
            if !watch.read::<bool>(&LOOK_AT, keys, "").await? {
                watch.changed().await;
            }
        }
    }
}
