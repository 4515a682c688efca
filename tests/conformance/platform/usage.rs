//! The bill: each batch counts once, sums are exact, and the tables stay small.

use super::{Stage, me, name, rows_behaviours};
use celeriac::plane::{REST, UsageBatch, UsageBy, UsageEntry, UsageRow, UsageSums};
use celeriac::platform::{
    Books as _, TELLERS, TELLERS_KEPT, Terms, USAGE_KEPT, USAGE_NAMES, USAGE_PAGE, Uncounted,
    UsageQuery,
};
use celeriac::sql::SqlError;
use celeriac::task::Day;
use std::time::Duration;

rows_behaviours! {
    a_batch_that_is_told_twice_counts_once,
    two_workers_that_tell_at_once_add_to_each_other,
    it_is_told_apart_as_far_as_somebody_wants,
    pages_go_on_where_the_one_before_ended,
    sums_stay_within_what_every_reader_holds,
    what_no_worker_can_have_used_changes_nothing,
    a_tenant_has_ten_thousand_tasks_in_a_day_and_the_rest_together,
    nobody_inherits_what_an_earlier_tenant_of_the_name_used,
    it_keeps_four_hundred_days,
    the_last_batches_of_workers_are_remembered_for_a_week,
}

mod check {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn today(stage: &Stage) -> Day {
        Day::of(stage.clock.now())
    }

    fn row(day: Day, tenant: &str, task: &str, times: u64) -> UsageRow {
        let (module, task) = task.rsplit_once('.').unwrap_or((REST, REST));
        UsageRow {
            day,
            tenant: name(tenant),
            module: module.to_owned(),
            task: task.to_owned(),
            used: sums(times),
        }
    }

    fn sums(times: u64) -> UsageSums {
        let ones: [u64; 13] = [4, 1, 1, 1, 1, 700, 900, 30, 20, 2, 11, 12, 5];
        ones.map(|number| number * times).into()
    }

    fn batch(worker: &str, number: u64, rows: Vec<UsageRow>) -> UsageBatch {
        UsageBatch {
            worker: worker.to_owned(),
            number,
            rows,
        }
    }

    fn query(stage: &Stage, by: UsageBy) -> UsageQuery {
        UsageQuery {
            tenant: None,
            from: today(stage).plus(-1_000),
            to: today(stage).plus(1),
            by,
            after: None,
            limit: USAGE_PAGE,
        }
    }

    async fn all(stage: &Stage, by: UsageBy) -> Vec<UsageEntry> {
        stage.platform.usage(&query(stage, by)).await.unwrap()
    }

