//! Why a process does not start or cannot go on.

use crate::broker::BrokerError;
use crate::confine::{UserError, Walls};
use crate::database::DatabaseError;
use crate::registry::RegistryError;
use crate::resp::WrongAddress;
use crate::results::ResultsError;
use crate::task::{ModuleName, TenantName};
use crate::worker::WorkerError;
use celeriac_sandbox::SandboxError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Trouble of one of the parts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The embedded file.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The result backend.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The address of a server.
    #[error("{key} cannot be used: {source}")]
    Address {
        /// The key of the configuration.
        key: &'static str,
        /// Why.
        #[source]
        source: WrongAddress,
    },
    /// The address of a RabbitMQ server.
    #[error("broker cannot be used: {0}")]
    Amqp(#[source] crate::amqp::WrongAddress),
    /// Replies have no way without a broker of servers.
    #[error(
        "result_backend is \"rpc://\", but the embedded broker has no callers elsewhere; leave it out"
    )]
    NoReplies,
    /// Whose stores are wanted is not known here.
    #[error(
        "there is no tenant {name}; write [tenants.{name}] into celeriac.toml, or name another with --tenant"
    )]
    NoTenant {
        /// The tenant.
        name: TenantName,
    },
    /// A task may take longer than the broker lets its message be held.
    #[error("task {task} of module {module} cannot be run: {reason}")]
    Outlasts {
        /// The module.
        module: ModuleName,
        /// The task.
        task: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Messages must be kept somewhere.
    #[error(
        "broker is \"disabled://\", but messages must be kept somewhere; leave it out for the embedded file"
    )]
    NoBroker,
    /// A secret that tasks are to have.
    #[error("the secret {name:?} cannot be read from {place}: {reason}; see [secrets]")]
    Secret {
        /// Its name.
        name: String,
        /// Where it should be.
        place: String,
        /// Why.
        reason: String,
    },
    /// Tenants and tokens.
    #[error(transparent)]
    Platform(#[from] crate::platform::PlatformError),
    /// The users of a tenant were not made on its broker.
    #[error(
        "the broker did not make the users: {reason}; run what is printed there as its administrator"
    )]
    Setup {
        /// What it said.
        reason: String,
    },
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The control plane that is followed.
    #[error("the control plane cannot be asked: {0}; see server, token_file and server_ca")]
    Remote(#[from] crate::remote::RemoteError),
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Outgoing HTTP.
    #[error(transparent)]
    Http(SandboxError),
    /// The worker.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The chosen address for metrics and health cannot be used.
    #[error(
        "metrics and health cannot be served at {address}: {source}; choose another worker.listen, or \"off\""
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The address of the control plane cannot be used.
    #[error(
        "the control plane cannot be served at {address}: {source}; choose another serve.listen"
    )]
    Serve {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// Tokens would go over the network for everybody to read.
    #[error(
        "plain HTTP at {address} would show tokens to everybody on the way; set tls_certificate and tls_key in [serve], or proxy = true where a proxy speaks TLS, or --insecure"
    )]
    Plain {
        /// The address.
        address: SocketAddr,
    },
    /// The token of whoever develops.
    #[error("{path:?} cannot be used: {source}; remove it, or see to the folder's owner and mode")]
    Token {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The certificate of the control plane.
    #[error("TLS cannot be served: {0}; see tls_certificate and tls_key in [serve]")]
    Tls(#[from] crate::api::TlsError),
    /// The worker cannot become the user it was told to.
    #[error(transparent)]
    User(#[from] UserError),
    /// That user has no use of the data folder.
    #[error(
        "user {user:?} (worker.user) cannot use {path:?}: {source}; give it to that user: chown -R {user} {folder}"
    )]
    NotTheirs {
        /// The user.
        user: String,
        /// What it cannot use.
        path: PathBuf,
        /// The data folder.
        folder: String,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// A wall is wanted that this kernel does not offer.
    #[error(
        "worker.confine is \"require\", but not every wall can be put up: {walls}; use a newer kernel, or \"auto\""
    )]
    Open {
        /// What stands, and what is missing and why.
        walls: Walls,
    },
    /// Signals cannot be caught.
    #[error("signals cannot be listened to: {0}")]
    Signals(#[source] io::Error),
    /// The path of the running program is not known.
    #[error(
        "the path of this program is not known: {0}; it compiles modules in a child of its own"
    )]
    Program(#[source] io::Error),
}
