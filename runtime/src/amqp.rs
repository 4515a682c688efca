//! Connections to RabbitMQ, in AMQP 0-9-1: the only opener of them. Drivers
//! get an [`AmqpServer`].

mod guard;
mod tables;

use async_rs::Runtime;
use guard::{Guarded, GuardedTokio};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{AMQPUriTcpExt as _, AsyncTcpStream, OwnedIdentity, OwnedTLSConfig};
use lapin::types::{FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Error, ErrorKind};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

/// Longest wait for a connection (5 s).
pub const CONNECT: Duration = Duration::from_secs(5);
/// Longest wait for an answer (10 s): a server that is paused is as good as away,
/// and health turns red after ten seconds.
pub const ANSWER: Duration = Duration::from_secs(10);
/// Seconds between heartbeats: two missed ones end the connection. The threads
/// that send them run no guest, so a busy worker beats all the same.
const HEARTBEAT: u16 = 30;

/// One virtual host of a RabbitMQ server.
#[derive(Clone)]
pub struct AmqpServer {
    uri: AMQPUri,
    tls: OwnedTLSConfig,
}

/// The files that TLS needs beyond the system's own authorities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities to trust, PEM.
    pub authorities: Option<PathBuf>,
    /// Our own certificate and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrongAddress {
    /// It is no address of AMQP.
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

impl AmqpServer {
    /// Prepares connections; the server need not be there yet.
    ///
    /// # Errors
    /// [`WrongAddress`] when `url` is not `amqp[s]://[USER:PASSWORD@]HOST[:PORT]/VHOST`
    /// or a file of `tls` cannot be read.
    pub fn new(url: &str, tls: &TlsFiles) -> Result<Self, WrongAddress> {
        let mut uri = AMQPUri::from_str(url).map_err(WrongAddress::Form)?;
        uri.query.heartbeat = Some(uri.query.heartbeat.unwrap_or(HEARTBEAT));
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| WrongAddress::File {
                path: path.clone(),
                source,
            })
        };
        let authorities = tls.authorities.as_ref().map(read).transpose()?;
        let identity = match &tls.identity {
            Some((certificate, key)) => Some(OwnedIdentity::PKCS8 {
                pem: read(certificate)?,
                key: read(key)?,
            }),
            None => None,
        };
        let tls = OwnedTLSConfig {
            identity,
            cert_chain: authorities.map(|pem| String::from_utf8_lossy(&pem).into_owned()),
        };
        Ok(Self { uri, tls })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// What the server or the network said.
    pub async fn connect(&self) -> Result<Connection, Error> {
        let properties = ConnectionProperties::default().with_connection_name("celeriac".into());
        let tls = self.tls.clone();
        let connect = async move |uri: AMQPUri, _: Runtime<guard::Kit>| {
            let runtime = Runtime::tokio_current();
            let stream = uri
                .connect_with_config_async(tls.as_ref(), &runtime)
                .await?;
            Ok(AsyncTcpStream::Plain(Guarded::new(stream)))
        };
        let runtime = Runtime::new(GuardedTokio::kit());
        let opened = Connection::connector(self.uri.clone(), runtime, connect, properties);
        in_time(CONNECT, opened).await
    }
}

impl fmt::Debug for AmqpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password stays out of it.
        let authority = &self.uri.authority;
        let address = format!("{}:{}/{}", authority.host, authority.port, self.uri.vhost);
        f.debug_tuple("AmqpServer").field(&address).finish()
    }
}

/// Waits for an answer, at most so long.
///
/// # Errors
/// What the server said; after `longest` that it did not answer.
pub async fn in_time<T>(
    longest: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(longest, answer)
        .await
        .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}

/// Returns a name as AMQP carries it.
///
/// # Errors
/// When it is over 255 bytes, the most that AMQP allows.
pub fn short(name: &str) -> Result<ShortString, TooLong> {
    ShortString::try_new(name).map_err(|_| TooLong(name.chars().take(40).collect()))
}

/// A name that AMQP cannot carry.
#[derive(Debug, thiserror::Error)]
#[error("{0:?}… is over 255 bytes, the most that a name has in AMQP; choose a shorter one")]
pub struct TooLong(String);

/// What is wrong with an operation, by who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// What was named does not exist.
    NotFound,
    /// It exists and is made otherwise.
    MadeOtherwise,
    /// A person must change a user, a password, a permission, a virtual host or a
    /// certificate.
    NeedsAPerson,
    /// It may work later.
    Away,
}

/// Tells what is wrong.
#[must_use]
pub fn wrong(error: &Error) -> Wrong {
    if let ErrorKind::IOError(error) = error.kind() {
        // TLS has no other word for it, ours and the server's.
        let is_refused = error.to_string().to_lowercase().contains("certificate");
        return if is_refused {
            Wrong::NeedsAPerson
        } else {
            Wrong::Away
        };
    }
    let ErrorKind::ProtocolError(protocol) = error.kind() else {
        return Wrong::Away;
    };
    match protocol.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Wrong::NotFound,
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => Wrong::MadeOtherwise,
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
        | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => Wrong::NeedsAPerson,
        AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => Wrong::Away,
    }
}

/// Opens a channel.
///
/// # Errors
/// What the server or the network said.
pub async fn channel(connection: &Connection) -> Result<Channel, Error> {
    in_time(ANSWER, connection.create_channel()).await
}

/// Makes a table of arguments.
#[must_use]
pub fn table<const N: usize>(arguments: [(&str, lapin::types::AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    table
}
