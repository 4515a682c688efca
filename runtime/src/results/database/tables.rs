//! The tables: Celery's, as they are or as Celery 5.7 makes them, and ours.

use super::super::ResultsError;
use super::{SYSTEM, dialect};
use crate::sql::{Dialect, Link, Sql, SqlError};

/// Longest id, name of a task, worker or queue, characters, as Celery declares them.
pub(super) const NAME: usize = 155;
/// Longest state, characters.
pub(super) const STATUS: usize = 50;
/// Columns that every release of Celery has made, beside the number of the row.
const ALWAYS: [&str; 5] = ["task_id", "status", "result", "date_done", "traceback"];
/// Columns that not every release, and not every setting, of Celery has made.
const MORE: [&str; 8] = [
    "children", "name", "args", "kwargs", "worker", "retries", "queue", "stamps",
];

/// What was found or made, and the statements that fit it.
#[derive(Debug)]
pub(super) struct Tables {
    dialect: Dialect,
    columns: Vec<&'static str>,
    put: String,
    keep: String,
    left: [String; 2],
}

impl Tables {
    /// Makes what is missing, and looks which columns there are.
    pub(super) async fn prepare(sql: &Sql) -> Result<Self, SqlError> {
        let speaks = sql.dialect();
        for (table, statements) in dialect::definitions(speaks) {
            sql.transaction(true, async |link| {
                // Postgres lets two make the same table, and fails the later one at its end.
                dialect::lock(link, speaks, [table].into_iter()).await?;
                if dialect::columns(link, speaks, table).await?.is_empty() {
                    for statement in &statements {
                        link.execute(statement, Vec::new()).await?;
                    }
                }
                Ok::<_, SqlError>(())
            })
            .await?;
        }
        let there = sql
            .transaction(false, async |link| {
                dialect::columns(link, speaks, "celery_taskmeta").await
            })
            .await?;
        let found: Vec<&'static str> = MORE
            .into_iter()
            .filter(|name| there.contains_key(*name))
            .collect();
        let wanted: Vec<&str> = ["id"]
            .iter()
            .chain(&ALWAYS)
            .chain(&found)
            .copied()
            .collect();
        dialect::check(speaks, &there, &wanted)?;
        if found.len() < MORE.len() {
            tracing::info!(
                ?found,
                "table celery_taskmeta lacks columns of newer releases of Celery; what belongs there is not stored"
            );
        }
        Ok(Self::new(speaks, found))
    }

    fn new(dialect: Dialect, columns: Vec<&'static str>) -> Self {
        Self {
            put: put(dialect, &columns),
            keep: keep(dialect),
            left: left(dialect),
            dialect,
            columns,
        }
    }

    /// Returns the columns that are there beyond those that always are.
    pub(super) fn columns(&self) -> &[&'static str] {
        &self.columns
    }

    /// Stores Celery's row, unless the task is over: id, state, result, date, traceback,
    /// then [`Tables::columns`].
    pub(super) fn put(&self) -> &str {
        &self.put
    }

    /// Stores our row.
    pub(super) fn keep(&self) -> &str {
        &self.keep
    }

    /// Removes what is older than `$1`, at most `$2` rows, and not ours to say when it is
    /// over: tasks, and groups.
    pub(super) fn left(&self) -> &[String; 2] {
        &self.left
    }

    /// Rows of ids (`id`) out of the JSON array `$1`.
    pub(super) fn ids(&self) -> &'static str {
        dialect::ids(self.dialect)
    }

    /// Waits until nobody else of ours writes about these tasks, until the transaction ends.
    pub(super) async fn lock(
        &self,
        link: &mut Link,
        ids: impl Iterator<Item = &str>,
    ) -> Result<(), SqlError> {
        dialect::lock(link, self.dialect, ids).await
    }
}

/// Checks that a text fits its column.
pub(super) fn fits(what: &str, text: &str, most: usize) -> Result<(), ResultsError> {
    if text.chars().count() <= most {
        return Ok(());
    }
    Err(ResultsError::Malformed {
        system: SYSTEM,
        reason: format!("{what} {text:?} is longer than the {most} characters of Celery's column"),
    })
}

fn put(speaks: Dialect, more: &[&str]) -> String {
    let columns: Vec<&str> = ALWAYS.iter().chain(more).copied().collect();
    format!(
        "{} WHERE celery_taskmeta.status NOT IN ('SUCCESS', 'FAILURE', 'REVOKED')",
        upsert(speaks, "celery_taskmeta", dialect::number(speaks), &columns)
    )
}

fn keep(speaks: Dialect) -> String {
    let columns = [
        "task_id",
        "task",
        "retries",
        "deliveries",
        "state",
        "worker",
        "lease_until",
        "due",
        "expires_at",
        "written_at",
        "bare",
        "used",
        "log",
    ];
    upsert(speaks, "celeriac_run", ("", ""), &columns)
}

fn left(speaks: Dialect) -> [String; 2] {
    let limit = dialect::moment(speaks, "$1");
    // A row that somebody else is about to write is looked at again after that.
    let old = |table: &str, more: &str| {
        format!(
            "DELETE FROM {table} WHERE date_done < {limit} AND id IN (SELECT t.id FROM {table} t \
             WHERE t.date_done < {limit}{more} LIMIT $2)"
        )
    };
    let not_ours = " AND NOT EXISTS (SELECT 1 FROM celeriac_run r WHERE r.task_id = t.task_id)";
    [
        old("celery_taskmeta", not_ours),
        old("celery_tasksetmeta", ""),
    ]
}

/// A statement that stores a row, whether there is one of its first column or not; `new`
/// is what else a new row needs.
fn upsert(speaks: Dialect, table: &str, new: (&str, &str), columns: &[&str]) -> String {
    let places = columns.iter().enumerate().map(|(at, column)| {
        let place = format!("${}", at + 1);
        match *column {
            "date_done" => dialect::moment(speaks, &place),
            _ => place,
        }
    });
    let places: Vec<String> = places.collect();
    let sets = columns.iter().skip(1);
    let sets: Vec<String> = sets
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let (column, value) = new;
    format!(
        "INSERT INTO {table} ({column}{}) VALUES ({value}{}) \
         ON CONFLICT (task_id) DO UPDATE SET {}",
        columns.join(", "),
        places.join(", "),
        sets.join(", ")
    )
}
