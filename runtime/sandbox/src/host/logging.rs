//! `celeriac:task/log`: lines for people.

use super::Host;
use crate::bindings::celeriac::task::log::{Host as Logging, Level as Wire};
use crate::log::Level;
use wasmtime::Result;

impl Logging for Host {
    fn enabled(&mut self, level: Wire) -> Result<bool> {
        Ok(self.log.enabled(read(level)))
    }

    fn emit(&mut self, level: Wire, message: String, fields: Vec<(String, String)>) -> Result<()> {
        self.log.emit(read(level), &message, &fields);
        Ok(())
    }
}

fn read(level: Wire) -> Level {
    match level {
        Wire::Trace => Level::Trace,
        Wire::Debug => Level::Debug,
        Wire::Info => Level::Info,
        Wire::Warn => Level::Warn,
        Wire::Error => Level::Error,
    }
}
