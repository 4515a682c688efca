//! Files of one attempt, in the host's memory.
//!
//! They are kept in blocks, so that a file that grows byte by byte is never copied, and
//! the room is counted in whole blocks: what is counted is what is held.

use std::collections::BTreeMap;

/// Unit in which room is counted, bytes.
const BLOCK: usize = 4 << 10;
/// Most files of one attempt.
pub(crate) const SCRATCH_FILES: usize = 1_000;
/// Longest name of a file, bytes.
pub(crate) const SCRATCH_NAME_BYTES: usize = 255;
/// Most bytes of one read or write.
pub(crate) const SCRATCH_CALL_BYTES: usize = 1 << 20;

/// Why a file cannot be used so; the texts are for the guest's author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScratchError {
    Missing,
    Full(String),
    Invalid(String),
}

/// The files of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    files: BTreeMap<String, File>,
    /// Room there is, bytes.
    room: u64,
    blocks: u64,
}

#[derive(Debug, Default)]
struct File {
    blocks: Vec<Box<[u8]>>,
    size: usize,
}

impl Scratch {
    pub(crate) fn new(room: u64) -> Self {
        Self {
            room,
            ..Self::default()
        }
    }

    pub(crate) fn room(&self) -> u64 {
        self.room
    }

    pub(crate) fn write(
        &mut self,
        name: &str,
        offset: u64,
        data: &[u8],
    ) -> Result<(), ScratchError> {
        fits_a_call(data.len())?;
        let end = offset.saturating_add(data.len() as u64);
        let size = self.files.get(name).map_or(0, |file| file.size as u64);
        self.make(name, end.max(size))?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        if let Some(file) = self.files.get_mut(name) {
            file.put(from, data);
        }
        Ok(())
    }

    pub(crate) fn read(
        &self,
        name: &str,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, ScratchError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        fits_a_call(length)?;
        let file = self.files.get(name).ok_or(ScratchError::Missing)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(file.take(from, length))
    }

    pub(crate) fn size(&self, name: &str) -> Result<u64, ScratchError> {
        let file = self.files.get(name).ok_or(ScratchError::Missing)?;
        Ok(file.size as u64)
    }

    pub(crate) fn resize(&mut self, name: &str, size: u64) -> Result<(), ScratchError> {
        self.make(name, size)
    }

