//! The memory of a worker does not grow with the number of its tasks.

use crate::stage;
use std::ops::Range;
use support::{Letter, Server, Stage, until};

/// Allowed growth between the two looks (24 MiB): caches and the allocator's
/// slack; 15,000 leaked stores or messages would be far more.
const SLACK: u64 = 24 << 20;

/// How many are sent at once: as many as a slow machine does while somebody waits.
const AT_ONCE: usize = 2_500;

fn run(stage: &Stage, dev: &Server, tasks: Range<usize>) -> u64 {
    for from in tasks.clone().step_by(AT_ONCE) {
        some(stage, from..from + AT_ONCE);
    }
    dev.memory()
}

fn some(stage: &Stage, tasks: Range<usize>) {
    let done = tasks.end as u64;
    let letters: Vec<_> = tasks
        .map(|n| Letter::new("hostile.use_nothing", &format!("t-{n}"), "[]"))
        .collect();
    stage.post(&letters);
    until("all done", || {
        (stage.tally().state("SUCCESS") == done).then_some(())
    });
    stage.settled();
}

#[test]
fn twenty_thousand_tasks_leave_it_flat() {
    let stage = stage();
    stage.push("hostile");
    let dev = stage.server(&["worker", "-l", "warning"]);
    let after_few = run(&stage, &dev, 0..5_000);
    let after_many = run(&stage, &dev, 5_000..20_000);
    let grown = after_many.saturating_sub(after_few);
    assert!(
        grown < SLACK,
        "{} KiB after 5,000 tasks, {} KiB after 20,000",
        after_few >> 10,
        after_many >> 10
    );
}
