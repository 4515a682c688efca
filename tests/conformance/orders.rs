//! What every place for orders must do.

mod spent;

use crate::stage::ResultsStage;
use celeriac::clock::after;
use celeriac::policy::rate::Line;
use celeriac::results::orders::{
    Ask, Mark, Orders, PAGE, REVOCATIONS, Revocation, Spending, Target, Totals,
};
use celeriac::results::{Begun, Results, ResultsError, Start, Write, Written};
use celeriac::task::{Buckets, Fence, Pace, State, TaskId, TenantName, Turn};
use std::time::Duration;

crate::stage::kept_behaviours! {
    what_is_revoked_is_heard_elsewhere_once,
    ending_running_tasks_is_not_taken_back,
    what_every_worker_records_is_kept_once,
    the_newest_fifty_thousand_are_kept,
    a_revocation_that_nobody_ran_gives_way_to_a_run,
    a_revocation_does_not_go_over_a_run_or_an_end,
    a_revoked_retry_is_stale_and_its_next_attempt_can_end,
    what_tenants_store_is_counted_together_until_it_is_gone,
}

fn id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

mod check {
    use super::*;

    fn task(stage: &ResultsStage, name: &str, terminate: bool) -> Revocation {
        Revocation {
            target: Target::Task(id(name)),
            terminate,
            until: after(stage.clock.now(), Duration::from_secs(3_600)),
        }
    }

    async fn all(orders: &dyn Orders, mut after: Option<Mark>) -> (Vec<Revocation>, Option<Mark>) {
        let mut found = Vec::new();
        loop {
            let (page, next) = orders.revoked(after.as_ref()).await.unwrap();
            assert!(page.len() <= PAGE);
            found.extend(page);
            if next == after {
                return (found, next);
            }
            after = next;
        }
    }

    fn named(text: &str) -> TenantName {
        text.parse().unwrap()
    }

    async fn spend(orders: &dyn Orders, stage: &ResultsStage, told: &[(&str, Buckets)]) -> Totals {
        let second = stage.clock.now().as_second();
        let stored = told.iter();
        let stored = stored.map(|(tenant, buckets)| (named(tenant), buckets.clone()));
        let spending = Spending {
            hour: second / 3_600,
            cpu: Vec::new(),
            second,
            stored: stored.collect(),
        };
        let mut totals = orders.spend(spending).await.unwrap();
        for (_, buckets) in &mut totals.stored {
            buckets.sort_unstable();
        }
        totals
    }

    pub(super) async fn what_tenants_store_is_counted_together_until_it_is_gone(
        stage: ResultsStage,
    ) {
        let (ours, others) = (&*stage.orders, &*stage.others_orders);
        let soon = stage.clock.now().as_second() + 60;
        let (later, ever) = (soon + 60, i64::MAX);
        let (acme, zeta) = ("acme", "zeta");
        let first = [(acme, vec![(soon, 5), (ever, 1)]), (zeta, vec![(soon, 7)])];
        spend(ours, &stage, &first).await;
        let second = [(acme, vec![(soon, 5), (later, 2)])];
        let found = spend(others, &stage, &second).await.stored;
        let whole = vec![(soon, 10), (later, 2), (ever, 1)];
        // Of whom nobody asks nothing is told.
        assert_eq!(found, [(named(acme), whole)]);
        stage.clock.advance(Duration::from_secs(61));
        let asked = [(acme, Vec::new()), (zeta, Vec::new())];
        for orders in [ours, others] {
            let found = spend(orders, &stage, &asked).await.stored;
            let left = vec![(later, 2), (ever, 1)];
            let expected = [(named(acme), left), (named(zeta), Vec::new())];
            assert_eq!(found, expected);
        }
        assert_eq!(spend(ours, &stage, &[]).await, Totals::default());
    }

    pub(super) async fn what_is_revoked_is_heard_elsewhere_once(stage: ResultsStage) {
        assert_eq!(all(&*stage.others_orders, None).await.0, []);
        let first = task(&stage, "a", false);
        let second = Revocation {
            target: Target::Stamp {
                name: "ä".to_owned(),
                value: "\"x\\u0000\"".to_owned(),
            },
            ..task(&stage, "b", true)
        };
        let both = vec![first.clone(), second.clone()];
        stage.orders.revoke(both.clone()).await.unwrap();
        let (heard, mark) = all(&*stage.others_orders, None).await;
        assert_eq!(heard, both);
        stage.orders.revoke(Vec::new()).await.unwrap();
        assert_eq!(all(&*stage.others_orders, mark.clone()).await.0, []);
        let third = task(&stage, &"x".repeat(255), false);
        stage
            .others_orders
            .revoke(vec![third.clone()])
            .await
            .unwrap();
        assert_eq!(all(&*stage.orders, mark).await.0, [third]);
    }

