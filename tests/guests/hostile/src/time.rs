//! Tasks that do not come to an end by themselves, or end abruptly.

use crate::bindings::celeriac::task::context;
use crate::{Answer, Task, bytes};
use std::hint::black_box;
use std::time::Duration;

pub(crate) const TASKS: &[Task] = &[
    ("spin", |_| spin()),
    ("recurse", |_| bytes(recurse(1).to_string())),
    ("sleep_in_context", |_| sleep_in_context()),
    ("sleep_in_wasi", |_| sleep_in_wasi()),
    ("poll_for_ever", |_| poll_for_ever()),
    ("wait_zero_for_ever", |_| wait_zero_for_ever()),
    ("ignore_interruptions", |_| ignore_interruptions()),
    ("unreachable", |_| core::arch::wasm32::unreachable()),
    ("panic", |_| {
        panic!("the text of a panic, with a number: {}", black_box(42))
    }),
    ("exit_0", |_| std::process::exit(0)),
    ("exit_1", |_| std::process::exit(1)),
    ("abort", |_| std::process::abort()),
];

fn spin() -> Answer {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

#[allow(unconditional_recursion)]
fn recurse(n: u64) -> u64 {
    let frame = black_box([n; 64]);
    recurse(black_box(n + 1)) + frame[(n % 64) as usize]
}

/// Waits again and again, so that a wait that returns early is no way out.
fn sleep_in_context() -> Answer {
    loop {
        let _ = context::wait(u64::MAX);
    }
}

fn sleep_in_wasi() -> Answer {
    std::thread::sleep(Duration::from_secs(3600));
    bytes("null")
}

fn poll_for_ever() -> Answer {
    while context::interrupted().is_none() {}
    spin()
}

fn wait_zero_for_ever() -> Answer {
    loop {
        let _ = context::wait(0);
    }
}

/// Sleeps on whatever the host asks for.
fn ignore_interruptions() -> Answer {
    loop {
        if context::wait(10).is_some() {
            black_box(());
        }
    }
}
