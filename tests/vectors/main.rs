//! What Celery and kombu really wrote, held against what we read and write.
//!
//! `README.md` tells what the captures beside this file are. They are evidence:
//! where a test and a capture differ, the product is wrong, or the difference is
//! written down in a table here.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod broadcasts;
mod capture;
mod documents;
mod formats;
mod hostile;
mod messages;
mod written;
