//! Sizes and times as tests write them.

use std::time::Duration;

/// Returns so many kibibytes in bytes.
#[must_use]
pub const fn kib(n: u64) -> u64 {
    n << 10
}

/// Returns so many mebibytes in bytes.
#[must_use]
pub const fn mib(n: u64) -> u64 {
    n << 20
}

/// Returns so many milliseconds.
#[must_use]
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
