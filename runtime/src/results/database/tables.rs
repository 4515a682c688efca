//! The tables: Celery's, as they are or as Celery 5.7 makes them, and ours.

use super::super::ResultsError;
use super::SYSTEM;
use crate::sql::{Kind, Link, Sql, SqlError, Value};
use std::collections::BTreeSet;

/// Longest id, name of a task, worker or queue, characters, as Celery declares them.
pub(super) const NAME: usize = 155;
/// Longest state, characters.
pub(super) const STATUS: usize = 50;
/// Columns that not every release, and not every setting, of Celery has made.
const MORE: [&str; 8] = [
    "children", "name", "args", "kwargs", "worker", "retries", "queue", "stamps",
];

/// What was found or made, and the statements that fit it.
#[derive(Debug)]
pub(super) struct Tables {
    columns: Vec<&'static str>,
    put: String,
    keep: String,
}

impl Tables {
    /// Makes what is missing, and looks which columns there are.
    pub(super) async fn prepare(sql: &Sql) -> Result<Self, SqlError> {
        for (table, statements) in definitions() {
            sql.transaction(true, async |link| {
                if columns(link, table).await?.is_empty() {
                    for statement in statements {
                        link.execute(statement, Vec::new()).await?;
                    }
                }
                Ok::<_, SqlError>(())
            })
            .await?;
        }
        let there = sql
            .transaction(false, async |link| columns(link, "celery_taskmeta").await)
            .await?;
        let found: Vec<&'static str> = MORE
            .into_iter()
            .filter(|name| there.contains(*name))
            .collect();
        if found.len() < MORE.len() {
            tracing::info!(
                ?found,
                "table celery_taskmeta lacks columns of newer releases of Celery; what belongs there is not stored"
            );
        }
        Ok(Self::new(found))
    }

    fn new(columns: Vec<&'static str>) -> Self {
        Self {
            put: put(&columns),
            keep: keep(),
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

async fn columns(link: &mut Link, table: &str) -> Result<BTreeSet<String>, SqlError> {
    let sql = "SELECT name FROM pragma_table_info($1)";
    let rows = link
        .rows(sql, vec![Value::text(table)], &[Kind::Text])
        .await?;
    Ok(rows.into_iter().filter_map(|mut row| row.text()).collect())
}

/// Each table with what makes it, and its index.
fn definitions() -> [(&'static str, [&'static str; 2]); 3] {
    [
        (
            "celery_taskmeta",
            [
                "CREATE TABLE celery_taskmeta (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, \
                 task_id VARCHAR(155) UNIQUE, status VARCHAR(50), result BLOB, \
                 date_done DATETIME, traceback TEXT, children BLOB, name VARCHAR(155), \
                 args BLOB, kwargs BLOB, worker VARCHAR(155), retries INTEGER, \
                 queue VARCHAR(155), stamps BLOB)",
                "CREATE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta (date_done)",
            ],
        ),
        (
            "celery_tasksetmeta",
            [
                "CREATE TABLE celery_tasksetmeta (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, \
                 taskset_id VARCHAR(155) UNIQUE, result BLOB, date_done DATETIME)",
                "CREATE INDEX ix_celery_tasksetmeta_date_done ON celery_tasksetmeta (date_done)",
            ],
        ),
        (
            "celeriac_run",
            [
                "CREATE TABLE celeriac_run (task_id VARCHAR(155) NOT NULL PRIMARY KEY, \
                 task TEXT NOT NULL, retries INTEGER NOT NULL, deliveries INTEGER NOT NULL, \
                 state TEXT NOT NULL, worker TEXT NOT NULL, lease_until INTEGER, due INTEGER, \
                 expires_at INTEGER, written_at INTEGER NOT NULL, bare INTEGER NOT NULL, \
                 used TEXT, log TEXT)",
                "CREATE INDEX ix_celeriac_run_expires_at ON celeriac_run (expires_at)",
            ],
        ),
    ]
}

fn put(more: &[&str]) -> String {
    let always = ["task_id", "status", "result", "date_done", "traceback"];
    let columns: Vec<&str> = always.iter().chain(more).copied().collect();
    format!(
        "{} WHERE celery_taskmeta.status NOT IN ('SUCCESS', 'FAILURE', 'REVOKED')",
        upsert("celery_taskmeta", &columns)
    )
}

fn keep() -> String {
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
    upsert("celeriac_run", &columns)
}

/// A statement that stores a row, whether there is one of its first column or not.
fn upsert(table: &str, columns: &[&str]) -> String {
    let places: Vec<String> = (1..=columns.len()).map(|at| format!("${at}")).collect();
    let sets = columns.iter().skip(1);
    let sets: Vec<String> = sets
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    format!(
        "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT (task_id) DO UPDATE SET {}",
        columns.join(", "),
        places.join(", "),
        sets.join(", ")
    )
}
