//! The guest's allocator: it starts in memory that is there from the beginning.
//!
//! Rust's own allocator grows the memory at the first allocation of every instance. That costs the
//! worker two system calls per task, which stall its other cores too; a small task that lives in
//! the arena costs none. Past the arena memory grows in steps that grow with it.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

/// Bytes of the arena: room for a task of some KiB of arguments. A worker keeps it resident.
const ARENA: usize = 64 * 1024;

/// Bytes of a page of Wasm memory.
const PAGE: usize = 64 * 1024;

/// The most pages asked for over what is needed (1 MiB): foresight must not run into the limit.
const MAX_SPARE_PAGES: usize = 16;

/// Of the pages grown so far, the part that the next step asks for over what it needs.
const SPARE_PART: usize = 4;

/// Bytes over the wanted size and alignment that hold the allocator's own tags.
const SLACK: usize = 64;

static mut FIRST: [MaybeUninit<u8>; ARENA] = [MaybeUninit::uninit(); ARENA];

#[global_allocator]
static ALLOCATOR: TalcSyncCell<ArenaThenGrow, WasmBinning> =
    TalcSyncCell::new_wasm(ArenaThenGrow::new());

/// Gives the allocator the arena first and grown memory after.
#[derive(Debug)]
struct ArenaThenGrow {
    arena_taken: bool,
    grown_pages: usize,
    /// The end of the memory grown last, where the next may join it.
    end: Option<NonNull<u8>>,
}

impl ArenaThenGrow {
    const fn new() -> Self {
        Self {
            arena_taken: false,
            grown_pages: 0,
            end: None,
        }
    }
}

#[expect(unsafe_code, reason = "an allocator hands out raw memory")]
// SAFETY: `acquire` allocates nothing through the global allocator.
unsafe impl Source for ArenaThenGrow {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if !talc.source.arena_taken {
            talc.source.arena_taken = true;
            // SAFETY: nothing else ever touches `FIRST`.
            unsafe { talc.claim((&raw mut FIRST).cast(), ARENA) };
            return Ok(());
        }
        let needed = layout
            .size()
            .saturating_add(layout.align())
            .saturating_add(SLACK)
            .div_ceil(PAGE);
        let spare = (talc.source.grown_pages / SPARE_PART).min(MAX_SPARE_PAGES);
        let (base, pages) = grow(needed + spare).or_else(|| grow(needed)).ok_or(())?;
        talc.source.grown_pages += pages;
        let size = pages * PAGE;
        talc.source.end = match talc.source.end.take() {
            // SAFETY: the heap ends at `end`, and the pages after it are new and nobody else's.
            Some(end) if end.as_ptr() == base => Some(unsafe { talc.extend(end, base.add(size)) }),
            // SAFETY: the pages are new and nobody else's.
            _ => unsafe { talc.claim(base, size) },
        };
        talc.source.end.map(|_| ()).ok_or(())
    }
}

/// Grows the memory; returns where the new pages start, and how many they are.
fn grow(pages: usize) -> Option<(*mut u8, usize)> {
    let before = core::arch::wasm32::memory_grow::<0>(pages);
    (before != usize::MAX).then(|| ((before * PAGE) as *mut u8, pages))
}
