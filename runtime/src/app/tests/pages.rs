//! What the pages say of limits is what the code says.

use crate::app::client::CALLS;
use crate::broker::{BODY_BYTES, DEAD_LETTERS};
use crate::celery::compression::EXPANDED_BYTES;
use crate::config::{Config, RawConfig};
use crate::policy::budget::ROOT;
use crate::policy::hold;
use crate::results::orders::REVOCATIONS;
use crate::worker::steering::TIME_LIMITS;
use celeriac_sandbox::{HELD_BYTES, KEY_VALUE_KEYS, SUBMITS, UPLOAD_BYTES};

const PAGE: &str = include_str!("../../../../docs/limits.md");

/// Keys of `[worker]` that are limits.
const OF_WORKERS: [&str; 11] = [
    "worker.component_cache",
    "worker.concurrency",
    "worker.drain",
    "worker.lease",
    "worker.max_deliveries",
    "worker.max_retries",
    "worker.repair_time",
    "worker.result_keep",
    "worker.retry_delay",
    "worker.revoke_keep",
    "worker.run_ahead",
];

fn rows() -> impl Iterator<Item = &'static str> {
    PAGE.lines().filter(|line| line.starts_with("| "))
}

#[test]
fn the_page_of_limits_has_every_key_with_its_default() {
    let (_, defaults) = Config::check(RawConfig::default()).unwrap();
    let is_limit = |key: &str| {
        let sections = ["limits.", "tenants.default.", "http."];
        let within = sections.iter().any(|section| key.starts_with(section));
        (within && key != "http.ca_file") || OF_WORKERS.contains(&key)
    };
    let mut seen = 0;
    for known in defaults.iter().filter(|known| is_limit(&known.key)) {
        let value = known.value.trim_matches('"');
        let told = format!("`{}` = {value} |", known.key);
        assert!(rows().any(|row| row.contains(&told)), "{told} is missing");
        seen += 1;
    }
    assert_eq!(seen, 10 + 11 + 8 + 5 + OF_WORKERS.len());
}

#[test]
fn the_page_of_limits_has_the_values_that_are_fixed() {
    let mebi = |bytes: u64| format!("{} MiB", bytes >> 20);
    let grouped = |number: u64| match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    };
    let seconds = hold::LONGEST.as_secs();
    for (what, value) in [
        ("upload", mebi(UPLOAD_BYTES)),
        ("body, as it is sent", mebi(BODY_BYTES)),
        ("body, expanded", mebi(EXPANDED_BYTES)),
        ("what is in the making", mebi(HELD_BYTES)),
        ("tasks of one attempt", SUBMITS.to_string()),
        ("tasks of a task and all", grouped(ROOT.into())),
        ("dead letters of a queue", grouped(DEAD_LETTERS)),
        ("revocations", grouped(REVOCATIONS as u64)),
        ("calls of one group", grouped(CALLS as u64)),
        ("tasks with time limits", grouped(TIME_LIMITS as u64)),
        (
            "pause of a message whose task is held",
            format!("{seconds} s"),
        ),
        ("its keys", grouped(KEY_VALUE_KEYS)),
    ] {
        let row = rows().find(|row| row.starts_with(&format!("| {what}")));
        let row = row.unwrap_or_else(|| panic!("there is no row {what:?}"));
        assert!(row.contains(&value), "{what} is {value}: {row}");
    }
}
