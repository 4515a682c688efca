//! Attempts against stores that lose answers, and after deaths at any step.

mod ends;
mod repeats;
mod stand;
