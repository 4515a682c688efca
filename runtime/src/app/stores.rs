//! Opens what messages and results are kept in, each file once.

use super::StartError;
use crate::amqp::{self, AmqpServer};
use crate::broker::Broker;
use crate::broker::embedded::EmbeddedBroker;
use crate::broker::rabbitmq::RabbitBroker;
use crate::broker::redis::{RedisBroker, Settings};
use crate::bus::embedded::EmbeddedBus;
use crate::bus::rabbitmq::RabbitBus;
use crate::bus::redis::RedisBus;
use crate::bus::{self, Bus, For};
use crate::celery::Message;
use crate::clock::Clock;
use crate::config::{Address, AmqpUrl, Config, RedisUrl, SentinelOptions, SentinelUrl};
use crate::database::Database;
use crate::resp::{self, RedisServer, Sentinels};
use crate::results::database::{DatabaseResults, Form};
use crate::results::disabled::DisabledResults;
use crate::results::embedded::EmbeddedResults;
use crate::results::files::FileResults;
use crate::results::orders::Orders;
use crate::results::redis::RedisResults;
use crate::results::rpc::{self, Replies, RpcResults};
use crate::results::shelf::Shelves;
use crate::results::{Results, ResultsError};
use crate::sql::Sql;
use crate::task::KnownQueues;
use async_trait::async_trait;
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
    queues: &KnownQueues,
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
            let broker = RedisBroker::with(server, clock.clone(), settings(config));
            Arc::new(broker.with_queues(queues.clone()))
        }
        Address::Sentinel(url) => {
            let server = master("broker", url, &config.broker_transport_options.sentinel)?;
            let broker = RedisBroker::with(server, clock.clone(), settings(config));
            Arc::new(broker.with_queues(queues.clone()))
        }
        Address::Amqp(url) => {
            let server = amqp_server(url)?;
            let prefetch = config.worker.concurrency;
            let broker = RabbitBroker::new(server, clock.clone(), prefetch);
            let broker = broker.with_queues(queues.clone());
            let broker = broker.with_known(config.worker.queues.clone());
            Arc::new(broker.with_longest(config.worker.consumer_timeout))
        }
        // A result backend's address is refused for messages where it is read.
        Address::Database(_)
        | Address::Postgres(_)
        | Address::Files(_)
        | Address::Rpc
        | Address::Disabled => {
            return Err(StartError::NoBroker);
        }
    })
}

/// Opens the bus: beside the broker, as Celery has it.
pub(super) async fn bus(
    config: &Config,
    files: &mut Files,
    clock: &Clock,
) -> Result<Arc<dyn Bus>, StartError> {
    let prefix = &config.broker_transport_options.global_keyprefix;
    Ok(match &config.broker {
        Address::Embedded(folder) => Arc::new(EmbeddedBus::new(files.open(folder, clock).await?)),
        Address::Redis(url) => Arc::new(RedisBus::new(server("broker", url)?, prefix)),
        Address::Sentinel(url) => {
            let sentinel = &config.broker_transport_options.sentinel;
            Arc::new(RedisBus::new(master("broker", url, sentinel)?, prefix))
        }
        Address::Amqp(url) => Arc::new(RabbitBus::new(amqp_server(url)?)),
        Address::Database(_)
        | Address::Postgres(_)
        | Address::Files(_)
        | Address::Rpc
        | Address::Disabled => {
            return Err(StartError::NoBroker);
        }
    })
}

fn amqp_server(url: &AmqpUrl) -> Result<AmqpServer, StartError> {
    let tls = amqp::TlsFiles {
        authorities: url.tls.authorities.clone(),
        identity: url.tls.identity.clone(),
    };
    AmqpServer::new(url.server.secret(), &tls).map_err(StartError::Amqp)
}

/// Opens the result backend.
pub(super) async fn results(
    config: &Config,
    (broker, bus): (&Arc<dyn Broker>, &Arc<dyn Bus>),
    files: &mut Files,
    clock: &Clock,
) -> Result<Arc<dyn Results>, StartError> {
    let prefix = &config.result_backend_transport_options.global_keyprefix;
    let keep = config.worker.result_keep;
    Ok(match &config.result_backend {
        Address::Embedded(folder) => {
            Arc::new(EmbeddedResults::new(files.open(folder, clock).await?))
        }
        Address::Redis(url) => {
            let server = server("result_backend", url)?;
            Arc::new(RedisResults::new(server, clock.clone()).with_prefix(prefix))
        }
        Address::Sentinel(url) => {
            let sentinel = &config.result_backend_transport_options.sentinel;
            let server = master("result_backend", url, sentinel)?;
            Arc::new(RedisResults::new(server, clock.clone()).with_prefix(prefix))
        }
        Address::Database(file) => tables(config, Sql::sqlite(file), clock),
        Address::Postgres(url) => {
            let sql = Sql::postgres(url.server.secret()).map_err(ResultsError::from)?;
            tables(config, sql, clock)
        }
        Address::Files(folder) => {
            let results = FileResults::open(folder, prefix, clock.clone())?;
            Arc::new(results.with_keep(keep))
        }
        Address::Rpc if matches!(config.broker, Address::Embedded(_)) => {
            return Err(StartError::NoReplies);
        }
        Address::Rpc => {
            let replies = Box::new(ThroughBroker {
                broker: Arc::clone(broker),
                bus: Arc::clone(bus),
            });
            let results = RpcResults::new(replies, clock.clone());
            Arc::new(results.with_accepted(config.accept_content.clone()))
        }
        // A broker's address is refused for results where it is read.
        Address::Amqp(_) | Address::Disabled => Arc::new(DisabledResults),
    })
}

