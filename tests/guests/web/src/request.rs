//! Requests over `wasi:http`, as plainly as it allows.

use celeriac_sdk::TaskError;
use std::collections::BTreeMap;
use std::fmt::Debug;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::streams::StreamError;

/// Most bytes that are read or written at once.
const PIECE: usize = 4096;

/// A body: some bytes, so often.
pub(crate) struct Body<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) times: usize,
}

/// A request under way.
pub(crate) struct Pending(FutureIncomingResponse);

/// An answer whose body is still to be read.
pub(crate) struct Answer(IncomingResponse);

/// Makes a failure of what the host says.
pub(crate) fn failed(error: impl Debug) -> TaskError {
    TaskError::fail("HttpError", format!("{error:?}"))
}

/// Begins to get a URL.
pub(crate) fn get(url: &str) -> Result<Pending, TaskError> {
    send(url, &[], None)
}

/// Begins a request; with a body it is a POST, and the body is sent before this returns.
pub(crate) fn send(
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Body<'_>>,
) -> Result<Pending, TaskError> {
    let fields = Fields::new();
    for (name, value) in headers {
        fields.append(name, value.as_bytes()).map_err(failed)?;
    }
    let request = OutgoingRequest::new(fields);
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let refused = |()| failed("no such request");
    request.set_scheme(Some(&scheme)).map_err(refused)?;
    request.set_authority(Some(authority)).map_err(refused)?;
    request.set_path_with_query(Some(path)).map_err(refused)?;
    let Some(body) = body else {
        return handle(request, None).map(Pending).map_err(failed);
    };
    request.set_method(&Method::Post).map_err(refused)?;
    let outgoing = request.body().map_err(refused)?;
    let pending = handle(request, None).map(Pending).map_err(failed)?;
    let stream = outgoing.write().map_err(refused)?;
    for _ in 0..body.times {
        for piece in body.bytes.chunks(PIECE) {
            // The answer tells why nobody takes more.
            if stream.blocking_write_and_flush(piece).is_err() {
                return Ok(pending);
            }
        }
    }
    drop(stream);
    OutgoingBody::finish(outgoing, None).map_err(failed)?;
    Ok(pending)
}

impl Pending {
    /// Waits for the answer.
    pub(crate) fn wait(self) -> Result<Answer, TaskError> {
        self.0.subscribe().block();
        let answer = self.0.get().ok_or_else(|| failed("no answer"))?;
        let answer = answer.map_err(|()| failed("no answer twice"))?;
        answer.map(Answer).map_err(failed)
    }
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0.status()
    }

    pub(crate) fn headers(&self) -> BTreeMap<String, String> {
        let entries = self.0.headers().entries().into_iter();
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        entries.map(|(name, value)| (name, text(value))).collect()
    }

    /// Reads the body.
    pub(crate) fn text(self) -> Result<String, TaskError> {
        let mut text = Vec::new();
        self.read(|bytes| text.extend_from_slice(bytes))?;
        String::from_utf8(text).map_err(failed)
    }

    /// Reads the body piece by piece.
    pub(crate) fn read(self, mut each: impl FnMut(&[u8])) -> Result<(), TaskError> {
        let body = self.0.consume().map_err(|()| failed("no body"))?;
        let stream = body.stream().map_err(|()| failed("no body"))?;
        loop {
            match stream.blocking_read(PIECE as u64) {
                Ok(bytes) => each(&bytes),
                Err(StreamError::Closed) => return Ok(()),
                Err(StreamError::LastOperationFailed(error)) => {
                    let code = wasip2::http::types::http_error_code(&error);
                    return Err(code.map_or_else(|| failed(error.to_debug_string()), failed));
                }
            }
        }
    }
}
