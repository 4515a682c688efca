//! The xz container, as Python's `lzma.compress` writes it: blocks of LZMA2 between
//! a header and an index, each block with a check of its content.
//!
//! The index and the footer repeat what the blocks said; they are not read.

use super::{EXPANDED_BYTES, drain};
use lzma_rust2::Lzma2Reader;
use sha2::{Digest, Sha256};
use std::io;

/// How a stream begins.
pub(super) const MAGIC: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];
/// The filter that is read.
const LZMA2: u8 = 0x21;
/// Largest dictionary, bytes (64 MiB): what the highest preset asks for.
const DICTIONARY: u32 = 64 << 20;

/// Reads the first stream of a body; `None` where it is too much.
pub(super) fn read(body: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let (header, mut rest) = body.split_at_checked(12).ok_or_else(short)?;
    let check = match header {
        [_, _, _, _, _, _, 0, check, sum @ ..] if crc32(&[0, *check]) == sum => *check,
        _ => return Err(wrong("its header is broken")),
    };
    let mut all = Vec::new();
    loop {
        let size = rest.first().copied().ok_or_else(short)?;
        if size == 0 {
            return Ok(Some(all));
        }
        let (block, after) = rest
            .split_at_checked((usize::from(size) + 1) * 4)
            .ok_or_else(short)?;
        let dictionary = dictionary(block)?;
        let mut content = after;
        let Some(bytes) = drain(Lzma2Reader::new(&mut content, dictionary, None))? else {
            return Ok(None);
        };
        let used = after.len() - content.len();
        rest = content
            .split_at_checked(used.next_multiple_of(4) - used)
            .ok_or_else(short)?
            .1;
        let expected = sum(check, &bytes)?;
        rest = rest
            .strip_prefix(expected.as_slice())
            .ok_or_else(|| wrong("its check does not fit"))?;
        all.extend_from_slice(&bytes);
        if all.len() as u64 > EXPANDED_BYTES {
            return Ok(None);
        }
    }
}

/// The dictionary size that the header of a block asks for, once it is checked.
fn dictionary(block: &[u8]) -> io::Result<u32> {
    let (header, sum) = block.split_last_chunk::<4>().ok_or_else(short)?;
    if crc32(header) != *sum {
        return Err(wrong("the header of a block is broken"));
    }
    let mut rest = header.get(1..).unwrap_or_default();
    let [flags] = take(&mut rest)?;
    if flags & 0x3f != 0 {
        return Err(wrong("it has other filters than LZMA2"));
    }
    // Sizes that are repeated in the index.
    for bit in [0x40, 0x80] {
        if flags & bit != 0 {
            while take::<1>(&mut rest)?[0] & 0x80 != 0 {}
        }
    }
    let [LZMA2, 1, bits @ 0..=40] = take(&mut rest)? else {
        return Err(wrong("it has other filters than LZMA2"));
    };
    let size = match bits {
        40 => u32::MAX,
        bits => (2 | u32::from(bits & 1)) << (bits / 2 + 11),
    };
    match size {
        0..=DICTIONARY => Ok(size),
        _ => Err(wrong("its dictionary is larger than 64 MiB")),
    }
}

/// The check of a block's content, by its number in the header.
fn sum(check: u8, bytes: &[u8]) -> io::Result<Vec<u8>> {
    match check {
        0 => Ok(Vec::new()),
        1 => Ok(crc32(bytes).to_vec()),
        4 => Ok(crc64(bytes).to_le_bytes().to_vec()),
        10 => Ok(Sha256::digest(bytes).to_vec()),
        _ => Err(wrong("its check is of an unknown kind")),
    }
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

/// The CRC of ECMA-182, reflected.
fn crc64(bytes: &[u8]) -> u64 {
    let mut table = [0_u64; 256];
    for (byte, entry) in (0_u64..).zip(&mut table) {
        *entry = (0..8).fold(byte, |crc, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xC96C_5795_D787_0F42,
            _ => crc >> 1,
        });
    }
    !bytes.iter().fold(u64::MAX, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        let entry = table.get(usize::from(low ^ byte)).copied();
        (crc >> 8) ^ entry.unwrap_or_default()
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> io::Result<[u8; N]> {
    let (taken, after) = rest.split_first_chunk().ok_or_else(short)?;
    *rest = after;
    Ok(*taken)
}

fn short() -> io::Error {
    wrong("it ends too early")
}

fn wrong(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
