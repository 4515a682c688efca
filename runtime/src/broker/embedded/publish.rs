//! Publishing: many messages of many callers as few multi-row inserts.

use super::payload::Payload;
use super::{BrokerError, Outgoing, Receipt, milliseconds};
use crate::broker::check_size;
use crate::database::rows::{Insert, parts};
use crate::database::{QUEUE_BYTES, SqliteConnection, Statement};
use std::collections::HashSet;

/// Most messages of one statement; a longer list becomes several.
const LETTERS: usize = 1_000;
/// First priority that does not exist.
const PRIORITIES: u8 = 10;

const MESSAGE: &str = "messages (id, queue, state, priority, due, ready_at, bytes, key)";
static MESSAGES: Insert = Insert::new(MESSAGE, 8, "");
static KEYED: Insert = Insert::new(MESSAGE, 8, "ON CONFLICT DO NOTHING RETURNING id");
static PAYLOADS: Insert = Insert::new("payloads (id, envelope, body)", 3, "");

/// Its key is free again.
const REPLACE: &str = "UPDATE messages
    SET queue = ?3, priority = ?4, bytes = ?5, ready_at = ?6, key = NULL WHERE id = ?1 AND lease = ?2";
const REPLACE_PAYLOAD: &str = "UPDATE payloads SET envelope = ?2, body = ?3 WHERE id = ?1";

/// A message on its way into the file.
#[derive(Debug)]
pub(super) struct Letter {
    queue: String,
    payload: Payload,
    priority: u8,
    /// Zero is at once.
    due: i64,
    ready_at: i64,
    key: Option<String>,
}

impl Letter {
    /// Checks the size and writes the headers as text.
    pub(super) fn new(outgoing: Outgoing, now: i64) -> Result<Self, BrokerError> {
        let Outgoing {
            queue,
            message,
            due,
            key,
        } = outgoing;
        let priority = message.properties.priority.unwrap_or(0).min(PRIORITIES - 1);
        let payload = Payload::write(message);
        check_size(payload.body.len().max(payload.envelope.len()))?;
        let due = due.map(milliseconds).filter(|due| *due > now);
        Ok(Self {
            queue,
            payload,
            priority,
            due: due.unwrap_or(0),
            ready_at: due.unwrap_or(now),
            key,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.payload.bytes()
    }

    /// Takes the place of a message whose lease is held.
    pub(super) async fn replace(
        &self,
        conn: &mut SqliteConnection,
        receipt: &Receipt,
    ) -> Result<(), sqlx::Error> {
        let held = sqlx::query(REPLACE)
            .bind(receipt.message)
            .bind(receipt.lease)
            .bind(&self.queue)
            .bind(self.priority)
            .bind(i64::try_from(self.bytes()).unwrap_or(i64::MAX))
            .bind(self.ready_at)
            .execute(&mut *conn)
            .await?;
        if held.rows_affected() > 0 {
            sqlx::query(REPLACE_PAYLOAD)
                .bind(receipt.message)
                .bind(&self.payload.envelope)
                .bind(self.payload.body.as_ref())
                .execute(conn)
                .await?;
        }
        Ok(())
    }
}

/// Puts messages into their queues.
#[derive(Debug)]
pub(super) struct Publish {
    letters: Vec<Letter>,
}

impl Publish {
    /// Divides a list so that no statement is too large.
    pub(super) fn divide(letters: Vec<Letter>) -> Vec<Self> {
        let mut divided: Vec<Self> = Vec::new();
        let mut bytes = 0;
        for letter in letters {
            bytes += letter.bytes();
            match divided.last_mut() {
                Some(last) if last.letters.len() < LETTERS && bytes <= QUEUE_BYTES => {
                    last.letters.push(letter);
                }
                _ => {
                    bytes = letter.bytes();
                    divided.push(Self {
                        letters: vec![letter],
                    });
                }
            }
        }
        divided
    }
}

impl Statement for Publish {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        let count = batch
            .iter()
            .map(|publish| publish.letters.len())
            .sum::<usize>();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let next: i64 = sqlx::query_scalar("UPDATE message_ids SET next = next + ? RETURNING next")
            .bind(count)
            .fetch_one(&mut *conn)
            .await?;
        let numbered: Vec<(i64, &Letter)> = (next - count..)
            .zip(batch.iter().flat_map(|publish| &publish.letters))
            .collect();
        for part in parts(&numbered) {
            let skipped = insert_messages(conn, part).await?;
            let new: Vec<_> = part
                .iter()
                .filter(|(id, _)| !skipped.contains(id))
                .copied()
                .collect();
            for part in parts(&new) {
                insert_payloads(conn, part).await?;
            }
        }
        Ok(vec![(); batch.len()])
    }

    fn weight(&self) -> usize {
        self.letters.iter().map(Letter::bytes).sum()
    }
}

/// Inserts slim rows, and returns those ids whose key exists already.
async fn insert_messages(
    conn: &mut SqliteConnection,
    part: &[(i64, &Letter)],
) -> Result<HashSet<i64>, sqlx::Error> {
    let keyed = part.iter().any(|(_, letter)| letter.key.is_some());
    let sql = if keyed {
        KEYED.sql(part.len())
    } else {
        MESSAGES.sql(part.len())
    };
    let mut query = sqlx::query_scalar::<_, i64>(sql);
    for (id, letter) in part {
        query = query
            .bind(id)
            .bind(&letter.queue)
            .bind(i64::from(letter.due > 0))
            .bind(letter.priority)
            .bind(letter.due)
            .bind(letter.ready_at)
            .bind(i64::try_from(letter.bytes()).unwrap_or(i64::MAX))
            .bind(letter.key.as_deref());
    }
    let inserted = query.fetch_all(&mut *conn).await?;
    if !keyed {
        return Ok(HashSet::new());
    }
    let mut skipped: HashSet<i64> = part.iter().map(|(id, _)| *id).collect();
    for id in inserted {
        skipped.remove(&id);
    }
    Ok(skipped)
}

async fn insert_payloads(
    conn: &mut SqliteConnection,
    part: &[(i64, &Letter)],
) -> Result<(), sqlx::Error> {
    let mut query = sqlx::query(PAYLOADS.sql(part.len()));
    for (id, letter) in part {
        query = query
            .bind(id)
            .bind(&letter.payload.envelope)
            .bind(letter.payload.body.as_ref());
    }
    query.execute(conn).await.map(drop)
}
