//! Opens what messages and results are kept in, each file once.

use super::StartError;
use crate::broker::Broker;
use crate::broker::embedded::EmbeddedBroker;
use crate::broker::redis::RedisBroker;
use crate::clock::Clock;
use crate::config::{Address, Config, ServerUrl};
use crate::database::Database;
use crate::resp::RedisServer;
use crate::results::Results;
use crate::results::disabled::DisabledResults;
use crate::results::embedded::EmbeddedResults;
use crate::results::redis::RedisResults;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every open file once, by its folder.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<(PathBuf, Database)>);

impl Files {
    /// Opens the file of a folder, or returns it when it is open.
    pub(super) async fn open(
        &mut self,
        folder: &Path,
        clock: &Clock,
    ) -> Result<Database, StartError> {
        // The folder exists once the file is open; only then has it one true path.
        let real = |folder: &Path| folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        if let Some((_, database)) = self.0.iter().find(|(known, _)| *known == real(folder)) {
            return Ok(database.clone());
        }
        let database = Database::open(folder, clock.clone()).await?;
        self.0.push((real(folder), database.clone()));
        Ok(database)
    }

    /// Returns how many files are open.
    #[cfg(test)]
    pub(super) fn open_files(&self) -> usize {
        self.0.len()
    }

    /// Closes all; what is queued is written first.
    pub(super) async fn close(&self) {
        for (_, database) in &self.0 {
            database.close().await;
        }
    }
}

/// Opens the broker.
pub(super) async fn broker(
    config: &Config,
    files: &mut Files,
    clock: &Clock,
) -> Result<Arc<dyn Broker>, StartError> {
    let lease = config.worker.lease;
    Ok(match &config.broker {
        Address::Embedded(folder) => {
            let file = files.open(folder, clock).await?;
            Arc::new(EmbeddedBroker::new(file).with_lease(lease))
        }
        Address::Redis(url) => {
            let server = server("broker", url)?;
            Arc::new(RedisBroker::with(server, clock.clone(), lease, ""))
        }
        Address::Disabled => return Err(StartError::NoBroker),
    })
}

/// Opens the result backend.
pub(super) async fn results(
    config: &Config,
    files: &mut Files,
    clock: &Clock,
) -> Result<Arc<dyn Results>, StartError> {
    Ok(match &config.result_backend {
        Address::Embedded(folder) => {
            Arc::new(EmbeddedResults::new(files.open(folder, clock).await?))
        }
        Address::Redis(url) => Arc::new(RedisResults::new(
            server("result_backend", url)?,
            clock.clone(),
        )),
        Address::Disabled => Arc::new(DisabledResults),
    })
}

fn server(key: &'static str, url: &ServerUrl) -> Result<RedisServer, StartError> {
    RedisServer::new(url.secret()).map_err(|source| StartError::Address { key, source })
}
