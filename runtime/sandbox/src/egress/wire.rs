//! A connection whose bytes are counted, below TLS: what is counted is what the
//! network carries, so that no kind of answer goes uncounted.

use super::session::{Session, Way};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    session: Arc<Session>,
}

/// What a connection fails with when its bytes are used up.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no more bytes may go this way")]
pub(super) struct Spent(pub(super) Way);

impl Wire {
    pub(super) fn new(stream: TcpStream, session: Arc<Session>) -> Self {
        Self { stream, session }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let left = self.session.left(Way::In);
        let answer = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        self.session.count(Way::In, read);
        // At most one buffer is read beyond the limit, and not handed on.
        if u64::try_from(read).unwrap_or(u64::MAX) > left {
            return Poll::Ready(Err(io::Error::other(Spent(Way::In))));
        }
        answer
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let left = usize::try_from(self.session.left(Way::Out)).unwrap_or(usize::MAX);
        if left == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::Error::other(Spent(Way::Out))));
        }
        let bytes = bytes.get(..left.min(bytes.len())).unwrap_or(bytes);
        let answer = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = &answer {
            self.session.count(Way::Out, *written);
        }
        answer
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
