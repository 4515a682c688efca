//! A place in bytes, which never leaves them.

use super::BodyError;

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_at_end(self) -> bool {
        self.0.is_empty()
    }

    /// Takes so many bytes.
    pub(super) fn take(&mut self, count: u64) -> Result<&'a [u8], BodyError> {
        let count = usize::try_from(count).map_err(|_| short())?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, BodyError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], BodyError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(short)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Takes what stands before the next line feed, and the line feed.
    pub(super) fn line(&mut self) -> Result<&'a [u8], BodyError> {
        let end = self.0.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or_else(short)? as u64)?;
        self.byte()?;
        Ok(line)
    }
}

fn short() -> BodyError {
    BodyError::malformed("the body ends in the middle of a value")
}
