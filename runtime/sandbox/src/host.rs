//! The host's side of an attempt: what a guest's imports see.
//!
//! One file per interface of the world. Every value a guest passes in is
//! hostile: lengths are checked, numbers clamped, texts escaped.

mod ambient;
mod canvas;
mod context;
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
use crate::grants::Grants;
use crate::invoke::Tally;
use crate::limits::Limits;
use crate::log::LogBook;
use crate::outcome::Interruption;
use crate::scratch::Scratch;
use crate::submit::Outbox;
use std::time::Instant;
use stores::StoreUses;
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
    pub(crate) grants: Grants,
    pub(crate) scratch: Scratch,
    /// What was read and kept, counted.
    pub(crate) stores: StoreUses,
    pub(crate) table: ResourceTable,
    /// Made when the guest first asks for WASI: most calls never do.
    wasi: Option<WasiCtx>,
}

impl Host {
    pub(crate) fn new(
        attempt: Attempt,
        limits: &Limits,
        grants: Grants,
        deadlines: Deadlines,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            log: LogBook::new(limits, attempt.log_level),
            progress: progress::Board::new(limits, &attempt),
            tally: Tally::new(limits.memory),
            outbox: Outbox::new(grants.clone(), limits.arguments_bytes),
            scratch: Scratch::new(grants.scratch),
            stores: StoreUses::default(),
            grants,
            deadlines,
            attempt,
            table,
            wasi: None,
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

/// Makes the linker that serves every guest: the world's interfaces, drafts of
/// WASI, and WASI 0.2, the last denied by construction (see `wasi`).
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    Task::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
    Drafts::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}