    pub(super) async fn ending_running_tasks_is_not_taken_back(stage: ResultsStage) {
        stage
            .orders
            .revoke(vec![task(&stage, "a", true)])
            .await
            .unwrap();
        stage
            .orders
            .revoke(vec![task(&stage, "a", false)])
            .await
            .unwrap();
        let (heard, _) = all(&*stage.others_orders, None).await;
        assert!(heard.iter().any(|one| one.terminate), "{heard:?}");
    }

    pub(super) async fn what_every_worker_records_is_kept_once(stage: ResultsStage) {
        for _ in 0..20 {
            let orders = [&stage.orders, &stage.others_orders];
            for orders in orders {
                let both = ["a", "b"].map(|name| task(&stage, name, false));
                orders.revoke(both.to_vec()).await.unwrap();
            }
            stage.clock.advance(Duration::from_secs(1));
        }
        let (heard, mark) = all(&*stage.orders, None).await;
        assert_eq!(heard.len(), 2);
        // What is more than that is news, and takes the place of what was.
        stage
            .orders
            .revoke(vec![task(&stage, "a", true)])
            .await
            .unwrap();
        let (heard, _) = all(&*stage.orders, mark).await;
        assert_eq!(heard, [task(&stage, "a", true)]);
        assert_eq!(all(&*stage.orders, None).await.0.len(), 2);
    }

    pub(super) async fn the_newest_fifty_thousand_are_kept(stage: ResultsStage) {
        let many: Vec<_> = (0..REVOCATIONS + 5)
            .map(|number| task(&stage, &number.to_string(), false))
            .collect();
        for part in many.chunks(10_000) {
            stage.orders.revoke(part.to_vec()).await.unwrap();
        }
        let (heard, _) = all(&*stage.others_orders, None).await;
        assert_eq!(heard.len(), REVOCATIONS);
        assert_eq!(heard, many[5..]);
    }

    fn write(name: &str, retries: u32, deliveries: u32, state: State) -> Write {
        Write {
            worker: "w@host".to_owned(),
            ..crate::results::write(name, fence(retries, deliveries), state.as_str())
        }
    }

    fn fence(retries: u32, deliveries: u32) -> Fence {
        Fence {
            retries,
            deliveries,
        }
    }

    async fn state(results: &dyn Results, name: &str) -> State {
        results.get(&id(name)).await.unwrap().unwrap().state
    }

    fn start(stage: &ResultsStage, name: &str, fence: Fence) -> Start {
        Start {
            id: id(name),
            task: "m.t".to_owned(),
            fence,
            worker: "w@host".to_owned(),
            lease_until: after(stage.clock.now(), Duration::from_secs(30)),
        }
    }

    pub(super) async fn a_revocation_that_nobody_ran_gives_way_to_a_run(stage: ResultsStage) {
        let results = &*stage.results;
        for name in ["a", "b"] {
            let order = write(name, 0, 0, State::Revoked);
            for _ in 0..2 {
                assert_eq!(results.write(order.clone()).await.unwrap(), Written::Stored);
            }
            assert_eq!(state(&*stage.other, name).await, State::Revoked);
        }
        // A first run has no record before its end.
        let end = write("a", 0, 1, State::Success);
        assert_eq!(results.write(end.clone()).await.unwrap(), Written::Stored);
        assert_eq!(state(results, "a").await, State::Success);
        assert_eq!(results.write(end).await.unwrap(), Written::Refused);
        // A second delivery begins with one.
        let begun = results
            .begin(start(&stage, "b", fence(0, 2)))
            .await
            .unwrap();
        assert_eq!(begun, Begun::Run);
        assert_eq!(state(results, "b").await, State::Started);
        let order = write("b", 0, 0, State::Revoked);
        assert_eq!(results.write(order).await.unwrap(), Written::Refused);
        let end = write("b", 0, 2, State::Revoked);
        assert_eq!(results.write(end).await.unwrap(), Written::Stored);
        let begun = results
            .begin(start(&stage, "b", fence(0, 3)))
            .await
            .unwrap();
        assert!(matches!(begun, Begun::Over(_)), "{begun:?}");
    }

