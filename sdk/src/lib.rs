//! Celeriac.
