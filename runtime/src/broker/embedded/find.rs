//! Finding the message of a task, by a query.

use super::moment;
use super::payload::Payload;
use crate::broker::{Found, Place};
use crate::database::SqliteConnection;
use bytes::Bytes;
use sqlx::Row;

/// There is no index on ids: they are looked for when a person asks, and an index would
/// cost every message. The text is compared first, because reading JSON costs more.
/// Of several messages the one that runs comes first, and the dead one last.
const FIND: &str = "SELECT m.id, m.queue, m.priority, m.due, p.envelope, p.body,
        CASE WHEN m.state IN (1, 2) AND m.due <= ?3 THEN 0 ELSE m.state END AS now,
        coalesce(d.reason, ''), coalesce(d.died_at, 0)
    FROM payloads AS p JOIN messages AS m ON m.id = p.id
    LEFT JOIN dead_letters AS d ON d.message = m.id
    WHERE instr(p.envelope, ?1) > 0 AND CASE WHEN json_valid(p.envelope) THEN
        coalesce(json_extract(p.envelope, '$.headers.id'),
            json_extract(p.envelope, '$.properties.correlation_id')) = ?2 END
    ORDER BY CASE now WHEN 2 THEN 0 WHEN 0 THEN 1 WHEN 1 THEN 2 ELSE 3 END, m.id LIMIT 1";

/// What is taken before a message that is ready.
const AHEAD: &str = "SELECT count(*) FROM messages WHERE queue = ?1 AND state = 0
    AND (priority > ?2 OR (priority = ?2 AND id < ?3))";

/// Finds the message of a task.
pub(super) async fn message(
    conn: &mut SqliteConnection,
    id: &str,
    now: i64,
) -> Result<Option<Found>, sqlx::Error> {
    let quoted = serde_json::Value::from(id).to_string();
    let row = sqlx::query(FIND)
        .bind(quoted)
        .bind(id)
        .bind(now)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (number, queue): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
    let place = match row.try_get::<i64, _>(6)? {
        0 => {
            let ahead: i64 = sqlx::query_scalar(AHEAD)
                .bind(&queue)
                .bind(row.try_get::<i64, _>(2)?)
                .bind(number)
                .fetch_one(conn)
                .await?;
            Place::Ready {
                ahead: u64::try_from(ahead).unwrap_or_default(),
            }
        }
        1 => Place::Parked {
            until: moment(row.try_get(3)?),
        },
        2 => Place::Leased {
            until: Some(moment(row.try_get(3)?)),
        },
        _ => Place::Dead {
            reason: row.try_get(7)?,
            died_at: moment(row.try_get(8)?),
        },
    };
    let payload = Payload {
        envelope: row.try_get(4)?,
        body: Bytes::from(row.try_get::<Vec<u8>, _>(5)?),
    };
    Ok(Some(Found {
        queue,
        place,
        message: payload.read(),
    }))
}
