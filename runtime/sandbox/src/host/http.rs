//! `wasi:http`, whose requests all go through [`egress`](crate::egress).

use super::Host;
use crate::attempt::Attempt;
use crate::cpu::Deadlines;
use crate::defence::{Defence, stands};
use crate::egress::{HEADER_BYTES, HttpUse, Session};
use crate::grants::Grants;
use crate::log::LogBook;
use hyper::http::HeaderName;
use hyper::{Request, header};
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest as _, Method};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest as Outgoing;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx,
    WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

/// Bytes a guest may write at once to the body of a request.
const WRITE_BYTES: usize = 64 << 10;

/// Headers that belong to a connection, beside those that the engine forbids, and
/// one that would make a server wait.
const FORBIDDEN: [HeaderName; 3] = [header::TE, header::TRAILER, header::EXPECT];

/// Outgoing HTTP of one attempt, made when the guest first asks for it.
pub(super) struct Http {
    grants: Arc<Grants>,
    open: Option<(WasiHttpCtx, Hooks)>,
}

struct Hooks(Arc<Session>);

impl Http {
    pub(super) fn new(grants: Arc<Grants>) -> Self {
        Self { grants, open: None }
    }

    /// Returns how many headers with secrets it sent.
    pub(super) fn secrets(&self) -> u64 {
        let open = self.open.as_ref();
        open.map_or(0, |(_, hooks)| hooks.0.secrets())
    }

    /// Returns what was done by it.
    pub(super) fn used(&self) -> HttpUse {
        let open = self.open.as_ref();
        open.map_or_else(HttpUse::default, |(_, hooks)| hooks.0.used())
    }

    fn open(
        &mut self,
        attempt: &Attempt,
        log: &LogBook,
        deadlines: &Deadlines,
    ) -> &mut (WasiHttpCtx, Hooks) {
        let grants = &self.grants;
        self.open.get_or_insert_with(|| {
            let mut ctx = WasiHttpCtx::new();
            if stands(Defence::RequestHeaders) {
                ctx.set_field_size_limit(HEADER_BYTES);
            }
            let session = Session::new(
                attempt.egress.clone(),
                grants.http.clone(),
                grants.place.clone(),
                log.clone(),
                deadlines.hard,
            )
            .with_headers(grants.inject.clone())
            .after(attempt.http_used);
            (ctx, Hooks(Arc::new(session)))
        })
    }
}

/// The interface of requests, as the engine's crate names it.
const TYPES: &str = "wasi:http/types@0.2.12";
/// Longest method of a request, bytes: the longest that is registered has 17.
const METHOD_BYTES: usize = 64;
/// Longest server and port of a request, bytes: a name has at most 253.
const AUTHORITY_BYTES: usize = 512;

/// Bounds what a guest writes into requests that it never sends: the engine keeps a
/// method and an authority of any length, and neither is memory of the guest.
pub(super) fn bound(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: StoreContextMut<'_, Host>, (request, method): (Resource<Outgoing>, Method)| {
            let is_long = matches!(&method, Method::Other(name) if name.len() > METHOD_BYTES);
            Ok((match is_long {
                true => Err(()),
                false => store.data_mut().http().set_method(request, method)?,
            },))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: StoreContextMut<'_, Host>,
         (request, authority): (Resource<Outgoing>, Option<String>)| {
            let is_long = authority
                .as_ref()
                .is_some_and(|text| text.len() > AUTHORITY_BYTES);
            Ok((match is_long {
                true => Err(()),
                false => store.data_mut().http().set_authority(request, authority)?,
            },))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.called();
        let (ctx, hooks) = self.http.open(&self.attempt, &self.log, &self.deadlines);
        WasiHttpCtxView {
            ctx,
            hooks,
            table: &mut self.table,
        }
    }
}

impl WasiHttpHooks for Hooks {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        if !stands(Defence::Forbidden) {
            return Arc::new(|_| false);
        }
        Arc::new(|name| DEFAULT_FORBIDDEN_HEADERS.contains(name) || FORBIDDEN.contains(name))
    }

    /// It is set from what was judged.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        WRITE_BYTES
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        Box::new(self.0.send(request, options))
    }
}

type Sending = Box<dyn Future<Output = Result<crate::egress::Begun, Error>> + Send>;
