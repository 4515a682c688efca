//! The one binary.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Many threads free here what others allocated, where glibc's allocator is slow.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    celeriac::cli::main()
}
