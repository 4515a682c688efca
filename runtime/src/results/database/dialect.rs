//! What is said differently to SQLite and to Postgres.

use crate::sql::{Dialect, Kind, Link, SqlError, Value};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Locks of a Postgres server that order what is written about tasks, whoever writes it:
/// a server has room for 64 of each of its connections.
const LOCKS: u8 = 128;
/// What tells our locks from those of others in the same database.
const LOCK_SPACE: i64 = 0x0ce1_e51a;

/// Rows of ids (`id`) out of the JSON array `$1`.
pub(super) fn ids(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "SELECT value AS id FROM json_each($1)",
        Dialect::Postgres => "SELECT json_array_elements_text($1::json) AS id",
    }
}

/// A moment out of text, in the place of a value.
pub(super) fn moment(dialect: Dialect, place: &str) -> String {
    match dialect {
        Dialect::Sqlite => place.to_owned(),
        Dialect::Postgres => format!("{place}::text::timestamp"),
    }
}

/// Column and value of a new row of Celery's: there SQLAlchemy asks the sequence itself,
/// and the column has no default.
pub(super) fn number(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        Dialect::Sqlite => ("", ""),
        Dialect::Postgres => ("id, ", "nextval('task_id_sequence'), "),
    }
}

/// Waits until nobody else of ours writes about these tasks, until the transaction ends.
/// Rows that are not there yet cannot be locked, so names are. SQLite has one writer.
pub(super) async fn lock(
    link: &mut Link,
    dialect: Dialect,
    ids: impl Iterator<Item = &str>,
) -> Result<(), SqlError> {
    match dialect {
        Dialect::Sqlite => return Ok(()),
        Dialect::Postgres => {}
    }
    // Always in the same order: nobody waits for somebody who waits for him.
    let locks: BTreeSet<i64> = ids.map(name).collect();
    let sql = "SELECT pg_advisory_xact_lock(name::bigint) \
         FROM json_array_elements_text($1::json) AS names (name)";
    let names = Value::Text(Some(json!(locks).to_string()));
    link.execute(sql, vec![names]).await?;
    Ok(())
}

fn name(id: &str) -> i64 {
    let [first, ..] = *blake3::hash(id.as_bytes()).as_bytes();
    LOCK_SPACE << 8 | i64::from(first % LOCKS)
}

/// Returns the columns of a table with their types; none when it is not there.
pub(super) async fn columns(
    link: &mut Link,
    dialect: Dialect,
    table: &str,
) -> Result<BTreeMap<String, String>, SqlError> {
    let sql = match dialect {
        Dialect::Sqlite => "SELECT name, type FROM pragma_table_info($1)",
        Dialect::Postgres => {
            "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute \
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped"
        }
    };
    let kinds = [Kind::Text; 2];
    let rows = link.rows(sql, vec![Value::text(table)], &kinds).await?;
    let named = rows.into_iter().filter_map(|mut row| {
        let name = row.text()?;
        Some((name, row.text().unwrap_or_default()))
    });
    Ok(named.collect())
}

/// Checks that the columns of `celery_taskmeta` take what Celery puts into them. SQLite's
/// take everything.
pub(super) fn check(
    dialect: Dialect,
    columns: &BTreeMap<String, String>,
    wanted: &[&'static str],
) -> Result<(), SqlError> {
    for column in wanted {
        let types: &[&str] = match (dialect, *column) {
            (Dialect::Sqlite, _) => continue,
            (Dialect::Postgres, "id" | "retries") => &["integer", "bigint"],
            (Dialect::Postgres, "date_done") => {
                &["timestamp without time zone", "timestamp with time zone"]
            }
            (Dialect::Postgres, "result" | "children" | "args" | "kwargs" | "stamps") => &["bytea"],
            (Dialect::Postgres, _) => &["character varying", "text"],
        };
        let found = columns.get(*column).map_or("missing", String::as_str);
        if !types.contains(&found) {
            return Err(SqlError::Misconfigured {
                reason: format!(
                    "column {column} of table celery_taskmeta is {found} where Celery has {}: \
                     somebody else made this table; rename it or name another database",
                    types.join(" or ")
                ),
            });
        }
    }
    Ok(())
}

/// Each table with the statements that make it.
pub(super) fn definitions(dialect: Dialect) -> [(&'static str, Vec<String>); 3] {
    let (id, bytes, date) = match dialect {
        Dialect::Sqlite => (
            "id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
            "BLOB",
            "DATETIME",
        ),
        Dialect::Postgres => ("id INTEGER NOT NULL PRIMARY KEY", "BYTEA", "TIMESTAMP"),
    };
    let sequence = |name: &str| match dialect {
        Dialect::Sqlite => None,
        Dialect::Postgres => Some(format!("CREATE SEQUENCE IF NOT EXISTS {name}")),
    };
    let made = |sequence: Option<String>, table: &'static str, columns: String, by: &str| {
        let index = format!("CREATE INDEX ix_{table}_{by} ON {table} ({by})");
        let create = format!("CREATE TABLE {table} ({columns})");
        let statements = sequence.into_iter().chain([create, index]);
        (table, statements.collect())
    };
    let meta = format!(
        "{id}, task_id VARCHAR(155) UNIQUE, status VARCHAR(50), result {bytes}, \
         date_done {date}, traceback TEXT, children {bytes}, name VARCHAR(155), args {bytes}, \
         kwargs {bytes}, worker VARCHAR(155), retries INTEGER, queue VARCHAR(155), stamps {bytes}"
    );
    let set = format!("{id}, taskset_id VARCHAR(155) UNIQUE, result {bytes}, date_done {date}");
    let run = "task_id VARCHAR(155) NOT NULL PRIMARY KEY, task TEXT NOT NULL, \
         retries BIGINT NOT NULL, deliveries BIGINT NOT NULL, state TEXT NOT NULL, \
         worker TEXT NOT NULL, lease_until BIGINT, due BIGINT, expires_at BIGINT, \
         written_at BIGINT NOT NULL, bare BIGINT NOT NULL, used TEXT, log TEXT";
    [
        made(
            sequence("task_id_sequence"),
            "celery_taskmeta",
            meta,
            "date_done",
        ),
        made(
            sequence("taskset_id_sequence"),
            "celery_tasksetmeta",
            set,
            "date_done",
        ),
        made(None, "celeriac_run", run.to_owned(), "expires_at"),
    ]
}
