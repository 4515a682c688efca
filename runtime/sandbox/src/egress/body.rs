//! The body of an answer, as a guest reads it: it ends when nothing comes for too
//! long, and says why it ended.

use super::session::Session;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;
use wasmtime_wasi_http::Error;

#[derive(Debug)]
pub(super) struct Answer {
    body: Incoming,
    session: Arc<Session>,
    silence: Duration,
    /// Runs from when the guest found nothing: a guest that does not look is not
    /// kept waiting.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    pub(super) fn new(body: Incoming, session: Arc<Session>, silence: Duration) -> Self {
        Self {
            body,
            session,
            silence,
            waiting: None,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = None;
            let session = &self.session;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| session.explain(&error))));
        }
        let silence = self.session.within(self.silence);
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