    pub(crate) fn remove(&mut self, name: &str) -> Result<(), ScratchError> {
        let file = self.files.remove(name).ok_or(ScratchError::Missing)?;
        self.blocks = self.blocks.saturating_sub(blocks(file.size as u64));
        Ok(())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    /// Gives a file a size, if there is room for it, and makes it where it is missing.
    fn make(&mut self, name: &str, size: u64) -> Result<(), ScratchError> {
        let known = self.files.get(name);
        if known.is_none() {
            is_a_name(name)?;
            if self.files.len() >= SCRATCH_FILES {
                return Err(ScratchError::Full(format!(
                    "an attempt has at most {SCRATCH_FILES} scratch files (fixed)"
                )));
            }
        }
        let held = known.map_or(0, |file| blocks(file.size as u64));
        let others = self.blocks.saturating_sub(held);
        let wanted = blocks(size);
        if others.saturating_add(wanted) > self.room / BLOCK as u64 {
            return Err(ScratchError::Full(format!(
                "the scratch files of an attempt have room for {} bytes, counted in blocks of {BLOCK}; the operator raises it by scratch in [grants]",
                self.room
            )));
        }
        self.blocks = others + wanted;
        let file = self.files.entry(name.to_owned()).or_default();
        file.resize(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(())
    }
}

impl File {
    /// The size was checked: so many blocks are allowed.
    fn resize(&mut self, size: usize) {
        let wanted = size.div_ceil(BLOCK);
        self.blocks.truncate(wanted);
        // What was cut off is not to be seen again when the file grows.
        let rest = size % BLOCK;
        let is_cut = size < self.size && rest > 0;
        if let Some(last) = self.blocks.last_mut().filter(|_| is_cut) {
            last.iter_mut().skip(rest).for_each(|byte| *byte = 0);
        }
        while self.blocks.len() < wanted {
            self.blocks.push(vec![0; BLOCK].into_boxed_slice());
        }
        self.size = size;
    }

    fn put(&mut self, from: usize, mut data: &[u8]) {
        let mut skipped = from % BLOCK;
        for block in self.blocks.iter_mut().skip(from / BLOCK) {
            let room = block.get_mut(skipped..).unwrap_or_default();
            let part = room.len().min(data.len());
            let (now, later) = data.split_at(part);
            if let Some(room) = room.get_mut(..part) {
                room.copy_from_slice(now);
            }
            (data, skipped) = (later, 0);
            if data.is_empty() {
                return;
            }
        }
    }

    fn take(&self, from: usize, length: usize) -> Vec<u8> {
        let length = length.min(self.size.saturating_sub(from));
        let mut data = Vec::with_capacity(length);
        let mut skipped = from % BLOCK;
        for block in self.blocks.iter().skip(from / BLOCK) {
            let part = block.get(skipped..).unwrap_or_default();
            let left = length - data.len();
            data.extend_from_slice(part.get(..left).unwrap_or(part));
            skipped = 0;
            if data.len() >= length {
                break;
            }
        }
        data
    }
}

/// How many blocks a file is counted as: an empty one as one, for its name.
fn blocks(size: u64) -> u64 {
    size.div_ceil(BLOCK as u64).max(1)
}

fn fits_a_call(bytes: usize) -> Result<(), ScratchError> {
    if bytes <= SCRATCH_CALL_BYTES {
        return Ok(());
    }
    Err(ScratchError::Invalid(format!(
        "one call reads or writes at most {SCRATCH_CALL_BYTES} bytes (fixed), not {bytes}"
    )))
}

fn is_a_name(name: &str) -> Result<(), ScratchError> {
    if !name.is_empty() && name.len() <= SCRATCH_NAME_BYTES && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(ScratchError::Invalid(format!(
        "the name of a scratch file has 1 to {SCRATCH_NAME_BYTES} bytes and no control characters"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_across_blocks_and_gaps_are_zeros() {
        let mut scratch = Scratch::new(1 << 20);
        let data: Vec<u8> = (0..10_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        scratch.write("a", 5_000, &data).unwrap();
        assert_eq!(scratch.size("a"), Ok(15_000));
        assert_eq!(scratch.read("a", 0, 5_000).unwrap(), vec![0; 5_000]);
        assert_eq!(scratch.read("a", 5_000, 20_000).unwrap(), data);
        assert_eq!(scratch.read("a", 14_999, 10).unwrap(), data[9_999..]);
        for offset in [15_000, 15_001, 1 << 40, u64::MAX] {
            assert!(scratch.read("a", offset, 10).unwrap().is_empty());
        }
        scratch.write("a", 4_095, b"xy").unwrap();
        assert_eq!(scratch.read("a", 4_094, 4).unwrap(), b"\0xy\0");
        assert_eq!(scratch.size("a"), Ok(15_000));
    }

    #[test]
    fn what_was_cut_off_is_not_seen_again() {
        let mut scratch = Scratch::new(1 << 20);
        scratch.write("a", 0, &[7; 9_000]).unwrap();
        scratch.resize("a", 10).unwrap();
        scratch.resize("a", 9_000).unwrap();
        let mut cut = vec![7; 10];
        cut.resize(9_000, 0);
        assert_eq!(scratch.read("a", 0, 9_000).unwrap(), cut);
    }

    #[test]
    fn scratch_files_end_at_their_room_and_give_it_back() {
        let mut scratch = Scratch::new(64 << 10);
        let full = |answer: Result<(), ScratchError>| matches!(answer, Err(ScratchError::Full(_)));
        scratch.write("a", 0, &[1; 60 << 10]).unwrap();
        assert!(full(scratch.write("a", 60 << 10, &[1; 4097])));
        assert!(full(scratch.write("a", u64::MAX, b"x")));
        assert!(full(scratch.resize("b", 1 << 60)));
        // What found no room left nothing behind.
        assert_eq!(scratch.names(), ["a"]);
        assert_eq!(scratch.size("a"), Ok(60 << 10));
        scratch.write("b", 0, &[]).unwrap();
        assert!(full(scratch.write("c", 0, &[])));
        scratch.remove("a").unwrap();
        assert_eq!(scratch.remove("a"), Err(ScratchError::Missing));
        scratch.write("c", 0, &[1; 60 << 10]).unwrap();
        assert_eq!(scratch.names(), ["b", "c"]);
    }

    #[test]
    fn the_thousand_and_first_file_and_names_that_are_none_are_refused() {
        let mut scratch = Scratch::new(1 << 30);
        for number in 0..SCRATCH_FILES {
            scratch.write(&number.to_string(), 0, b"x").unwrap();
        }
        assert!(matches!(
            scratch.write("more", 0, b"x"),
            Err(ScratchError::Full(_))
        ));
        scratch.write("7", 1, b"y").unwrap();
        scratch.remove("7").unwrap();
        let long = "x".repeat(SCRATCH_NAME_BYTES + 1);
        for name in ["", "a\nb", &long] {
            assert!(matches!(
                scratch.write(name, 0, b"x"),
                Err(ScratchError::Invalid(_))
            ));
        }
        scratch.write(&long[1..], 0, b"x").unwrap();
        let large = vec![0; SCRATCH_CALL_BYTES + 1];
        assert!(matches!(
            scratch.write("9", 0, &large),
            Err(ScratchError::Invalid(_))
        ));
        assert!(matches!(
            scratch.read("9", 0, u32::MAX),
            Err(ScratchError::Invalid(_))
        ));
        scratch.write("9", 0, &large[1..]).unwrap();
    }
}
