//! A fresh place for one test: a driver with an empty store and a clock that
//! stands still.

use celeriac::broker::{Broker, BrokerError, Delivery, Outgoing};
use celeriac::celery::{Message, Properties};
use celeriac::clock::Clock;
use celeriac::database::Database;
use celeriac::resp::RedisServer;
use celeriac::results::Results;
use celeriac::results::database::{DatabaseResults, Form};
use celeriac::results::embedded::EmbeddedResults;
use celeriac::results::files::FileResults;
use celeriac::results::orders::Orders;
use celeriac::results::redis::RedisResults;
use celeriac::results::shelf::Shelves;
use celeriac::sql::Sql;
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything takes on a busy machine; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// When every manual clock starts.
pub(crate) const START: Timestamp = Timestamp::constant(1_790_000_000, 0);

/// What a test of a result backend needs from its driver.
pub(crate) struct ResultsStage {
    pub(crate) clock: Clock,
    pub(crate) results: Arc<dyn Results>,
    pub(crate) other: Arc<dyn Results>,
    pub(crate) orders: Arc<dyn Orders>,
    pub(crate) others_orders: Arc<dyn Orders>,
    pub(crate) shelves: Arc<dyn Shelves>,
    pub(crate) others_shelves: Arc<dyn Shelves>,
    /// Whether a sweep removes what is past its time; else the server does.
    pub(crate) sweeps: bool,
    _place: Box<dyn std::fmt::Debug + Send>,
}

impl ResultsStage {
    pub(crate) async fn embedded() -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
        let results = Arc::new(EmbeddedResults::new(database(&dir, &clock).await));
        let other = Arc::new(EmbeddedResults::new(database(&dir, &clock).await));
        Self {
            clock,
            orders: Arc::clone(&results) as Arc<dyn Orders>,
            others_orders: Arc::clone(&other) as Arc<dyn Orders>,
            shelves: Arc::clone(&results) as Arc<dyn Shelves>,
            others_shelves: Arc::clone(&other) as Arc<dyn Shelves>,
            results,
            other,
            sweeps: true,
            _place: Box::new(dir),
        }
    }

    pub(crate) async fn redis() -> Self {
        let (server, clock) = (support::Redis::start(), Clock::manual(START));
        let results = Arc::new(redis_results(&server, &clock));
        let other = Arc::new(redis_results(&server, &clock));
        Self {
            clock,
            orders: Arc::clone(&results) as Arc<dyn Orders>,
            others_orders: Arc::clone(&other) as Arc<dyn Orders>,
            shelves: Arc::clone(&results) as Arc<dyn Shelves>,
            others_shelves: Arc::clone(&other) as Arc<dyn Shelves>,
            results,
            other,
            sweeps: false,
            _place: Box::new(server),
        }
    }
}

impl ResultsStage {
    pub(crate) async fn files() -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
        let open = || Arc::new(FileResults::open(dir.path(), "", clock.clone()).unwrap());
        let (ours, others) = beside(&clock).await;
        Self {
            orders: Arc::clone(&ours) as Arc<dyn Orders>,
            others_orders: Arc::clone(&others) as Arc<dyn Orders>,
            shelves: ours,
            others_shelves: others,
            results: open(),
            other: open(),
            clock: clock.clone(),
            sweeps: true,
            _place: Box::new(dir),
        }
    }

    pub(crate) async fn database() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("results.sqlite");
        Self::tables(|| Sql::sqlite(&file), Box::new(dir)).await
    }

    pub(crate) async fn postgres() -> Self {
        let server = support::Postgres::start();
        let url = server.url();
        Self::tables(|| Sql::postgres(&url).unwrap(), Box::new(server)).await
    }

    /// Two workers that each read what the other writes in its own form.
    async fn tables(open: impl Fn() -> Sql, place: Box<dyn std::fmt::Debug + Send>) -> Self {
        let clock = Clock::manual(START);
        let results = |form| Arc::new(DatabaseResults::new(open(), clock.clone()).with_form(form));
        let (ours, others) = beside(&clock).await;
        Self {
            orders: Arc::clone(&ours) as Arc<dyn Orders>,
            others_orders: Arc::clone(&others) as Arc<dyn Orders>,
            shelves: ours,
            others_shelves: others,
            results: results(Form::Pickle),
            other: results(Form::Json),
            clock: clock.clone(),
            sweeps: true,
            _place: place,
        }
    }
}

/// Orders about tasks whose results are elsewhere are in the data folder, as is what
/// modules keep.
async fn beside(clock: &Clock) -> (Arc<EmbeddedResults>, Arc<EmbeddedResults>) {
    let dir = tempfile::tempdir().unwrap();
    let open = async || Arc::new(EmbeddedResults::new(database(&dir, clock).await));
    (open().await, open().await)
}

fn redis_results(server: &support::Redis, clock: &Clock) -> RedisResults {
    let server = RedisServer::new(&server.url(1)).unwrap();
    RedisResults::new(server, clock.clone())
}

pub(crate) async fn database(dir: &tempfile::TempDir, clock: &Clock) -> Database {
    Database::open(dir.path(), clock.clone()).await.unwrap()
}

/// Fetches until there is something; a fetch may come back empty in between, or fail
/// because its connection is gone.
pub(crate) async fn fetch(broker: &dyn Broker, queues: &[&str], max: usize) -> Vec<Delivery> {
    let queues: Vec<String> = queues.iter().map(|queue| (*queue).to_owned()).collect();
    let fetched = async {
        loop {
            match broker.fetch(&queues, max).await {
                Ok(deliveries) if deliveries.is_empty() => {}
                Ok(deliveries) => return deliveries,
                // A connection that was cut is opened again with the next call.
                Err(BrokerError::Unavailable { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, fetched)
        .await
        .expect("a message in time")
}

/// A message whose body tells which one it is.
pub(crate) fn message(name: &str) -> Message {
    let headers = json!({"id": name, "task": "m.t", "lang": "py", "retries": 0, "meth": null, "ä": [1.5, {"b": true}]});
    Message {
        body: format!("[[\"{name}\"], {{}}, {{}}]").into_bytes().into(),
        content_type: "application/json".to_owned(),
        content_encoding: "utf-8".to_owned(),
        headers: headers.as_object().unwrap().clone(),
        properties: Properties {
            correlation_id: Some(name.to_owned()),
            ..Properties::default()
        },
    }
}

/// A message for queue `q`, to be delivered at once.
pub(crate) fn outgoing(name: &str) -> Outgoing {
    Outgoing {
        queue: "q".to_owned(),
        message: message(name),
        due: None,
        key: None,
    }
}

/// The names of deliveries, in order.
pub(crate) fn names(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries
        .iter()
        .map(|delivery| {
            delivery
                .message
                .properties
                .correlation_id
                .as_deref()
                .unwrap()
        })
        .collect()
}

/// Expands behaviours of what is kept where orders are, one test for each place.
macro_rules! kept_behaviours {
    ($($behaviour:ident),+ $(,)?) => {
        $(mod $behaviour {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                super::check::$behaviour(crate::stage::ResultsStage::embedded().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn redis() {
                super::check::$behaviour(crate::stage::ResultsStage::redis().await).await;
            }
        })+
    };
}
pub(crate) use kept_behaviours;
