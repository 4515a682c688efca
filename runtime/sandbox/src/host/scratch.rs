//! `celeriac:task/scratch`: files of this attempt, in the host's memory.

use super::Host;
use crate::bindings::celeriac::task::scratch::{Host as Files, ScratchError as Wire};
use crate::scratch::{Scratch, ScratchError};
use crate::uses::Capability;
use std::result::Result as Answer;
use wasmtime::Result;

impl Host {
    /// Counts a call, and returns the files where they are granted.
    fn files(&mut self) -> Answer<&mut Scratch, Wire> {
        self.used(Capability::Scratch);
        if self.scratch.room() == 0 {
            let denial = self.grants.no_scratch();
            return Err(Wire::Denied(self.denied(Capability::Scratch, denial)));
        }
        Ok(&mut self.scratch)
    }
}

impl Files for Host {
    fn write(&mut self, name: String, offset: u64, data: Vec<u8>) -> Result<Answer<(), Wire>> {
        let written = self
            .files()
            .and_then(|files| files.write(&name, offset, &data).map_err(wire));
        if written.is_ok() {
            self.moved(Capability::Scratch, 0, data.len());
        }
        Ok(written)
    }

    fn read(&mut self, name: String, offset: u64, length: u32) -> Result<Answer<Vec<u8>, Wire>> {
        let read = self
            .files()
            .and_then(|files| files.read(&name, offset, length).map_err(wire));
        if let Ok(data) = &read {
            self.moved(Capability::Scratch, data.len(), 0);
        }
        Ok(read)
    }

    fn size(&mut self, name: String) -> Result<Answer<u64, Wire>> {
        Ok(self
            .files()
            .and_then(|files| files.size(&name).map_err(wire)))
    }

    fn resize(&mut self, name: String, size: u64) -> Result<Answer<(), Wire>> {
        let files = self.files();
        Ok(files.and_then(|files| files.resize(&name, size).map_err(wire)))
    }

    fn remove(&mut self, name: String) -> Result<Answer<(), Wire>> {
        let files = self.files();
        Ok(files.and_then(|files| files.remove(&name).map_err(wire)))
    }

    fn names(&mut self) -> Result<Answer<Vec<String>, Wire>> {
        Ok(self.files().map(|files| files.names()))
    }
}

fn wire(error: ScratchError) -> Wire {
    match error {
        ScratchError::Missing => Wire::Missing,
        ScratchError::Full(reason) => Wire::Full(reason),
        ScratchError::Invalid(reason) => Wire::Invalid(reason),
    }
}
