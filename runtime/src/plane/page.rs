//! Lists come in pages.

/// Most entries of a page (1,000).
pub const PAGE: u32 = 1_000;
/// Entries of a page whose request names no number (100).
pub const PAGE_DEFAULT: u32 = 100;
