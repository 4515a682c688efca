//! The part of a message that never changes, as a row.

use crate::celery::{Message, Properties};
use bytes::Bytes;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// The columns of `payloads p` in the order that [`Payload`] reads.
pub(super) const COLUMNS: &str = "p.content_type, p.content_encoding, p.headers, p.correlation_id, \
     p.reply_to, p.priority, p.expiration, p.body";

/// A message read from a row that ends with [`COLUMNS`].
pub(super) struct Payload(pub(super) Message);

impl Payload {
    /// Reads the columns from the given one on.
    pub(super) fn read(row: &SqliteRow, first: usize) -> Result<Self, sqlx::Error> {
        let headers: &str = row.try_get(first + 2)?;
        let headers =
            serde_json::from_str(headers).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Self(Message {
            content_type: row.try_get(first)?,
            content_encoding: row.try_get(first + 1)?,
            headers,
            properties: Properties {
                correlation_id: row.try_get(first + 3)?,
                reply_to: row.try_get(first + 4)?,
                priority: row.try_get(first + 5)?,
                expiration: row.try_get(first + 6)?,
            },
            body: Bytes::from(row.try_get::<Vec<u8>, _>(first + 7)?),
        }))
    }
}
