use super::*;
use crate::broker::Receipt;
use crate::celery::{Message, Properties};
use crate::clock::{Clock, after};
use crate::results::disabled::DisabledResults;
use crate::results::orders::{Ask, Orders};
use crate::task::Turn;
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;

/// Orders in memory, of all who share it.
#[derive(Debug, Default)]
struct Shared(Mutex<Vec<Revocation>>);

#[async_trait]
impl Orders for Shared {
    async fn revoke(&self, revocations: Vec<Revocation>) -> Result<(), ResultsError> {
        self.0.lock().unwrap().extend(revocations);
        Ok(())
    }

    async fn revoked(
        &self,
        _after: Option<&Mark>,
    ) -> Result<(Vec<Revocation>, Option<Mark>), ResultsError> {
        Ok((self.0.lock().unwrap().clone(), None))
    }

    async fn turn(&self, _ask: Ask) -> Result<Turn, ResultsError> {
        Ok(Turn::Start(Timestamp::UNIX_EPOCH))
    }
}

fn worker(orders: &Arc<Shared>, clock: &Clock) -> Arc<Revocations> {
    Arc::new(Revocations::new(Clerk {
        orders: orders.clone(),
        results: Arc::new(DisabledResults),
        clock: clock.clone(),
        name: "w@host".to_owned(),
        keep: Duration::from_secs(60),
        result_keep: None,
    }))
}

fn clock() -> Clock {
    Clock::manual(Timestamp::constant(1_900_000_000, 0))
}

fn id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

fn delivery() -> Delivery {
    let headers = json!({"stamped_headers": ["s"], "stamps": {"s": ["x", "y"]}});
    Delivery {
        queue: "celery".to_owned(),
        message: Message {
            body: "".into(),
            content_type: String::new(),
            content_encoding: String::new(),
            headers: headers.as_object().unwrap().clone(),
            properties: Properties::default(),
        },
        receipt: Receipt {
            message: 1,
            lease: 1,
        },
        deliveries: 1,
        ready_at: Timestamp::UNIX_EPOCH,
        replaced: false,
    }
}

fn is_terminated(watched: &Watched) -> bool {
    watched.ended.is_cancelled()
}

#[tokio::test]
async fn what_is_terminated_here_is_told_and_nothing_else_ends() {
    let orders = Arc::new(Shared::default());
    let here = worker(&orders, &clock());
    let [a, b] = ["a", "b"].map(|name| here.watch(&delivery(), &id(name)));
    let told = here
        .revoke(vec![Target::Task(id("a"))], false)
        .await
        .unwrap();
    assert_eq!(told, Revoked::default());
    assert!(a.is_revoked() && !is_terminated(&a));
    let both = vec![Target::Task(id("a")), Target::Task(id("gone"))];
    let told = here.revoke(both, true).await.unwrap();
    assert_eq!(told.terminated, [id("a")]);
    a.terminated().await;
    assert!(!is_terminated(&b) && !b.is_revoked());
    assert_eq!(here.ids(), [id("a"), id("gone")]);
    drop(a);
    assert!(!here.runs(&id("a")) && here.runs(&id("b")));
}

#[tokio::test]
async fn another_worker_hears_what_was_ordered_and_one_that_starts_later_does() {
    let orders = Arc::new(Shared::default());
    let clock = clock();
    let [here, there] = [(); 2].map(|()| worker(&orders, &clock));
    let runs = there.watch(&delivery(), &id("a"));
    here.revoke(vec![Target::Task(id("a"))], true)
        .await
        .unwrap();
    assert!(!runs.is_revoked());
    there.read().await.unwrap();
    assert!(runs.is_revoked() && is_terminated(&runs));
    let later = worker(&orders, &clock);
    later.read().await.unwrap();
    let comes = later.watch(&delivery(), &id("a"));
    assert!(comes.is_revoked());
    clock.advance(Duration::from_secs(60));
    assert!(!comes.is_revoked(), "its time is over");
}

#[tokio::test]
async fn who_lets_go_of_a_revoked_task_is_told_so_unless_whoever_revokes_it_answers() {
    let orders = Arc::new(Shared::default());
    let here = worker(&orders, &clock());
    let [first, second] = ["a", "b"].map(|name| here.watch(&delivery(), &id(name)));
    here.revoke(vec![Target::Task(id("a"))], false)
        .await
        .unwrap();
    assert!(here.runs(&id("a")), "nobody answered");
    assert!(first.lets_go());
    assert!(!second.lets_go() && !here.runs(&id("b")));
    // Another's place is not given up with it.
    let third = here.watch(&delivery(), &id("b"));
    drop((first, second));
    assert!(here.runs(&id("b")));
    drop(third);
}

#[tokio::test]
async fn a_stamp_is_for_all_that_bear_it() {
    let orders = Arc::new(Shared::default());
    let here = worker(&orders, &clock());
    let watched = here.watch(&delivery(), &id("a"));
    let stamp = |value: &str| Target::Stamp {
        name: "s".to_owned(),
        value: value.to_owned(),
    };
    here.revoke(vec![stamp("\"z\"")], true).await.unwrap();
    assert!(!watched.is_revoked() && !is_terminated(&watched));
    let told = here.revoke(vec![stamp("\"y\"")], true).await.unwrap();
    assert!(watched.is_revoked() && is_terminated(&watched));
    assert_eq!(told.terminated, [id("a")]);
    assert!(here.ids().is_empty(), "stamps are no ids");
}

#[tokio::test]
async fn an_order_has_its_limits() {
    let here = worker(&Arc::default(), &clock());
    let many = vec![Target::Task(id("a")); TARGETS + 1];
    let error = here.revoke(many, false).await.unwrap_err();
    assert!(matches!(error, RevokeError::TooMany { count } if count == TARGETS + 1));
    let long = "x".repeat(1_025);
    for (name, value, wrong) in [
        ("", "1", 0),
        ("a", "", 0),
        (&long, "1", 1_025),
        ("a", &long, 1_025),
    ] {
        let stamp = Target::Stamp {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let error = here.revoke(vec![stamp], false).await.unwrap_err();
        assert!(
            matches!(error, RevokeError::Stamp { bytes } if bytes == wrong),
            "{error}"
        );
    }
    assert!(here.ids().is_empty());
    let known = after(clock().now(), Duration::from_secs(60));
    here.revoke(vec![Target::Task(id("a")); TARGETS], false)
        .await
        .unwrap();
    assert_eq!(here.ids(), [id("a")]);
    assert!(here.clerk.clock.now() < known);
}
