//! Lets connections in, as many as there is room for.

use super::connection::{Connection, Stream};
use super::tls::Tls;
use super::turn::Turn;
use crate::api::v1::Plane;
use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections over the limit that are told so (64); more are closed without a word.
const SPARE: usize = 64;
/// Pause after a connection could not be taken, as when no file is left (100 ms).
const PAUSE: Duration = Duration::from_millis(100);

/// A listener with a limit.
pub(super) struct Doors {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    room: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    plane: Plane,
}

impl Doors {
    pub(super) fn new(listener: TcpListener, tls: Option<Arc<Tls>>, plane: &Plane) -> Self {
        Self {
            listener,
            tls,
            room: Arc::new(Semaphore::new(plane.limits.connections)),
            spare: Arc::new(Semaphore::new(SPARE)),
            plane: plane.clone(),
        }
    }

    /// Returns the room of one more connection, and whether it is over the limit.
    fn room(&self) -> Option<(OwnedSemaphorePermit, bool)> {
        if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
            return Some((room, false));
        }
        let spare = Arc::clone(&self.spare).try_acquire_owned().ok()?;
        Some((spare, true))
    }

    fn connection(&self, stream: TcpStream) -> Option<Connection> {
        let metrics = Arc::clone(&self.plane.metrics);
        let Some((room, is_over)) = self.room() else {
            metrics.refused("connections");
            return None;
        };
        // Answers are short: none waits for another packet.
        let _slower = stream.set_nodelay(true);
        let limits = &self.plane.limits;
        let turn = Turn::new(limits.header, limits.idle);
        let stream = match &self.tls {
            Some(tls) => Stream::Shaking(Box::new(tls.accept(stream))),
            None => Stream::Plain(stream),
        };
        Some(Connection::new(stream, turn, is_over, metrics, room))
    }
}

impl Listener for Doors {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some(connection) = self.connection(stream) {
                        return (connection, peer);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
