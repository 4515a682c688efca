//! What a batch may hold: it comes from another machine.

use super::USAGE_KEPT;
use crate::plane::{BATCH_ROWS, REST, UsageBatch, UsageRow, UsageSums};
use crate::platform::PlatformError;
use crate::task::{Day, TaskName};

/// Longest name of a process, bytes.
const WORKER_BYTES: usize = 64;
/// Longest name of a task within its module, bytes, as uploads may have it.
const TASK_BYTES: usize = 128;

/// Checks a batch that is told on a day.
pub(super) fn check(batch: &UsageBatch, today: Day) -> Result<(), PlatformError> {
    let worker = &batch.worker;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !(1..=WORKER_BYTES).contains(&worker.len()) || !worker.bytes().all(is_word) {
        return Err(wrong("worker", "use 1 to 64 letters, digits and -"));
    }
    if !(1..=UsageSums::MOST).contains(&batch.number) {
        return Err(wrong("number", "use 1 to 2^53 - 1"));
    }
    if batch.rows.len() > BATCH_ROWS {
        let reason = format!(
            "there are {}; send at most {BATCH_ROWS} at once",
            batch.rows.len()
        );
        return Err(wrong("rows", &reason));
    }
    batch.rows.iter().try_for_each(|row| check_row(row, today))
}

fn check_row(row: &UsageRow, today: Day) -> Result<(), PlatformError> {
    // Clocks of machines differ a little.
    let (first, last) = (today.plus(-USAGE_KEPT), today.plus(1));
    if !(first..=last).contains(&row.day) {
        let reason = format!("{} is not within {first} to {last}", row.day);
        return Err(wrong("day", &reason));
    }
    let is_rest = row.module == REST && row.task == REST;
    let is_name = || {
        let name = format!("{}.{}", row.module, row.task);
        let name: Result<TaskName, _> = name.parse();
        // The last dot is ours: the task has none.
        row.task.len() <= TASK_BYTES && name.is_ok_and(|name| name.task == row.task)
    };
    if !is_rest && !is_name() {
        return Err(wrong(
            "task",
            "use the names of a module and of a task of it",
        ));
    }
    let used = &row.used;
    if used
        .numbers()
        .iter()
        .any(|number| *number > UsageSums::MOST)
    {
        return Err(wrong("used", "a number is above 2^53 - 1"));
    }
    let ended = [used.succeeded, used.failed, used.retried, used.revoked];
    let ended = ended.into_iter().fold(0, u64::saturating_add);
    if ended > used.attempts {
        return Err(wrong("used", "more runs ended than there were"));
    }
    Ok(())
}

fn wrong(field: &'static str, reason: &str) -> PlatformError {
    PlatformError::Wrong {
        field,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> Day {
        "2026-11-22".parse().unwrap()
    }

    fn batch() -> UsageBatch {
        UsageBatch {
            worker: "7f3a-B".to_owned(),
            number: 1,
            rows: vec![UsageRow {
                day: today(),
                tenant: "acme".parse().unwrap(),
                module: "shop.images".to_owned(),
                task: "resize".to_owned(),
                used: UsageSums {
                    attempts: 2,
                    succeeded: 1,
                    failed: 1,
                    ..UsageSums::default()
                },
            }],
        }
    }

    fn told(change: impl FnOnce(&mut UsageBatch)) -> Result<(), String> {
        let mut batch = batch();
        change(&mut batch);
        check(&batch, today()).map_err(|error| error.to_string())
    }

    fn row(change: impl FnOnce(&mut UsageRow)) -> Result<(), String> {
        told(|batch| change(&mut batch.rows[0]))
    }

    #[test]
    fn what_a_worker_could_have_used_is_taken() {
        assert_eq!(told(|_| {}), Ok(()));
        assert_eq!(told(|batch| batch.rows.clear()), Ok(()));
        assert_eq!(told(|batch| batch.number = UsageSums::MOST), Ok(()));
        let many = |batch: &mut UsageBatch| batch.rows = vec![batch.rows[0].clone(); BATCH_ROWS];
        assert_eq!(told(many), Ok(()));
        assert_eq!(row(|row| row.day = today().plus(-USAGE_KEPT)), Ok(()));
        assert_eq!(row(|row| row.day = today().plus(1)), Ok(()));
        assert_eq!(row(|row| row.task = "t".repeat(TASK_BYTES)), Ok(()));
        assert_eq!(row(|row| row.used.cpu_us = UsageSums::MOST), Ok(()));
        let rest = |row: &mut UsageRow| (row.module, row.task) = (REST.to_owned(), REST.to_owned());
        assert_eq!(row(rest), Ok(()));
    }

    #[test]
    fn what_no_worker_could_have_used_is_refused_with_what_is_wrong() {
        for (worker, number) in [
            ("", 1),
            (&*"x".repeat(65), 1),
            ("a b", 1),
            ("é", 1),
            ("a", 0),
        ] {
            let wrong = told(|batch| (batch.worker, batch.number) = (worker.to_owned(), number));
            assert!(wrong.is_err(), "{worker} {number}");
        }
        assert!(told(|batch| batch.number = UsageSums::MOST + 1).is_err());
        let many =
            |batch: &mut UsageBatch| batch.rows = vec![batch.rows[0].clone(); BATCH_ROWS + 1];
        assert_eq!(
            told(many).unwrap_err(),
            "rows: there are 501; send at most 500 at once"
        );
        assert_eq!(
            row(|row| row.day = today().plus(2)).unwrap_err(),
            "day: 2026-11-24 is not within 2025-10-18 to 2026-11-23"
        );
        assert!(row(|row| row.day = today().plus(-USAGE_KEPT - 1)).is_err());
        for (module, task) in [
            ("", "t"),
            ("m", ""),
            ("=cmd()", "t"),
            ("m", "@t"),
            ("m/x", "t"),
            ("m", "x.t"),
            ("m", REST),
            (REST, "t"),
            ("m", &*"t".repeat(TASK_BYTES + 1)),
        ] {
            let wrong = row(|row| (row.module, row.task) = (module.to_owned(), task.to_owned()));
            assert!(wrong.is_err(), "{module} {task}");
        }
        assert!(row(|row| row.used.bytes_in = u64::MAX).is_err());
        assert!(row(|row| row.used.retried = 1).is_err());
        assert!(row(|row| row.used.revoked = UsageSums::MOST).is_err());
    }
}