    async fn tell(stage: &Stage, batch: UsageBatch) -> bool {
        stage.platform.count_usage(&batch).await.unwrap()
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

    /// Entries as people read them, with how many batches' worth they are.
    fn told(entries: &[UsageEntry]) -> Vec<String> {
        let place = |entry: &UsageEntry| format!("{} {}", entry.place(), entry.used.attempts / 4);
        entries.iter().map(place).collect()
    }

    pub(super) async fn a_batch_that_is_told_twice_counts_once(stage: Stage) {
        let day = today(&stage);
        let first = batch("w1", 1, vec![row(day, "acme", "images.resize", 1)]);
        let second = batch("w1", 2, vec![row(day, "acme", "images.resize", 2)]);
        assert!(tell(&stage, first.clone()).await);
        assert!(!tell(&stage, first.clone()).await);
        // By way of another process, too.
        assert!(!stage.others.count_usage(&first).await.unwrap());
        assert!(tell(&stage, second.clone()).await);
        stage.others.count(&second).await.unwrap();
        // One that comes late was counted before the one after it was made.
        assert!(!tell(&stage, first.clone()).await);
        let entries = all(&stage, UsageBy::Task).await;
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].used, sums(3));
        // Another process counts from the beginning.
        let other = UsageBatch {
            worker: "w2".to_owned(),
            ..first
        };
        assert!(tell(&stage, other).await);
        assert_eq!(all(&stage, UsageBy::Task).await[0].used, sums(4));
        assert!(tell(&stage, batch("w2", 2, Vec::new())).await);
    }

    pub(super) async fn two_workers_that_tell_at_once_add_to_each_other(stage: Stage) {
        let day = today(&stage);
        let rows = |backwards: bool| {
            let row = |number| row(day, "acme", &format!("images.t{number}"), 1);
            let mut rows: Vec<UsageRow> = (0..100).map(row).collect();
            if backwards {
                rows.reverse();
            }
            rows
        };
        let many = async |platform: &celeriac::platform::Platform, worker: &str, backwards| {
            for number in 1..=10 {
                let batch = batch(worker, number, rows(backwards));
                assert!(platform.count_usage(&batch).await.unwrap());
            }
        };
        tokio::join!(
            many(&stage.platform, "w1", false),
            many(&stage.others, "w2", true)
        );
        let entries = all(&stage, UsageBy::Task).await;
        assert_eq!(entries.len(), 100);
        assert!(entries.iter().all(|entry| entry.used == sums(20)));
        assert_eq!(all(&stage, UsageBy::Day).await[0].used, sums(2_000));
    }

    pub(super) async fn it_is_told_apart_as_far_as_somebody_wants(stage: Stage) {
        let (day, next) = (today(&stage), today(&stage).plus(1));
        let rows = vec![
            row(day, "acme", "images.resize", 1),
            row(day, "acme", "images.crop", 2),
            row(day, "acme", "shop.eu.pay", 3),
            row(next, "acme", "images.resize", 4),
            row(day, "other", "images.resize", 5),
            // What is in a batch twice counts twice.
            row(day, "acme", "images.resize", 6),
        ];
        assert!(tell(&stage, batch("w", 1, rows)).await);
        let entries = all(&stage, UsageBy::Task).await;
        let expected = [
            format!("{day}/acme/images/crop 2"),
            format!("{day}/acme/images/resize 7"),
            format!("{day}/acme/shop.eu/pay 3"),
            format!("{day}/other/images/resize 5"),
            format!("{next}/acme/images/resize 4"),
        ];
        assert_eq!(told(&entries), expected);
        assert_eq!(entries[1].used, sums(7));
        let expected = [
            format!("{day}/acme/images 9"),
            format!("{day}/acme/shop.eu 3"),
            format!("{day}/other/images 5"),
            format!("{next}/acme/images 4"),
        ];
        assert_eq!(told(&all(&stage, UsageBy::Module).await), expected);
        let expected = [
            format!("{day}/acme 12"),
            format!("{day}/other 5"),
            format!("{next}/acme 4"),
        ];
        assert_eq!(told(&all(&stage, UsageBy::Day).await), expected);
        let entries = all(&stage, UsageBy::Tenant).await;
        assert_eq!(told(&entries), ["acme 16", "other 5"]);
        assert_eq!(entries[0].used, sums(16));
        let of = async |tenant: &str, from, to| {
            let query = UsageQuery {
                tenant: Some(name(tenant)),
                from,
                to,
                ..query(&stage, UsageBy::Tenant)
            };
            told(&stage.platform.usage(&query).await.unwrap())
        };
        assert_eq!(of("acme", day, next).await, ["acme 16"]);
        assert_eq!(of("acme", day, day).await, ["acme 12"]);
        assert_eq!(of("acme", next, next).await, ["acme 4"]);
        assert_eq!(of("other", next, next).await, [""; 0]);
        assert_eq!(of("nobody", day, next).await, [""; 0]);
    }

    pub(super) async fn pages_go_on_where_the_one_before_ended(stage: Stage) {
        let day = today(&stage);
        let mut rows = Vec::new();
        for offset in 0..3 {
            for tenant in ["acme", "other"] {
                for task in ["a.x", "a.y", "b.x"] {
                    rows.push(row(day.plus(-offset), tenant, task, 1));
                }
            }
        }
        assert!(tell(&stage, batch("w", 1, rows)).await);
        for by in [
            UsageBy::Tenant,
            UsageBy::Day,
            UsageBy::Module,
            UsageBy::Task,
        ] {
            let whole = told(&all(&stage, by).await);
            let mut paged = Vec::new();
            let mut query = UsageQuery {
                limit: 2,
                ..query(&stage, by)
            };
            loop {
                let page = stage.platform.usage(&query).await.unwrap();
                paged.extend(told(&page));
                let Some(last) = page.last().filter(|_| page.len() == 2) else {
                    break;
                };
                query.after = by.read_place(&last.place());
                assert!(query.after.is_some());
            }
            assert_eq!(paged, whole, "{by:?}");
        }
        assert_eq!(all(&stage, UsageBy::Task).await.len(), 18);
    }

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

    pub(super) async fn nobody_inherits_what_an_earlier_tenant_of_the_name_used(stage: Stage) {
        let (platform, acme, day) = (&stage.platform, name("acme"), today(&stage));
        let make = async || platform.create_tenant(me(), &acme, Terms::default()).await;
        make().await.unwrap();
        let rows = |times| {
            vec![
                row(day.plus(-1), "acme", "m.t", times),
                row(day, "acme", "m.t", times),
                row(day, "acmes", "m.t", times),
            ]
        };
        assert!(tell(&stage, batch("w", 1, rows(1))).await);
        platform.delete_tenant(me(), &acme, true).await.unwrap();
        // What is told late is the earlier one's, too.
        assert!(tell(&stage, batch("w", 2, rows(1))).await);
        stage.clock.advance(Duration::from_secs(1));
        make().await.unwrap();
        assert!(make().await.is_err());
        assert!(tell(&stage, batch("w", 3, rows(3))).await);
        let (yesterday, aside) = (day.plus(-1), format!("acme~{}", stage.clock.now_ms()));
        let mut entries = told(&all(&stage, UsageBy::Day).await);
        // Where `~` stands among letters is for the database to say.
        entries.sort();
        let expected = [
            format!("{yesterday}/acme 5"),
            format!("{day}/acme 3"),
            format!("{day}/acmes 5"),
            format!("{day}/{aside} 2"),
        ];
        assert_eq!(entries, expected);
    }

    pub(super) async fn it_keeps_four_hundred_days(stage: Stage) {
        let first = today(&stage);
        assert!(tell(&stage, batch("w", 1, vec![row(first, "acme", "m.t", 1)])).await);
        let days = u32::try_from(USAGE_KEPT).unwrap();
        stage.clock.advance(DAY * days);
        let last = today(&stage);
        assert!(tell(&stage, batch("w", 2, vec![row(last, "acme", "m.t", 2)])).await);
        let kept = |day| format!("{day}/acme {}", if day == first { 1 } else { 2 });
        let entries = told(&all(&stage, UsageBy::Day).await);
        assert_eq!(entries, [kept(first), kept(last)]);
        stage.clock.advance(DAY);
        assert!(tell(&stage, batch("w", 3, Vec::new())).await);
        assert_eq!(told(&all(&stage, UsageBy::Day).await), [kept(last)]);
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
            let rows = link
                .rows(sql, Vec::new(), &[celeriac::sql::Kind::Int])
                .await?;
            let mut rows = rows.into_iter();
            Ok::<_, SqlError>(rows.next().and_then(|mut row| row.int()))
        });
        assert_eq!(count.await.unwrap(), Some(TELLERS));
        assert!(!tell(&stage, batch("w4", 1, one())).await);
    }
}