/// Uses Celery's tables in a database.
fn tables(config: &Config, sql: Sql, clock: &Clock) -> Arc<dyn Results> {
    let form = match config.worker.pickled_results {
        true => Form::Pickle,
        false => Form::Json,
    };
    let results = DatabaseResults::new(sql, clock.clone()).with_form(form);
    Arc::new(results.with_keep(config.worker.result_keep))
}

/// The place for orders, and that for what modules keep.
type Places = (Arc<dyn Orders>, Arc<dyn Shelves>);

/// Opens the places for orders and for what modules keep, the widest there are: the Redis
/// of results or messages, the file of results, or that of the data folder.
pub(super) async fn orders(
    config: &Config,
    files: &mut Files,
    clock: &Clock,
) -> Result<Places, StartError> {
    let broker = &config.broker_transport_options;
    let results = &config.result_backend_transport_options;
    for (key, address, prefix, sentinel) in [
        (
            "result_backend",
            &config.result_backend,
            &results.global_keyprefix,
            &results.sentinel,
        ),
        (
            "broker",
            &config.broker,
            &broker.global_keyprefix,
            &broker.sentinel,
        ),
    ] {
        let server = match address {
            Address::Redis(url) => server(key, url)?,
            Address::Sentinel(url) => master(key, url, sentinel)?,
            Address::Embedded(_)
            | Address::Database(_)
            | Address::Postgres(_)
            | Address::Files(_)
            | Address::Amqp(_)
            | Address::Rpc
            | Address::Disabled => continue,
        };
        let place = Arc::new(RedisResults::new(server, clock.clone()).with_prefix(prefix));
        return Ok((Arc::clone(&place) as _, place));
    }
    let folder = match &config.result_backend {
        Address::Embedded(folder) => folder,
        Address::Redis(_)
        | Address::Sentinel(_)
        | Address::Database(_)
        | Address::Postgres(_)
        | Address::Files(_)
        | Address::Amqp(_)
        | Address::Rpc
        | Address::Disabled => &config.data,
    };
    let file = files.open(folder, clock).await?;
    let place = Arc::new(EmbeddedResults::new(file));
    Ok((Arc::clone(&place) as _, place))
}

/// Sends results the way that messages go, and hears them beside it.
#[derive(Debug)]
struct ThroughBroker {
    broker: Arc<dyn Broker>,
    bus: Arc<dyn Bus>,
}

#[async_trait]
impl Replies for ThroughBroker {
    async fn reply(&self, to: &str, message: Message) -> Result<(), ResultsError> {
        let sent = self.broker.reply(to, message).await;
        sent.map_err(unheard)
    }

    async fn listen(&self, queue: &str) -> Result<rpc::Heard, ResultsError> {
        let what = For::Replies(queue.to_owned());
        // The queue is there before anything is called.
        let begun = self.bus.listen(&what).await.map_err(unheard)?;
        Ok(bus::follow_on(Arc::clone(&self.bus), what, Some(begun)))
    }

    async fn forget(&self, queue: &str) -> Result<(), ResultsError> {
        self.bus.forget(queue).await.map_err(unheard)
    }
}

fn unheard(error: impl std::error::Error + Send + Sync + 'static) -> ResultsError {
    ResultsError::Unavailable {
        system: rpc::SYSTEM,
        reason: error.to_string(),
        source: Some(Box::new(error)),
    }
}

fn settings(config: &Config) -> Settings {
    let options = &config.broker_transport_options;
    Settings {
        lease: config.worker.lease,
        prefix: options.global_keyprefix.clone(),
        visibility_timeout: options.visibility_timeout,
    }
}

fn master(
    key: &'static str,
    url: &SentinelUrl,
    options: &SentinelOptions,
) -> Result<RedisServer, StartError> {
    let sentinels = Sentinels {
        places: url.sentinels.clone(),
        master: options.master_name.clone(),
        username: options.username.clone(),
        password: options.password.clone(),
    };
    RedisServer::behind(&sentinels, url.server.secret())
        .map_err(|source| StartError::Address { key, source })
}

fn server(key: &'static str, url: &RedisUrl) -> Result<RedisServer, StartError> {
    let files = resp::TlsFiles {
        authorities: url.tls.authorities.clone(),
        identity: url.tls.identity.clone(),
    };
    RedisServer::with_tls(url.server.secret(), &files)
        .map_err(|source| StartError::Address { key, source })
}
