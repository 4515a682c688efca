//! How many no-op tasks a second are carried through a broker of Celery's: by
//! our worker, by Celery's own, and by a bare client that runs nothing and does
//! the same commands. The three take turns on the same servers.
//!
//! A turn: Celery's client fills the queue, the contender starts, and the time is
//! taken between the first and the last stored result. Results are in Redis
//! whatever the broker; every one is read back and compared.
//!
//! Argument: a component whose task `echo` returns its argument. A build without
//! optimisation only shows that all this works: it has few tasks.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its table, and how far it is"
)]
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to measure"
)]

#[path = "brokers/bare.rs"]
mod bare;
#[path = "brokers/burn.rs"]
mod burn;
#[path = "brokers/contender.rs"]
mod contender;

use bare::Bare;
use burn::Burn;
use contender::{Contender, Stand};
use support::{Rabbit, Redis};

/// Turns of each contender; the median counts.
const TURNS: usize = 3;

/// One broker: a row of the table.
struct Row {
    name: &'static str,
    /// Starts it where it is not there yet; it ends with what is returned.
    start: fn(&Redis) -> Broker,
    /// The client that does only what the protocol asks for.
    bare: Bare,
    /// What Celery's worker did on a quiet machine of this kind, per second:
    /// 8,000 no-op tasks, 2 cores, Celery 5.7, prefork -c 2.
    reference: f64,
}

/// A broker that is there, and its address.
struct Broker {
    url: String,
    _server: Option<Rabbit>,
}

const ROWS: [Row; 2] = [
    Row {
        name: "Redis",
        start: |redis| Broker {
            url: redis.url(0),
            _server: None,
        },
        bare: Bare::Redis,
        reference: 875.0,
    },
    Row {
        name: "RabbitMQ",
        start: |_| {
            let server = Rabbit::start();
            Broker {
                url: server.url(),
                _server: Some(server),
            }
        },
        bare: Bare::RabbitMq,
        reference: 1_335.0,
    },
];

fn main() {
    let component = std::env::args()
        .find(|argument| argument.ends_with(".wasm"))
        .expect("a component is named");
    let redis = Redis::start();
    let mut table = Vec::new();
    for row in &ROWS {
        let broker = (row.start)(&redis);
        let stand = Stand::new(&redis, &broker.url, row.bare, &component);
        table.push(line(row, &turns(row.name, &stand)));
    }
    println!(
        "| broker | celeriac, per second | Celery prefork -c 2 | bare client | against Celery \
         | against bare | Celery, reference |"
    );
    println!("|---|---|---|---|---|---|---|");
    for line in table {
        println!("{line}");
    }
}

/// Lets the contenders take turns; returns the rates of each turn.
fn turns(broker: &str, stand: &Stand<'_>) -> Vec<[f64; 3]> {
    let mut turns = Vec::new();
    for turn in 1..=TURNS {
        let rates = Contender::ALL.map(|contender| {
            let rate = stand.turn(contender);
            eprintln!(
                "{broker}, turn {turn}: {contender} {rate:.0}/s, load {}",
                load()
            );
            rate
        });
        turns.push(rates);
    }
    turns
}

fn line(row: &Row, turns: &[[f64; 3]]) -> String {
    let of = |read: fn(&[f64; 3]) -> f64| median(turns.iter().map(read).collect());
    format!(
        "| {} | {:.0} | {:.0} | {:.0} | {:.1} | {:.2} | {:.0} |",
        row.name,
        of(|[ours, _, _]| *ours),
        of(|[_, celery, _]| *celery),
        of(|[_, _, bare]| *bare),
        of(|[ours, celery, _]| ours / celery),
        of(|[ours, _, bare]| ours / bare),
        row.reference,
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns how busy the machine was in the last minute, our own work included.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
