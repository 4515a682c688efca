//! How a control plane listens: connections bounded in number, each with TLS or without,
//! each with little time for whoever says nothing.

mod connection;
mod doors;
mod tls;
mod turn;

pub use tls::{Tls, TlsError};
pub(super) use turn::Turn;

use super::v1::{self, Plane};
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use connection::Connection;
use doors::Doors;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How much, how often and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Requests of one token in a minute.
    pub token_per_minute: u32,
    /// Requests of one address in a minute.
    pub address_per_minute: u32,
    /// Time for the head of a request.
    pub header: Duration,
    /// Time for the body of a request.
    pub body: Duration,
    /// Time that a connection is kept without a request.
    pub idle: Duration,
    /// Whether a proxy tells who asks, in `X-Forwarded-For`.
    pub proxy: bool,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) turn: Arc<Turn>,
    /// Whether it is one more than there may be.
    pub(super) is_over: bool,
}

impl Connected<IncomingStream<'_, Doors>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        let io: &Connection = stream.io();
        Self {
            address: *stream.remote_addr(),
            turn: Arc::clone(io.turn()),
            is_over: io.is_over(),
        }
    }
}

/// Serves until `end` resolves, then finishes what is under way: its caller bounds that.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    plane: Plane,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let doors = Doors::new(listener, tls, &plane);
    let router = v1::router(plane).into_make_service_with_connect_info::<Peer>();
    axum::serve(doors, router).with_graceful_shutdown(end).await
}
