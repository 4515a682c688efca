//! A stage whose messages are in one server, and whose results are anywhere.

use crate::celery::python;
use crate::stage;
use serde_json::Value;
use support::{Postgres, Rabbit, Redis, Stage};

/// A stage, and what is beside it.
pub(crate) struct Beside {
    pub(crate) redis: Redis,
    pub(crate) stage: Stage,
    pub(crate) backend: String,
    _rabbit: Option<Rabbit>,
    pub(crate) broker: String,
    postgres: Option<Postgres>,
}

/// Names an address of results, with that of the server and a folder.
pub(crate) type Backend = fn(&Redis, &Stage) -> String;

impl Beside {
    /// Makes a stage whose messages are in Redis.
    pub(crate) fn new(backend: Backend) -> Self {
        let redis = Redis::start();
        let broker = redis.url(0);
        Self::of(redis, None, broker, backend)
    }

    /// Makes a stage whose messages are in RabbitMQ.
    pub(crate) fn through_rabbitmq(backend: Backend) -> Self {
        let rabbit = Rabbit::start();
        let broker = rabbit.url();
        Self::of(Redis::start(), Some(rabbit), broker, backend)
    }

    /// Has the results in a database of Postgres.
    pub(crate) fn in_postgres(make: fn(Backend) -> Self) -> Self {
        let postgres = Postgres::start();
        let mut beside = make(|_, _| "disabled://".to_owned());
        beside.backend = format!("db+{}", postgres.url());
        beside.stage = beside.stage.with("result_backend", &beside.backend);
        beside.postgres = Some(postgres);
        beside
    }

    fn of(redis: Redis, rabbit: Option<Rabbit>, broker: String, backend: Backend) -> Self {
        let stage = stage();
        let backend = backend(&redis, &stage);
        let stage = stage
            .with("broker", &broker)
            .with("result_backend", &backend)
            .with("worker.consumer_timeout", "2h");
        for module in ["text", "flaky", "report"] {
            stage.push(module);
        }
        Self {
            redis,
            stage,
            backend,
            _rabbit: rabbit,
            broker,
            postgres: None,
        }
    }

    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.stage = self.stage.with(key, value);
        self
    }

    pub(crate) fn postgres(&self) -> &Postgres {
        self.postgres.as_ref().expect("results in Postgres")
    }

    pub(crate) fn ask(&self, release: &str, what: &str) -> Value {
        let postgres = self.postgres.as_ref();
        let backend = postgres.map_or_else(
            || self.backend.clone(),
            |postgres| spelled(release, postgres),
        );
        let arguments = [what, &self.broker, &backend];
        python(release).run("backends.py", &arguments)
    }
}

/// The address as SQLAlchemy wants it, with the client library that is beside a release.
pub(crate) fn spelled(release: &str, postgres: &Postgres) -> String {
    let library = if release == "5.4" {
        "psycopg2"
    } else {
        "psycopg"
    };
    let url = postgres.url();
    format!(
        "db+{}",
        url.replace("postgresql", &format!("postgresql+{library}"))
    )
}
