//! Workers with a tenant `probe` beside `default`, on the embedded file or on Redis.

use crate::place::{Call, Place};
use std::time::Duration;
use support::{Redis, Server, Stage};

/// The tenant beside `default`.
const TENANT: &str = "probe";
/// Its keys in Redis, as they are where nothing else is written.
const PREFIX: &str = "celeriac:probe:";

/// Where messages are, and how many workers take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    Redis { workers: usize },
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Redis { .. } => "Redis",
        }
    }

    pub(crate) fn workers(self) -> usize {
        match self {
            Self::Embedded => 1,
            Self::Redis { workers } => workers,
        }
    }
}

/// A data folder and, where one is wanted, a server, with the modules of both tenants.
pub(crate) struct Scene {
    kind: Kind,
    stage: Stage,
    redis: Option<Redis>,
}

impl Scene {
    /// Makes one; `tenant` says whether there is a tenant beside `default`.
    pub(crate) fn new(kind: Kind, components: &[(&str, String)], tenant: bool) -> Self {
        let redis = matches!(kind, Kind::Redis { .. }).then(Redis::start);
        let mut stage = Stage::new(env!("CARGO_BIN_EXE_celeriac"), "");
        let mut section = format!("[tenants.{TENANT}]\n");
        if let Some(redis) = &redis {
            let (broker, results) = (redis.url(0), redis.url(1));
            stage = stage
                .with("broker", &broker)
                .with("result_backend", &results);
            section += &format!("broker = \"{broker}\"\nresult_backend = \"{results}\"\n");
        }
        if tenant {
            stage.write("celeriac.toml", section);
        }
        for (name, path) in components {
            stage.json(&["push", path, "--name", name]);
            if tenant {
                stage.json(&["push", path, "--name", name, "-T", TENANT]);
            }
        }
        Self { kind, stage, redis }
    }

    /// Starts the workers.
    pub(crate) fn workers(&self) -> Vec<Server> {
        let names = (1..=self.kind.workers()).map(|number| format!("worker{number}@bench"));
        let started = names.map(|name| self.stage.server(&["worker", "-n", &name]));
        started.collect()
    }

    /// Where the messages of `default` are.
    pub(crate) async fn own(&self) -> Place {
        match &self.redis {
            None => Place::embedded(&self.stage.data()).await,
            Some(redis) => Place::redis(redis, ""),
        }
    }

    /// Where those of the tenant beside it are.
    pub(crate) async fn tenants(&self) -> Place {
        match &self.redis {
            None => Place::embedded(&self.stage.data().join("tenants").join(TENANT)).await,
            Some(redis) => Place::redis(redis, PREFIX),
        }
    }

    /// Returns the CPU time of one attempt: the least of a few.
    pub(crate) fn cpu(&self, (task, args): Call) -> Duration {
        let _workers = self.workers();
        let micros = (0..5).filter_map(|_| {
            let ended = self.stage.call(task, args);
            ended
                .pointer("/usage/cpu_us")
                .and_then(serde_json::Value::as_u64)
        });
        Duration::from_micros(micros.min().expect("it is told what they took"))
    }
}
