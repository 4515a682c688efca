//! Tasks that want more memory than there is.

use crate::{Answer, Task, bytes};
use core::arch::wasm32::{memory_grow, memory_size};
use std::hint::black_box;

const PAGE: usize = 64 << 10;

pub(crate) const TASKS: &[Task] = &[
    ("eat_memory", |_| eat_memory()),
    ("grow_page_by_page", |_| grow_page_by_page()),
    ("grow_at_once", |_| {
        bytes(memory_grow::<0>(65_000).to_string())
    }),
    ("fill_memory", |_| fill_memory()),
    ("use_40_mib", |_| use_mib(40)),
    ("use_nothing", |_| bytes("null")),
];

/// Allocates and touches 1 MiB after another, as a leak does.
fn eat_memory() -> Answer {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(black_box(vec![1; 1 << 20]));
    }
}

/// Grows for ever and looks away when it is told that there is no more.
fn grow_page_by_page() -> Answer {
    loop {
        black_box(memory_grow::<0>(1));
    }
}

/// Overwrites 60 MiB for ever, by one instruction each time.
fn fill_memory() -> Answer {
    let mut buffer = vec![0_u8; 60 << 20];
    loop {
        buffer.fill(black_box(7));
        black_box(&buffer);
    }
}

fn use_mib(mib: usize) -> Answer {
    black_box(vec![1_u8; mib << 20]);
    bytes((memory_size::<0>() * PAGE).to_string())
}
