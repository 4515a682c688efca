//! Scratch files.

use crate::{Context, StoreError};

/// Most bytes of one call to the worker.
const CALL: usize = 1 << 20;

/// The scratch files of this attempt; see [`Context::scratch`].
#[derive(Debug, Clone, Copy)]
pub struct Scratch<'a> {
    pub(super) ctx: &'a Context,
}

impl Scratch<'_> {
    /// Writes bytes from an offset on. A file that is not there is made, a gap before the
    /// offset is filled with zeros.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn write(&self, name: &str, offset: u64, data: &[u8]) -> Result<(), StoreError> {
        if data.is_empty() {
            return self.ctx.backend.scratch_write(name, offset, data);
        }
        let mut at = offset;
        for part in data.chunks(CALL) {
            self.ctx.backend.scratch_write(name, at, part)?;
            at = at.saturating_add(part.len() as u64);
        }
        Ok(())
    }

    /// Reads at most so many bytes from an offset on: fewer at the end of the file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let mut data = Vec::new();
        loop {
            let part = u32::try_from((length - data.len()).min(CALL)).unwrap_or(u32::MAX);
            let at = offset.saturating_add(data.len() as u64);
            let more = self.ctx.backend.scratch_read(name, at, part)?;
            let is_end = more.is_empty();
            data.extend(more);
            if is_end || data.len() >= length {
                return Ok(data);
            }
        }
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read_all(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let size = usize::try_from(self.size(name)?).unwrap_or(usize::MAX);
        self.read(name, 0, size)
    }

    /// Returns the size of a file, bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn size(&self, name: &str) -> Result<u64, StoreError> {
        self.ctx.backend.scratch_size(name)
    }

    /// Cuts a file to a size, or fills it with zeros up to there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn resize(&self, name: &str, size: u64) -> Result<(), StoreError> {
        self.ctx.backend.scratch_resize(name, size)
    }

    /// Removes a file, and gives its room back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.ctx.backend.scratch_remove(name)
    }

    /// Returns the names of all files, in their order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        self.ctx.backend.scratch_names()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_and_read_in_parts() {
        let ctx = Context::test().build();
        let scratch = ctx.scratch();
        let data: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        scratch.write("a", 10, &data).unwrap();
        assert_eq!(scratch.size("a"), Ok(3_000_010));
        assert_eq!(scratch.read("a", 10, 9_000_000).unwrap(), data);
        scratch.resize("a", 12).unwrap();
        assert_eq!(scratch.read_all("a").unwrap()[10..], data[..2]);
        scratch.write("b", 0, &[]).unwrap();
        assert_eq!(scratch.names().unwrap(), ["a", "b"]);
        scratch.remove("a").unwrap();
        assert_eq!(scratch.size("a"), Err(StoreError::Missing));
    }
}
