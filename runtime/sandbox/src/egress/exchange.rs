//! One request and its answer, over a connection of their own.

use super::HEADER_BYTES;
use super::body::Answer;
use super::connect::{Connection, connect};
use super::policy::Target;
use super::session::Session;
use super::wire::Spent;
use crate::defence::{Defence, stands};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, Uri};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// Time without a byte of an answer, unless the guest says otherwise (60 s).
const SILENCE: Duration = Duration::from_secs(60);

/// What is still to be done for an answer that began.
pub(crate) type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;
/// An answer that began, and its rest.
pub(crate) type Begun = (Response<WasiBody>, Rest);

impl Session {
    /// Judges a request at once; the future sends it and waits for the answer.
    pub(crate) fn send(
        self: &Arc<Self>,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> impl Future<Output = Result<Begun, Error>> + Send + use<> {
        let uri = request.uri();
        let scheme = uri.scheme_str().unwrap_or("");
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let admitted = self.admit(request.method(), scheme, authority);
        let session = Arc::clone(self);
        async move { session.carry(admitted?, request, options).await }
    }

    pub(super) async fn carry(
        self: Arc<Self>,
        target: Target,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Begun, Error> {
        let options = options.unwrap_or_default();
        let slot = self.slot().await?;
        let limit = options.connect_timeout.unwrap_or(Duration::MAX);
        let request = self.finished(request, &target)?;
        let begun = match connect(&self, &target, limit).await? {
            Connection::Plain(stream) => self.exchange(stream, request, options, slot).await?,
            Connection::Secure(stream) => self.exchange(stream, request, options, slot).await?,
        };
        self.note(&target, begun.0.status().as_u16());
        Ok(begun)
    }

    pub(super) async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: &Arc<Self>,
        stream: S,
        request: Request<WasiBody>,
        options: RequestOptions,
        slot: OwnedSemaphorePermit,
    ) -> Result<Begun, Error> {
        let mut http = http1::Builder::new();
        if stands(Defence::AnswerHeaders) {
            http.max_buf_size(HEADER_BYTES);
        }
        let (mut sender, connection) = http
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.explain(&error))?;
        let mut connection = Box::pin(connection.fuse());
        let first_byte = patience(options.first_byte_timeout);
        let limit = self.within(first_byte);
        let answer = tokio::time::timeout(limit, async {
            let mut answer = Box::pin(sender.send_request(request));
            tokio::select! {
                answer = &mut answer => answer,
                ended = &mut connection => match ended {
                    Ok(()) => answer.await,
                    Err(error) => Err(error),
                },
            }
        });
        let answer = match answer.await {
            Ok(answer) => answer.map_err(|error| self.explain(&error))?,
            Err(_) => return Err(Error::ConnectionReadTimeout),
        };
        let silence = patience(options.between_bytes_timeout);
        let session = Arc::clone(self);
        let answer = answer.map(|body| Answer::new(body, session, silence).boxed_unsync());
        let rest = async move {
            if !futures_util::future::FusedFuture::is_terminated(&connection) {
                // The body of the answer tells the guest what went wrong.
                drop(connection.await);
            }
            drop(slot);
            Ok(())
        };
        Ok((answer, Box::new(rest)))
    }

    /// Makes a request what goes over the wire: the path alone in its first line, and
    /// the headers of the host in place.
    fn finished(
        &self,
        mut request: Request<WasiBody>,
        target: &Target,
    ) -> Result<Request<WasiBody>, Error> {
        let path = request.uri().path_and_query();
        let path = path.map_or("/", |path| path.as_str());
        let path = Uri::builder().path_and_query(path).build();
        *request.uri_mut() = path.map_err(|_| Error::HttpRequestUriInvalid)?;
        self.complete(request.headers_mut(), target)?;
        Ok(request)
    }

    /// Sets the headers that are the host's business, last of all: what is added here
    /// for a target is sent to it alone, and no guest sees it.
    fn complete(&self, headers: &mut HeaderMap, target: &Target) -> Result<(), Error> {
        let host = HeaderValue::try_from(target.authority());
        headers.insert(HOST, host.map_err(|_| Error::HttpRequestUriInvalid)?);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        for one in self.injected(target) {
            // Both were checked when the secrets were read.
            let name = HeaderName::try_from(&one.name).map_err(|_| Error::HttpProtocolError)?;
            let value = HeaderValue::try_from(one.value.expose());
            let mut value = value.map_err(|_| Error::HttpProtocolError)?;
            value.set_sensitive(true);
            headers.insert(name, value);
            self.secrets.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Returns what a guest hears of an error on the way.
    pub(super) fn explain(&self, error: &hyper::Error) -> Error {
        if let Some(Spent(way)) = spent(error) {
            return self.over(way);
        }
        if error.is_parse_too_large() {
            self.tell(&format!(
                "the headers of an answer by HTTP are larger than {HEADER_BYTES} bytes (fixed)"
            ));
            return Error::HttpResponseHeaderSectionSize(u32::try_from(HEADER_BYTES).ok());
        }
        if error.is_user() {
            return Error::InternalError(Some("the body of the request was given up".to_owned()));
        }
        if error.is_parse() {
            return Error::HttpProtocolError;
        }
        if error.is_incomplete_message() {
            return Error::HttpResponseIncomplete;
        }
        Error::ConnectionTerminated
    }
}

/// Returns how long an answer may be silent, by what the guest says.
fn patience(said: Option<Duration>) -> Duration {
    match stands(Defence::Silence) {
        true => said.unwrap_or(SILENCE),
        false => Duration::MAX,
    }
}

/// Finds bytes that were used up among the causes of an error.
fn spent(error: &hyper::Error) -> Option<Spent> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(spent) = inner.and_then(|inner| inner.downcast_ref::<Spent>()) {
            return Some(*spent);
        }
        cause = error.source();
    }
    None
}
