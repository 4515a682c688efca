//! The steps of the schema in Postgres, each a numbered SQL file, applied once and in
//! order. The same tables in SQLite are steps of [`crate::database`], whose file they
//! are in.

use super::{Dialect, Kind, Link, Sql, SqlError, Value};
use crate::clock::Clock;

/// What processes that start at once take turns by: "CELERIAC".
const TURN: i64 = 0x4345_4c45_5249_4143;

/// One step of the schema.
struct Migration {
    /// Its number, for ever, and that of the step of SQLite's schema with the same tables.
    number: u32,
    /// What it is about.
    name: &'static str,
    /// Its SQL: one or more statements.
    sql: &'static str,
}

/// All steps, by number. Steps are added, never changed.
const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 70,
        name: "registry by tenant",
        sql: include_str!("../../migrations/postgres/0070_registry.sql"),
    },
    Migration {
        number: 80,
        name: "platform",
        sql: include_str!("../../migrations/postgres/0080_platform.sql"),
    },
    Migration {
        number: 85,
        name: "calls",
        sql: include_str!("../../migrations/postgres/0085_calls.sql"),
    },
    Migration {
        number: 90,
        name: "versions",
        sql: include_str!("../../migrations/postgres/0090_versions.sql"),
    },
    Migration {
        number: 96,
        name: "replica",
        sql: include_str!("../../migrations/postgres/0096_replica.sql"),
    },
    Migration {
        number: 98,
        name: "usage",
        sql: include_str!("../../migrations/postgres/0098_usage.sql"),
    },
    Migration {
        number: 100,
        name: "results of tenants",
        sql: include_str!("../../migrations/postgres/0100_tenant_stored.sql"),
    },
];

impl Sql {
    /// Brings the tables of the control plane up to date in one transaction, one process
    /// at a time. In a SQLite file they are there once [`crate::database`] has opened it.
    ///
    /// # Errors
    /// [`SqlError::Misconfigured`] when a newer version of Celeriac, or another program,
    /// made the tables that are there; what the database said.
    pub async fn migrate(&self, clock: &Clock) -> Result<(), SqlError> {
        match self.dialect() {
            Dialect::Sqlite => Ok(()),
            Dialect::Postgres => {
                let work = async |link: &mut Link| apply(link, MIGRATIONS, clock).await;
                self.transaction(true, work).await
            }
        }
    }
}

async fn apply(link: &mut Link, steps: &[Migration], clock: &Clock) -> Result<(), SqlError> {
    let turn = "SELECT 1 FROM (SELECT pg_advisory_xact_lock($1)) AS turn";
    link.rows(turn, vec![Value::from(TURN)], &[]).await?;
    let applied = applied(link).await?;
    let known = steps.iter().map(|step| step.number).max().unwrap_or(0);
    if let Some(found) = applied
        .iter()
        .find(|number| steps.iter().all(|step| step.number != **number))
    {
        return Err(SqlError::Misconfigured {
            reason: format!(
                "a newer celeriac made the tables of this database (step {found:04}, this one knows steps up to {known:04}); use the newer celeriac, or another database"
            ),
        });
    }
    for step in steps.iter().filter(|step| !applied.contains(&step.number)) {
        link.script(step.sql).await?;
        let sql = "INSERT INTO celeriac_migrations (number, name, applied_at) VALUES ($1, $2, $3)";
        let values = vec![
            Value::from(i64::from(step.number)),
            Value::text(step.name),
            Value::from(clock.now_ms()),
        ];
        link.execute(sql, values).await?;
    }
    Ok(())
}

/// Lists the steps that were applied, after making a place for them in a database
/// without tables of others.
async fn applied(link: &mut Link) -> Result<Vec<u32>, SqlError> {
    // Celery's results may be in the same database.
    let there = "SELECT count(*) FILTER (WHERE table_name = 'celeriac_migrations'), \
         count(*) FILTER (WHERE table_name NOT LIKE 'celer%') \
         FROM information_schema.tables WHERE table_schema = current_schema()";
    let rows = link
        .rows(there, Vec::new(), &[Kind::Int, Kind::Int])
        .await?;
    let mut row = rows.into_iter().next();
    let mut count = || row.as_mut().and_then(|row| row.int()).unwrap_or(0);
    let (ours, others) = (count(), count());
    if ours == 0 && others > 0 {
        return Err(SqlError::Misconfigured {
            reason: "the database has tables of another program; name one that is empty, or has a schema of its own by ?options=-csearch_path%3DNAME".to_owned(),
        });
    }
    let make = "CREATE TABLE IF NOT EXISTS celeriac_migrations (number BIGINT PRIMARY KEY, \
         name TEXT NOT NULL, applied_at BIGINT NOT NULL)";
    link.execute(make, Vec::new()).await?;
    let numbers = "SELECT number FROM celeriac_migrations";
    let rows = link.rows(numbers, Vec::new(), &[Kind::Int]).await?;
    let number = |mut row: super::Row| row.int().and_then(|number| u32::try_from(number).ok());
    Ok(rows.into_iter().filter_map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_has_a_number_of_its_own_and_they_are_in_order() {
        let numbers: Vec<u32> = MIGRATIONS.iter().map(|step| step.number).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    }
}
