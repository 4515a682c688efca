//! Nothing is lost or doubled on its way, and what waits stays small.

use super::*;

const ONE: UsageSums = UsageSums {
    attempts: 1,
    succeeded: 1,
    failed: 0,
    retried: 0,
    revoked: 0,
    cpu_us: 7,
    run_us: 9,
    bytes_in: 4,
    bytes_out: 1,
    http_requests: 0,
    http_bytes_in: 0,
    http_bytes_out: 0,
    host_calls: 2,
};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn tenant(name: &str) -> TenantName {
    name.parse().unwrap()
}

fn times(count: u64) -> UsageSums {
    ONE.numbers().map(|number| number * count).into()
}

#[test]
fn one_run_that_says_it_took_more_than_anybody_can_spoils_no_batch() {
    let tally = Tally::default();
    let most = UsageSums::from([u64::MAX; 13]);
    tally.count(
        day("2026-11-22"),
        &tenant("acme"),
        ("images", "resize"),
        &most,
    );
    let batch = tally.next_batch().unwrap();
    let numbers = batch.rows[0].used.numbers();
    assert_eq!(numbers, [UsageSums::MOST; 13]);
}

#[test]
fn runs_are_summed_by_day_tenant_and_task() {
    let tally = Tally::default();
    let (first, second) = (day("2026-11-22"), day("2026-11-23"));
    for (day, name, task) in [
        (first, "acme", "resize"),
        (first, "acme", "resize"),
        (first, "other", "resize"),
        (second, "acme", "resize"),
        (first, "acme", "crop"),
    ] {
        tally.count(day, &tenant(name), ("images", task), &ONE);
    }
    assert_eq!(tally.untold(), times(5));
    let batch = tally.next_batch().unwrap();
    let told: Vec<_> = batch
        .rows
        .iter()
        .map(|row| {
            let names = format!("{} {}.{}", row.tenant, row.module, row.task);
            (row.day, names, row.used.attempts)
        })
        .collect();
    let row = |day, name: &str, count| (day, name.to_owned(), count);
    let expected = [
        row(first, "acme images.crop", 1),
        row(first, "acme images.resize", 2),
        row(first, "other images.resize", 1),
        row(second, "acme images.resize", 1),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_batch_stays_the_same_until_it_was_counted() {
    let tally = Tally::default();
    assert_eq!(tally.next_batch(), None);
    let count = || {
        let names = ("images", "resize");
        tally.count(day("2026-11-22"), &tenant("acme"), names, &ONE);
    };
    count();
    let batch = tally.next_batch().unwrap();
    assert_eq!(batch.number, 1);
    count();
    count();
    assert_eq!(tally.next_batch().as_ref(), Some(&batch));
    assert_eq!(tally.untold(), times(3));
    tally.counted(&batch);
    let next = tally.next_batch().unwrap();
    assert_eq!((next.number, next.rows[0].used), (2, times(2)));
    assert_eq!(next.worker, batch.worker);
    // A late answer about one that is over ends no other.
    tally.counted(&batch);
    assert_eq!(tally.next_batch().as_ref(), Some(&next));
    tally.counted(&next);
    assert_eq!(tally.next_batch(), None);
    assert_eq!(tally.untold(), UsageSums::default());
    assert_ne!(Tally::default().worker, batch.worker);
}

#[test]
fn what_waits_stays_small_and_nothing_of_it_is_lost() {
    let tally = Tally::default();
    let (acme, other) = (tenant("acme"), tenant("other"));
    let mut counted = 0;
    for number in 0..SUMS + 100 {
        let task = format!("t{number}");
        tally.count(day("2026-11-22"), &acme, ("images", &task), &ONE);
        counted += 1;
    }
    // Long after, while nobody takes anything.
    for number in 0..100 {
        let later = day("2026-11-23").plus(number);
        tally.count(later, &acme, ("images", "t0"), &ONE);
        tally.count(later, &other, ("images", "t0"), &ONE);
        counted += 2;
    }
    // What has its place keeps it.
    tally.count(day("2026-11-22"), &acme, ("images", "t0"), &ONE);
    counted += 1;
    {
        let counts = tally.lock();
        assert_eq!((counts.sums.len(), counts.rest.len()), (SUMS, 2));
    }
    let (mut rows, mut batches, mut all) = (Vec::new(), 0, UsageSums::default());
    while let Some(batch) = tally.next_batch() {
        assert!(batch.rows.len() <= BATCH_ROWS);
        for row in &batch.rows {
            all.add(&row.used);
        }
        rows.extend(batch.rows.clone());
        batches += 1;
        tally.counted(&batch);
    }
    assert_eq!(all, times(counted));
    assert_eq!(rows.len(), SUMS + 2);
    assert_eq!(batches, (SUMS + 2).div_ceil(BATCH_ROWS));
    let rest: Vec<_> = rows.iter().filter(|row| row.module == REST).collect();
    let told = rest.iter().map(|row| {
        let name = row.tenant.as_str();
        (row.day, name, row.task.as_str(), row.used)
    });
    let expected = [
        (day("2026-11-22"), "acme", REST, times(200)),
        (day("2026-11-23"), "other", REST, times(100)),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}
