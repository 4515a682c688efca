//! Attempts against stores that lose answers, and after deaths at any step.

mod ahead;
mod ends;
mod kills;
mod metering;
mod needed;
mod onces;
mod repeats;
mod revoked;
mod stand;
mod steered;
mod waits;
