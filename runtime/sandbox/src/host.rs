//! The host's side of an attempt: what a guest's imports see.
//!
//! One file per interface of the world. Every value a guest passes in is
//! hostile: lengths are checked, numbers clamped, texts escaped.

mod ambient;
mod canvas;
mod context;
mod http;
pub(crate) mod key_value;
mod logging;
mod progress;
mod scratch;
mod secrets;
pub(crate) mod stores;
pub(crate) mod submit;
mod values;
mod wasi;

use crate::attempt::Attempt;
use crate::bindings::Task;
use crate::bindings::drafts::Drafts;
use crate::cpu::Deadlines;
use crate::defence::{Defence, stands};
use crate::egress::HttpUse;
use crate::grants::Grants;
use crate::invoke::Tally;
use crate::limits::Limits;
use crate::log::LogBook;
use crate::outcome::Interruption;
use crate::scratch::Scratch;
use crate::submit::Outbox;
use crate::uses::{Use, Uses};
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::WasiCtx;

/// Open handles of one guest: streams, pollables, jobs. Far above honest use,
/// far below what makes a poll over all of them slow.
const HANDLES: usize = 1_024;

/// The data of one store: everything the host knows about one attempt.
pub(crate) struct Host {
    pub(crate) attempt: Attempt,
    pub(crate) deadlines: Deadlines,
    pub(crate) tally: Tally,
    pub(crate) log: LogBook,
    pub(crate) progress: progress::Board,
    pub(crate) outbox: Outbox,
    /// What it did with its grants.
    pub(crate) uses: Uses,
    /// Calls of functions of the host, ours and WASI's.
    pub(crate) calls: u64,
    pub(crate) grants: Arc<Grants>,
    pub(crate) scratch: Scratch,
    pub(crate) table: ResourceTable,
    /// Made when the guest first asks for WASI: most calls never do.
    wasi: Option<WasiCtx>,
    http: http::Http,
}

impl Host {
    pub(crate) fn new(
        attempt: Attempt,
        limits: &Limits,
        grants: Grants,
        deadlines: Deadlines,
    ) -> Self {
        let mut table = ResourceTable::new();
        if stands(Defence::Table) {
            table.set_max_capacity(HANDLES);
        }
        // Most guests ask for nothing that is granted: it is shared, not copied.
        let grants = Arc::new(grants);
        let http = http::Http::new(Arc::clone(&grants));
        Self {
            http,
            log: LogBook::new(limits, attempt.log_level),
            progress: progress::Board::new(limits, &attempt),
            tally: Tally::new(limits.memory),
            outbox: Outbox::new(Arc::clone(&grants), limits.arguments_bytes),
            uses: Uses::default(),
            calls: 0,
            scratch: Scratch::new(match stands(Defence::Scratch) {
                true => grants.scratch,
                false => u64::MAX,
            }),
            grants,
            deadlines,
            attempt,
            table,
            wasi: None,
        }
    }

    /// Counts a call. Every call of a function of the host comes through here once, or
    /// through the view of WASI: Wasmtime's own hook would count the engine's helpers too,
    /// such as those that copy memory.
    pub(crate) fn called(&mut self) -> &mut Self {
        self.calls = self.calls.saturating_add(1);
        self
    }

    /// Returns what the guest did by HTTP, as a use of its grant.
    pub(crate) fn http_use(&self) -> Use {
        let HttpUse {
            requests,
            denied,
            bytes_in,
            bytes_out,
        } = self.http.used();
        Use {
            calls: requests.saturating_sub(denied),
            denied,
            bytes_in,
            bytes_out,
        }
    }

    /// Returns how many secrets the host put into its requests.
    pub(crate) fn secrets_sent(&self) -> Use {
        Use {
            calls: self.http.secrets(),
            ..Use::default()
        }
    }

    /// Tells whether the guest is asked to stop, and why.
    pub(crate) fn interrupted(&self) -> Option<Interruption> {
        self.attempt.interrupt.raised().or_else(|| {
            let soft = self.deadlines.soft?;
            (Instant::now() >= soft).then_some(Interruption::SoftLimit)
        })
    }
}

/// Makes the linker that serves every guest: the world's interfaces, drafts of WASI, and
/// WASI 0.2, the last denied by construction (see `wasi`) or without a grant (see `http`).
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    Task::add_to_linker::<_, HasSelf<_>>(&mut linker, Host::called)?;
    Drafts::add_to_linker::<_, HasSelf<_>>(&mut linker, Host::called)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    http::bound(&mut linker)?;
    Ok(linker)
}
