use super::*;
use crate::clock::after;
use crate::results::orders::{Mark, Revocation};
use async_trait::async_trait;
use jiff::Timestamp;

/// Orders of a Redis that is away.
#[derive(Debug)]
struct Away;

#[async_trait]
impl Orders for Away {
    async fn revoke(&self, _revocations: Vec<Revocation>) -> Result<(), ResultsError> {
        Err(away())
    }

    async fn revoked(
        &self,
        _after: Option<&Mark>,
    ) -> Result<(Vec<Revocation>, Option<Mark>), ResultsError> {
        Err(away())
    }

    async fn turn(&self, _ask: Ask) -> Result<Turn, ResultsError> {
        Err(away())
    }
}

fn away() -> ResultsError {
    ResultsError::Unavailable {
        system: "test",
        reason: "away".to_owned(),
        source: None,
    }
}

fn rates(clock: &Clock, scope: RateScope, step: Duration) -> Rates {
    let configured = [("m.*", "2/s"), ("m.free", "0"), ("m.slow", "1/m")];
    let configured = configured
        .map(|(name, rate)| (name.to_owned(), Rate::parse(rate).unwrap()))
        .into();
    Rates::new(configured, scope, Arc::new(Away), clock.clone(), step)
}

fn clock() -> Clock {
    Clock::manual(Timestamp::constant(1_900_000_000, 0))
}

fn id(number: usize) -> TaskId {
    TaskId::parse(&number.to_string()).unwrap()
}

#[tokio::test]
async fn in_any_second_no_more_start_than_the_rate_says() {
    const MS: Duration = Duration::from_millis(1);
    let clock = clock();
    let rates = rates(&clock, RateScope::Worker, MS);
    let mut waiting: Vec<(Timestamp, usize)> = (0..20).map(|n| (clock.now(), n)).collect();
    let mut starts = Vec::new();
    while !waiting.is_empty() {
        waiting.sort_unstable();
        let (due, number) = waiting.remove(0);
        clock.advance(Duration::try_from(due.duration_since(clock.now())).unwrap_or_default());
        match rates.turn("m.t", &id(number)).await.unwrap().unwrap() {
            Turn::Start(at) => starts.push(at),
            Turn::Return(at) => waiting.push((at, number)),
        }
    }
    assert_eq!(starts.len(), 20);
    for (number, start) in starts.iter().enumerate() {
        let place = u32::try_from(number).unwrap();
        assert_eq!(*start, after(starts[0], Duration::from_millis(500) * place));
    }
}

#[tokio::test]
async fn the_nearest_rate_is_in_force_until_it_is_changed() {
    let rates = rates(&clock(), RateScope::Worker, Duration::ZERO);
    let of = |task: &str| rates.of(task).map(|rate| rate.to_string());
    for (task, rate) in [
        ("m.t", Some("2/s")),
        ("m.slow", Some("1/m")),
        ("m.free", None),
        ("x.t", None),
    ] {
        assert_eq!(of(task).as_deref(), rate, "{task}");
    }
    for number in 0..5 {
        assert_eq!(rates.turn("m.free", &id(number)).await.unwrap(), None);
    }
    rates.turn("m.t", &id(0)).await.unwrap();
    let held = rates.turn("m.t", &id(1)).await.unwrap();
    assert!(matches!(held, Some(Turn::Return(_))), "{held:?}");
    rates.rate_limit("m.t", None).unwrap();
    assert_eq!(rates.turn("m.t", &id(1)).await.unwrap(), None);
    rates
        .rate_limit("x.t", Rate::parse("1/h").unwrap())
        .unwrap();
    assert_eq!(of("x.t").as_deref(), Some("1/h"));
}

#[tokio::test]
async fn where_the_broker_delays_in_steps_waits_within_one_stay_here() {
    let rates = rates(&clock(), RateScope::Worker, Duration::from_secs(1));
    let mut turns = Vec::new();
    for number in 0..3 {
        turns.push(rates.turn("m.t", &id(number)).await.unwrap().unwrap());
    }
    let [Turn::Start(first), Turn::Start(second), Turn::Return(third)] = turns[..] else {
        panic!("{turns:?}");
    };
    assert_eq!(second, after(first, Duration::from_millis(500)));
    assert_eq!(third, after(first, Duration::from_secs(1)));
}

#[tokio::test]
async fn a_shared_rate_that_cannot_be_asked_for_is_an_error() {
    let rates = rates(&clock(), RateScope::Cluster, Duration::ZERO);
    assert!(rates.turn("m.t", &id(0)).await.is_err());
    assert_eq!(rates.turn("x.t", &id(0)).await.unwrap(), None);
}

#[test]
fn changed_rates_are_counted() {
    let rates = rates(&clock(), RateScope::Worker, Duration::ZERO);
    for number in 0..CHANGED {
        rates.rate_limit(&number.to_string(), None).unwrap();
    }
    assert_eq!(rates.rate_limit("one more", None), Err(TooManyRates));
    rates.rate_limit("0", Rate::parse("1").unwrap()).unwrap();
    assert!(rates.of("0").is_some());
}