    pub(super) async fn a_revocation_does_not_go_over_a_run_or_an_end(stage: ResultsStage) {
        let results = &*stage.results;
        for (name, ended) in [
            ("a", State::Success),
            ("b", State::Failure),
            ("c", State::Started),
            ("d", State::Custom("PROGRESS".to_owned())),
        ] {
            let run = write(name, 0, 1, ended.clone());
            assert_eq!(results.write(run).await.unwrap(), Written::Stored);
            let order = write(name, 0, 0, State::Revoked);
            assert_eq!(results.write(order).await.unwrap(), Written::Refused);
            assert_eq!(state(results, name).await, ended);
        }
    }

    pub(super) async fn a_revoked_retry_is_stale_and_its_next_attempt_can_end(stage: ResultsStage) {
        let results = &*stage.results;
        results.write(write("a", 1, 2, State::Retry)).await.unwrap();
        let order = write("a", 2, 0, State::Revoked);
        assert_eq!(results.write(order).await.unwrap(), Written::Stored);
        assert_eq!(state(results, "a").await, State::Revoked);
        let begun = results
            .begin(start(&stage, "a", fence(1, 3)))
            .await
            .unwrap();
        assert_eq!(begun, Begun::Stale);
        let end = write("a", 2, 1, State::Revoked);
        assert_eq!(results.write(end.clone()).await.unwrap(), Written::Stored);
        assert_eq!(results.write(end).await.unwrap(), Written::Refused);
    }
}

fn ask(number: u8) -> Ask {
    Ask {
        task: "m.t".to_owned(),
        id: id(&format!("t{number}")),
        pace: Pace {
            interval: Duration::from_millis(700),
            short: Duration::from_millis(100),
            patience: Duration::from_secs(2),
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_share_nothing_but_a_file_count_no_starts_together() {
    let stage = ResultsStage::embedded().await;
    let error = stage.orders.turn(ask(1)).await.unwrap_err();
    assert!(
        matches!(error, ResultsError::Misconfigured { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("rate_limit_scope"), "{error}");
}

/// The script and the pure rules answer alike, whoever of the workers asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_on_one_redis_stand_in_one_line() {
    let stage = ResultsStage::redis().await;
    let mut line = Line::default();
    let mut dice = fastrand::Rng::with_seed(7);
    let (mut starts, mut returns) = (Vec::new(), 0);
    for _ in 0..2_000 {
        let ask = ask(dice.u8(0..40));
        let expected = line.turn(&ask.id, stage.clock.now(), &ask.pace);
        let orders = if dice.bool() {
            &stage.orders
        } else {
            &stage.others_orders
        };
        assert_eq!(orders.turn(ask).await.unwrap(), expected);
        match expected {
            Turn::Start(at) => starts.push(at),
            Turn::Return(_) => returns += 1,
        }
        stage.clock.advance(Duration::from_millis(dice.u64(0..400)));
        if dice.u8(0..100) == 0 {
            stage.clock.advance(Duration::from_secs(dice.u64(0..60)));
        }
    }
    assert!(
        starts.len() > 100 && returns > 100,
        "{} {returns}",
        starts.len()
    );
    for pair in starts.windows(2) {
        let apart = Duration::try_from(pair[1].duration_since(pair[0])).unwrap();
        assert!(apart >= Duration::from_millis(700), "{apart:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_wrote_among_the_orders_is_passed_over() {
    let redis = support::Redis::start();
    let server = celeriac::resp::RedisServer::new(&redis.url(0)).unwrap();
    let clock = celeriac::clock::Clock::manual(crate::stage::START);
    let results = celeriac::results::redis::RedisResults::new(server, clock);
    for fields in [
        &["x", "y"][..],
        &[
            "stamp",
            "",
            "value",
            "",
            "terminate",
            "1",
            "until",
            "1790000100000",
        ],
        &["stamp", "", "value", "a", "terminate", "1", "until", "soon"],
        &[
            "stamp",
            "",
            "value",
            "a",
            "terminate",
            "1",
            "until",
            "1790000100000",
        ],
    ] {
        let add = [&["XADD", "celeriac-revoked", "*"], fields].concat();
        assert!(redis.cli(0, &add).contains('-'));
    }
    let (heard, mark) = results.revoked(None).await.unwrap();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].target, Target::Task(id("a")));
    assert_eq!(
        results.revoked(mark.as_ref()).await.unwrap(),
        (Vec::new(), mark)
    );
}
