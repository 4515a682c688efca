//! The bill: each batch counts once, and what it says is found again.

mod bounds;

use super::{Stage, me, name, rows_behaviours};
use celeriac::plane::{REST, UsageBatch, UsageBy, UsageEntry, UsageRow, UsageSums};
use celeriac::platform::{Books as _, Terms, USAGE_KEPT, USAGE_PAGE, UsageQuery};
use celeriac::task::Day;
use std::time::Duration;

rows_behaviours! {
    a_batch_that_is_told_twice_counts_once,
    two_workers_that_tell_at_once_add_to_each_other,
    it_is_told_apart_as_far_as_somebody_wants,
    pages_go_on_where_the_one_before_ended,
    nobody_inherits_what_an_earlier_tenant_of_the_name_used,
    it_keeps_four_hundred_days,
}

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn today(stage: &Stage) -> Day {
    Day::of(stage.clock.now())
}

pub(super) fn row(day: Day, tenant: &str, task: &str, times: u64) -> UsageRow {
    let (module, task) = task.rsplit_once('.').unwrap_or((REST, REST));
    UsageRow {
        day,
        tenant: name(tenant),
        module: module.to_owned(),
        task: task.to_owned(),
        used: sums(times),
    }
}

pub(super) fn sums(times: u64) -> UsageSums {
    let ones: [u64; 13] = [4, 1, 1, 1, 1, 700, 900, 30, 20, 2, 11, 12, 5];
    ones.map(|number| number * times).into()
}

pub(super) fn batch(worker: &str, number: u64, rows: Vec<UsageRow>) -> UsageBatch {
    UsageBatch {
        worker: worker.to_owned(),
        number,
        rows,
    }
}

pub(super) fn query(stage: &Stage, by: UsageBy) -> UsageQuery {
    UsageQuery {
        tenant: None,
        from: today(stage).plus(-1_000),
        to: today(stage).plus(1),
        by,
        after: None,
        limit: USAGE_PAGE,
    }
}

pub(super) async fn all(stage: &Stage, by: UsageBy) -> Vec<UsageEntry> {
    stage.platform.usage(&query(stage, by)).await.unwrap()
}

pub(super) async fn tell(stage: &Stage, batch: UsageBatch) -> bool {
    stage.platform.count_usage(&batch).await.unwrap()
}

/// Entries as people read them, with how many batches' worth they are.
pub(super) fn told(entries: &[UsageEntry]) -> Vec<String> {
    let place = |entry: &UsageEntry| format!("{} {}", entry.place(), entry.used.attempts / 4);
    entries.iter().map(place).collect()
}

mod check {
    use super::*;

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
}
