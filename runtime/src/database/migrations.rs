//! The steps of the schema, each a numbered SQL file, applied once and in order.

use super::DatabaseError;
use crate::clock::Clock;
use sqlx::SqliteConnection;
use std::path::Path;

/// Marks the file as ours in its header: "CELR".
const APPLICATION_ID: i64 = 0x4345_4c52;

/// One step of the schema.
pub(crate) struct Migration {
    /// Its number, for ever.
    pub(crate) number: u32,
    /// What it is about.
    pub(crate) name: &'static str,
    /// Its SQL: one or more statements.
    pub(crate) sql: &'static str,
}

/// All steps, by number. Steps are added, never changed.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "messages",
        sql: include_str!("../../migrations/0001_messages.sql"),
    },
    Migration {
        number: 2,
        name: "results",
        sql: include_str!("../../migrations/0002_results.sql"),
    },
    Migration {
        number: 5,
        name: "revocations",
        sql: include_str!("../../migrations/0005_revocations.sql"),
    },
    Migration {
        number: 10,
        name: "registry",
        sql: include_str!("../../migrations/0010_registry.sql"),
    },
    Migration {
        number: 20,
        name: "chords",
        sql: include_str!("../../migrations/0020_chords.sql"),
    },
    Migration {
        number: 30,
        name: "bus",
        sql: include_str!("../../migrations/0030_bus.sql"),
    },
    Migration {
        number: 50,
        name: "kills",
        sql: include_str!("../../migrations/0050_kills.sql"),
    },
    Migration {
        number: 51,
        name: "metering",
        sql: include_str!("../../migrations/0051_metering.sql"),
    },
    Migration {
        number: 60,
        name: "shelves",
        sql: include_str!("../../migrations/0060_shelves.sql"),
    },
    Migration {
        number: 70,
        name: "registry by tenant",
        sql: include_str!("../../migrations/0070_registry_by_tenant.sql"),
    },
    Migration {
        number: 80,
        name: "platform",
        sql: include_str!("../../migrations/0080_platform.sql"),
    },
    Migration {
        number: 85,
        name: "calls",
        sql: include_str!("../../migrations/0085_calls.sql"),
    },
    Migration {
        number: 90,
        name: "versions",
        sql: include_str!("../../migrations/0090_versions.sql"),
    },
    Migration {
        number: 94,
        name: "CPU time of tenants",
        sql: include_str!("../../migrations/0094_tenant_cpu.sql"),
    },
    Migration {
        number: 96,
        name: "replica",
        sql: include_str!("../../migrations/0096_replica.sql"),
    },
    Migration {
        number: 98,
        name: "usage",
        sql: include_str!("../../migrations/0098_usage.sql"),
    },
    Migration {
        number: 100,
        name: "results of tenants",
        sql: include_str!("../../migrations/0100_tenant_stored.sql"),
    },
];

pub(super) enum MigrationError {
    Refused(DatabaseError),
    Sqlite(sqlx::Error),
}

impl From<sqlx::Error> for MigrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Brings the schema up to date in one transaction; a file that is not ours, or
/// of a newer version, is left untouched.
pub(super) async fn run(
    conn: &mut SqliteConnection,
    path: &Path,
    clock: &Clock,
) -> Result<(), MigrationError> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    match apply(conn, path, clock).await {
        Ok(()) => {
            sqlx::query("COMMIT").execute(&mut *conn).await?;
            Ok(())
        }
        Err(error) => {
            drop(sqlx::query("ROLLBACK").execute(&mut *conn).await);
            Err(error)
        }
    }
}

async fn apply(
    conn: &mut SqliteConnection,
    path: &Path,
    clock: &Clock,
) -> Result<(), MigrationError> {
    let application: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *conn)
        .await?;
    if application != APPLICATION_ID {
        let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
            .fetch_one(&mut *conn)
            .await?;
        if application != 0 || tables > 0 {
            return Err(MigrationError::Refused(DatabaseError::Unusable {
                path: path.to_owned(),
                reason: "it is a database of another program; move it away, or name another folder with --data"
                    .to_owned(),
            }));
        }
        sqlx::query("PRAGMA application_id = 1128614994")
            .execute(&mut *conn)
            .await?;
        sqlx::query(
            "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT",
        )
        .execute(&mut *conn)
        .await?;
    }
    let applied: Vec<u32> = sqlx::query_scalar("SELECT number FROM migrations")
        .fetch_all(&mut *conn)
        .await?;
    let known = MIGRATIONS.iter().map(|step| step.number).max().unwrap_or(0);
    if let Some(&found) = applied
        .iter()
        .find(|number| MIGRATIONS.iter().all(|step| step.number != **number))
    {
        return Err(MigrationError::Refused(DatabaseError::Newer {
            path: path.to_owned(),
            found,
            known,
        }));
    }
    for step in MIGRATIONS
        .iter()
        .filter(|step| !applied.contains(&step.number))
    {
        sqlx::raw_sql(step.sql).execute(&mut *conn).await?;
        sqlx::query("INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)")
            .bind(step.number)
            .bind(step.name)
            .bind(clock.now_ms())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}
