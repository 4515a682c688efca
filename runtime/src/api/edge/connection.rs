//! A connection with an end: for whoever sends no head, and for whoever reads no answer.

use super::turn::Turn;
use crate::telemetry::EdgeMetrics;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tokio_rustls::Accept;
use tokio_rustls::server::TlsStream;

/// Longest time that a client reads nothing of an answer (30 s).
pub(super) const STALL: Duration = Duration::from_secs(30);

/// A connection of one client.
pub(in crate::api) struct Connection {
    stream: Stream,
    turn: Arc<Turn>,
    alarm: Pin<Box<Sleep>>,
    stalled: Option<Pin<Box<Sleep>>>,
    metrics: Arc<EdgeMetrics>,
    is_over: bool,
    _room: OwnedSemaphorePermit,
}

/// What bytes go through. The handshake is part of the first head: whoever dawdles there
/// keeps nobody else from being let in.
pub(super) enum Stream {
    Plain(TcpStream),
    Shaking(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    pub(super) fn new(
        stream: Stream,
        turn: Turn,
        is_over: bool,
        metrics: Arc<EdgeMetrics>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        let due = turn.due().unwrap_or_else(Instant::now);
        metrics.opened();
        Self {
            stream,
            turn: Arc::new(turn),
            alarm: Box::pin(tokio::time::sleep_until(due)),
            stalled: None,
            metrics,
            is_over,
            _room: room,
        }
    }

    pub(super) fn turn(&self) -> &Arc<Turn> {
        &self.turn
    }

    /// Tells whether it is one more than there may be.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Fails when a head is due and does not come.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(due) = self.turn.due() else {
            return Ok(());
        };
        if self.alarm.deadline() != due {
            self.alarm.as_mut().reset(due);
        }
        match self.alarm.as_mut().poll(context) {
            Poll::Ready(()) => {
                self.metrics.refused("header_timeout");
                Err(io::Error::from(io::ErrorKind::TimedOut))
            }
            Poll::Pending => Ok(()),
        }
    }

    /// Fails when a client reads nothing for too long.
    fn written<T>(
        &mut self,
        context: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        ready!(stalled.as_mut().poll(context));
        self.metrics.refused("write_timeout");
        Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.closed();
    }
}

impl Stream {
    /// Does `work` once the handshake is over.
    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        mut work: impl FnMut(Pin<&mut dyn Both>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        loop {
            match self {
                Self::Plain(stream) => return work(Pin::new(stream), context),
                Self::Tls(stream) => return work(Pin::new(&mut **stream), context),
                Self::Shaking(accept) => {
                    let stream = ready!(Pin::new(&mut **accept).poll(context))?;
                    *self = Self::Tls(Box::new(stream));
                }
            }
        }
    }
}

trait Both: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let before = buffer.filled().len();
        let read = |stream: Pin<&mut dyn Both>, context: &mut Context<'_>| {
            stream.poll_read(context, buffer)
        };
        ready!(self.stream.poll(context, read))?;
        if buffer.filled().len() > before {
            self.turn.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = |stream: Pin<&mut dyn Both>, context: &mut Context<'_>| {
            stream.poll_write(context, bytes)
        };
        let done = self.stream.poll(context, write);
        self.written(context, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = self
            .stream
            .poll(context, |stream, context| stream.poll_flush(context));
        self.written(context, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = self
            .stream
            .poll(context, |stream, context| stream.poll_shutdown(context));
        self.written(context, done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_of_an_answer_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _silent = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let turn = Turn::new(STALL, STALL);
        turn.begin();
        let room = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let metrics = Arc::new(EdgeMetrics::new());
        let mut connection = Connection::new(
            Stream::Plain(stream),
            turn,
            false,
            Arc::clone(&metrics),
            room,
        );
        let some = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = connection.write_all(&some).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(connection);
        let counted = metrics.encode();
        assert!(counted.contains("celeriac_http_connections 0"), "{counted}");
        assert!(counted.contains("write_timeout"), "{counted}");
    }
}
