//! How soon workers elsewhere have a new version that was pushed to a control plane.
//!
//! One control plane on Postgres and an S3 server, two workers that follow it over HTTP,
//! two tenants in two virtual hosts of RabbitMQ: all of them on this machine, so that two
//! workers share its cores when both compile. Each version has bytes of its own, which
//! nobody has compiled before. The first time is the control plane's: from the version being
//! the current one to both workers having said that they run it. The second is the author's:
//! from `celeriac push` being started to its end, which waits for the workers.
//!
//! Argument: a component with the task `echo`. A build without optimisation only shows
//! that all this works: it pushes few versions.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its table, and how far it is"
)]
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to measure"
)]

use serde_json::Value;
use std::path::Path;
use std::time::Instant;
use support::{ControlPlane, Moto, Postgres, Rabbit, Redis, Server, Stage, until};

const RELEASE: bool = !cfg!(debug_assertions);
/// Versions that are pushed while all goes well, and those before them that are not counted.
const VERSIONS: usize = if RELEASE { 40 } else { 2 };
const FIRST: usize = 2;
/// Outages after each of which a version is pushed.
const OUTAGES: usize = if RELEASE { 10 } else { 1 };
const TENANTS: [&str; 2] = ["acme", "other"];

/// The one who pushes: version after version.
struct Author {
    stage: Stage,
    component: Vec<u8>,
    pushed: u64,
}

impl Author {
    /// Pushes a version that nobody has seen; returns after how many ms both workers had it,
    /// and how many the whole took.
    fn push(&mut self, tenant: &str) -> [f64; 2] {
        self.pushed += 1;
        let path = self
            .stage
            .write("component.wasm", with_number(&self.component, self.pushed));
        let path = path.display().to_string();
        let begun = Instant::now();
        let pushed = self
            .stage
            .json(&["push", &path, "--name", "text", "-T", tenant]);
        let number = |name: &str| pushed.pointer(name).and_then(Value::as_f64);
        let live = (number("/live/workers"), number("/live/live"));
        assert_eq!(live, (Some(2.0), Some(2.0)), "{pushed}");
        let live = number("/live/after_ms").expect("it is told when they had it");
        [live, begun.elapsed().as_secs_f64() * 1_000.0]
    }
}

/// Adds a section with a number, which no program reads.
fn with_number(component: &[u8], number: u64) -> Vec<u8> {
    // Kind 0, ten bytes, a name of one byte; <https://webassembly.github.io/spec/core/binary/modules.html>.
    let section = [&[0, 10, 1, b'n'][..], &number.to_le_bytes()];
    [component, &section.concat()].concat()
}

fn stage() -> Stage {
    Stage::new(env!("CARGO_BIN_EXE_celeriac"), "")
}

fn main() {
    let component = std::env::args().find(|one| one.ends_with(".wasm"));
    let component = std::fs::read(component.expect("a component is named")).expect("it is there");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    let (postgres, moto) = (Postgres::start(), Moto::start(&target));
    let (rabbits, redis) = ([Rabbit::start(), Rabbit::start()], Redis::start());
    let plane = stage()
        .with("serve.database", &postgres.url())
        .with("serve.components", &moto.url("components"));
    let mut control = ControlPlane::start(plane);
    let mut author = Author {
        stage: control.with_token(stage(), &control.operator),
        component,
        pushed: 0,
    };
    for (tenant, (rabbit, database)) in TENANTS.into_iter().zip(rabbits.iter().zip(1..)) {
        let (broker, results) = (rabbit.url(), redis.url(database));
        author.stage.json(&[
            "tenant",
            "create",
            tenant,
            "--tenant-broker",
            &broker,
            "--tenant-results",
            &results,
        ]);
    }
    let stages = [stage(), stage()].map(|stage| control.follower(stage));
    let workers = stages.each_ref().map(|stage| stage.server(&["worker"]));
    println!(
        "| when | versions | live on both workers after, median, ms | most, ms | the whole push, median, ms | most, ms |"
    );
    println!("|---|---|---|---|---|---|");
    let turns = TENANTS.into_iter().cycle();
    let quiet = turns
        .take(FIRST + VERSIONS)
        .map(|tenant| author.push(tenant));
    let quiet: Vec<[f64; 2]> = quiet.skip(FIRST).collect();
    line("the control plane runs", quiet);
    let after: Vec<[f64; 2]> = (1..=OUTAGES)
        .map(|outage| {
            eprintln!("outage {outage}");
            control.kill();
            heard(&workers, "goes on with what it knows", outage);
            control.revive();
            heard(&workers, "answers again", outage);
            author.push("acme")
        })
        .collect();
    line("it came back from an outage", after);
}

/// Waits until each worker has said something so many times.
fn heard(workers: &[Server], words: &str, times: usize) {
    until(words, || {
        let all = workers
            .iter()
            .all(|worker| worker.log().matches(words).count() >= times);
        all.then_some(())
    });
}

fn line(when: &str, times: Vec<[f64; 2]>) {
    let number = times.len();
    let (live, whole): (Vec<f64>, Vec<f64>) =
        times.into_iter().map(|[live, whole]| (live, whole)).unzip();
    let cells = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        let at = |place: usize| times.get(place).copied().unwrap_or(f64::NAN);
        let (median, most) = (at(number / 2), at(number.saturating_sub(1)));
        format!("{median:.0} | {most:.0}")
    };
    println!("| {when} | {number} | {} | {} |", cells(live), cells(whole));
}
