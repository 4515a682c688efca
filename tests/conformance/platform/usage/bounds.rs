//! The tables of the bill stay small, and hold what can have been used.

use super::{all, batch, query, row, sums, tell, today, told};
use crate::platform::{Stage, name, rows_behaviours};
use celeriac::plane::{REST, UsageBy, UsageRow, UsageSums};
use celeriac::platform::{Books as _, TELLERS, TELLERS_KEPT, USAGE_NAMES, Uncounted, UsageQuery};
use celeriac::sql::{Kind, SqlError};
use celeriac::task::Day;
use std::time::Duration;

rows_behaviours! {
    sums_stay_within_what_every_reader_holds,
    what_no_worker_can_have_used_changes_nothing,
    a_tenant_has_ten_thousand_tasks_in_a_day_and_the_rest_together,
    the_last_batches_of_workers_are_remembered_for_a_week,
}

async fn execute(stage: &Stage, sql: &str) {
    let done = stage
        .sql
        .transaction(true, async |link| link.execute(sql, Vec::new()).await);
    let done: Result<u64, SqlError> = done.await;
    done.unwrap();
}

/// Counts so many tasks of tenant `acme` by the way of the table.
async fn fill(stage: &Stage, day: Day, tasks: i64, attempts: u64) {
    let sql = format!(
        "INSERT INTO usage WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
         WHERE i < {tasks}) SELECT 'acme', {}, 'm', CAST('t' || i AS TEXT), {attempts}, \
         0, 0, 0, 0, {attempts}, 0, 0, 0, 0, 0, 0, 0 FROM n",
        day.number()
    );
    execute(stage, &sql).await;
}

mod check {
    use super::*;

    pub(super) async fn sums_stay_within_what_every_reader_holds(stage: Stage) {
        let day = today(&stage);
        for number in 1..=3 {
            let mut rows = vec![
                row(day, "acme", "images.resize", 1),
                row(day.plus(-1), "acme", "images.resize", 1),
            ];
            for row in &mut rows {
                row.used.cpu_us = UsageSums::MOST - 1;
            }
            assert!(tell(&stage, batch("w", number, rows)).await);
        }
        let entry = &all(&stage, UsageBy::Task).await[0];
        assert_eq!(
            (entry.used.cpu_us, entry.used.run_us),
            (UsageSums::MOST, 2_700)
        );
        let entry = &all(&stage, UsageBy::Tenant).await[0];
        assert_eq!(
            (entry.used.cpu_us, entry.used.run_us),
            (UsageSums::MOST, 5_400)
        );
        // Far more of it than a column of the sum would hold.
        let most = UsageSums::MOST;
        fill(&stage, day, 1_100, most).await;
        let entry = &all(&stage, UsageBy::Tenant).await[0];
        assert_eq!((entry.used.attempts, entry.used.cpu_us), (most, most));
    }

    pub(super) async fn what_no_worker_can_have_used_changes_nothing(stage: Stage) {
        let day = today(&stage);
        let good = row(day, "acme", "images.resize", 1);
        for bad in [
            row(day.plus(2), "acme", "images.resize", 1),
            row(day, "acme", "=cmd().x", 1),
            UsageRow {
                used: [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].into(),
                ..good.clone()
            },
        ] {
            let batch = batch("w", 1, vec![good.clone(), bad]);
            let refused = stage.platform.count(&batch).await.unwrap_err();
            assert!(matches!(refused, Uncounted::Refused { .. }), "{refused}");
        }
        assert_eq!(all(&stage, UsageBy::Task).await, []);
        // A database that is not ours to use is tried again, and nothing of the batch is there.
        execute(&stage, "ALTER TABLE usage RENAME TO elsewhere").await;
        let whole = batch("w", 1, vec![good.clone()]);
        let away = stage.platform.count(&whole).await.unwrap_err();
        assert!(!away.to_string().is_empty());
        execute(&stage, "ALTER TABLE elsewhere RENAME TO usage").await;
        assert!(tell(&stage, whole).await);
        assert_eq!(all(&stage, UsageBy::Task).await[0].used, sums(1));
    }

    pub(super) async fn a_tenant_has_ten_thousand_tasks_in_a_day_and_the_rest_together(
        stage: Stage,
    ) {
        let day = today(&stage);
        let tasks = USAGE_NAMES - 1;
        fill(&stage, day, tasks, 4).await;
        let rows = vec![
            row(day, "acme", "m.a", 1),
            row(day, "acme", "m.b", 2),
            row(day, "acme", "m.c", 3),
            row(day, "acme", "m.t7", 4),
            row(day.plus(-1), "acme", "m.b", 5),
            row(day, "other", "m.b", 6),
        ];
        assert!(tell(&stage, batch("w", 1, rows)).await);
        let more = vec![row(day, "acme", "m.d", 7), row(day, "acme", "m.a", 8)];
        assert!(tell(&stage, batch("w", 2, more)).await);
        let mut query = UsageQuery {
            tenant: Some(name("acme")),
            from: day,
            ..query(&stage, UsageBy::Task)
        };
        let mut entries = Vec::new();
        loop {
            let page = stage.platform.usage(&query).await.unwrap();
            let Some(last) = page.last() else {
                break;
            };
            query.after = query.by.read_place(&last.place());
            entries.extend(page);
        }
        // Those, and one for the rest.
        assert_eq!(entries.len() as i64, USAGE_NAMES + 1);
        let of = |task: &str| {
            let found = entries
                .iter()
                .find(|entry| entry.task.as_deref() == Some(task));
            found.map(|entry| entry.used.attempts / 4)
        };
        assert_eq!((of("a"), of("t7")), (Some(9), Some(5)));
        assert_eq!((of("b"), of("c"), of("d")), (None, None, None));
        assert_eq!(of(REST), Some(2 + 3 + 7));
        let days = told(&all(&stage, UsageBy::Day).await);
        let yesterday = day.plus(-1);
        assert_eq!(days[0], format!("{yesterday}/acme 5"));
        assert_eq!(days[2], format!("{day}/other 6"));
    }

    pub(super) async fn the_last_batches_of_workers_are_remembered_for_a_week(stage: Stage) {
        let one = || vec![row(today(&stage), "acme", "m.t", 1)];
        let first = batch("w1", 1, one());
        assert!(tell(&stage, first.clone()).await);
        stage.clock.advance(TELLERS_KEPT);
        assert!(tell(&stage, batch("w2", 1, one())).await);
        assert!(!tell(&stage, first.clone()).await);
        stage.clock.advance(Duration::from_millis(1));
        assert!(tell(&stage, batch("w3", 1, one())).await);
        // Nobody would tell it again so late.
        assert!(tell(&stage, first).await);
        let fill = format!(
            "INSERT INTO usage_batches WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 \
             FROM n WHERE i < {TELLERS}) SELECT CAST('x' || i AS TEXT), 1, {} + i FROM n",
            stage.clock.now_ms()
        );
        execute(&stage, &fill).await;
        stage.clock.advance(Duration::from_secs(3_600));
        assert!(tell(&stage, batch("w4", 1, one())).await);
        let count = stage.sql.transaction(false, async |link| {
            let sql = "SELECT count(*) FROM usage_batches";
            let rows = link.rows(sql, Vec::new(), &[Kind::Int]).await?;
            let mut rows = rows.into_iter();
            Ok::<_, SqlError>(rows.next().and_then(|mut row| row.int()))
        });
        assert_eq!(count.await.unwrap(), Some(TELLERS));
        assert!(!tell(&stage, batch("w4", 1, one())).await);
    }
}
