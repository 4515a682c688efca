//! Connections to Redis and what speaks its protocol, RESP: the only opener of
//! them. The drivers of both seams get a [`RedisServer`].

mod connection;
mod sentinel;
mod tls;
mod watch;

pub use connection::Shared;
pub use sentinel::Sentinels;
pub use tls::TlsFiles;
pub use watch::{Watch, cannot_watch};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use ::redis::{Client, ErrorKind, RedisError};
use connection::Place;
use sentinel::{Master, timed_out};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a connection (5 s).
const CONNECT: Duration = Duration::from_secs(5);
/// Longest wait for an answer (10 s): a server that is paused is as good as away,
/// and health turns red after ten seconds.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest pause between two tries of a lost connection (1 s).
const PAUSE: Duration = Duration::from_secs(1);

/// One database of a Redis server.
#[derive(Clone)]
pub struct RedisServer {
    /// User, password and database, and the address where it is always the same.
    client: Client,
    shared: Shared,
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrongAddress {
    /// It is no address of Redis, or a file of it holds no certificate or no key.
    #[error("{0}")]
    Form(String),
    /// A file of it cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
}

impl WrongAddress {
    fn form(error: RedisError) -> Self {
        Self::Form(error.to_string())
    }
}

impl RedisServer {
    /// Prepares connections; the server need not be there yet. Call it within a
    /// runtime.
    ///
    /// # Errors
    /// [`WrongAddress`] when `url` is not `redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB]`.
    pub fn new(url: &str) -> Result<Self, WrongAddress> {
        Self::with_tls(url, &TlsFiles::default())
    }

    /// Prepares connections, for `rediss://` with files.
    ///
    /// # Errors
    /// As [`RedisServer::new`], and when a file cannot be read or holds something else.
    pub fn with_tls(url: &str, files: &TlsFiles) -> Result<Self, WrongAddress> {
        let client = tls::client(url, files)?;
        let settings = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_max_delay(PAUSE)
            .set_number_of_retries(1);
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), settings)
            .map_err(WrongAddress::form)?;
        Ok(Self {
            client,
            shared: Shared(Place::Fixed(manager)),
        })
    }

    /// Prepares connections to the server that sentinels call the master. `url` says
    /// which user, password and database; its host is not used.
    ///
    /// # Errors
    /// As [`RedisServer::new`].
    pub fn behind(sentinels: &Sentinels, url: &str) -> Result<Self, WrongAddress> {
        let client = Client::open(url).map_err(WrongAddress::form)?;
        let master = Master::new(sentinels, client.get_connection_info());
        let master = Arc::new(master.map_err(WrongAddress::form)?);
        Ok(Self {
            client,
            shared: Shared(Place::Master(master)),
        })
    }

    /// Returns the shared connection: calls of many tasks travel together, and a
    /// lost one is opened again by itself. Not for commands that block.
    #[must_use]
    pub fn shared(&self) -> Shared {
        self.shared.clone()
    }

    /// Runs a command whose answer does not matter.
    ///
    /// # Errors
    /// What the server or the network said.
    pub async fn tell(&self, words: &[String]) -> Result<(), RedisError> {
        let mut command = ::redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        command.exec_async(&mut self.shared()).await
    }

    /// Returns how to connect to the server, or to who is the master now.
    async fn client(&self) -> Result<Client, RedisError> {
        match &self.shared.0 {
            Place::Fixed(_) => Ok(self.client.clone()),
            Place::Master(master) => master.client().await,
        }
    }

    /// Passes on what became of a connection beside the shared one.
    fn opened<T>(&self, opened: Result<T, RedisError>) -> Result<T, RedisError> {
        if let (Err(error), Place::Master(master)) = (&opened, &self.shared.0)
            && error.is_io_error()
        {
            master.doubt();
        }
        opened
    }

    /// Opens a connection that listens to channels.
    ///
    /// # Errors
    /// What the server or the network said.
    pub async fn listener(&self) -> Result<PubSub, RedisError> {
        let client = self.client().await?;
        let opened = tokio::time::timeout(CONNECT, client.get_async_pubsub()).await;
        self.opened(opened.unwrap_or_else(|_| Err(timed_out())))
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("RedisServer");
        match &self.shared.0 {
            // The password stays out of it.
            Place::Fixed(_) => {
                shown.field(&self.client.get_connection_info().addr().to_string());
            }
            Place::Master(master) => {
                shown.field(master);
            }
        }
        shown.finish()
    }
}

/// Tells whether a key holds something else than what it is used for.
#[must_use]
pub fn is_other_type(error: &RedisError) -> bool {
    const CODE: &str = "WRONGTYPE";
    // Up to Redis 6.2, a script says so within its own error.
    let is = |code: Option<&str>, detail: Option<&str>| {
        code == Some(CODE) || detail.is_some_and(|detail| detail.contains(CODE))
    };
    if is(error.code(), error.detail()) {
        return true;
    }
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| {
        let mut errors = errors.iter();
        errors.any(|(_, error)| is(Some(error.code()), error.details()))
    })
}

/// Tells whether an error stays until a person changes something: the user, the
/// password, what they may do, or a certificate.
#[must_use]
pub fn needs_a_person(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || error.kind() == ErrorKind::InvalidClientConfig
        || tls::is_refused(error)
        || is_persons(error.code())
        // Commands that were sent together have an error each.
        || error
            .clone()
            .into_server_errors()
            .is_some_and(|all| all.iter().any(|(_, error)| is_persons(Some(error.code()))))
}

fn is_persons(code: Option<&str>) -> bool {
    matches!(code, Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "WRONGTYPE"))
}
