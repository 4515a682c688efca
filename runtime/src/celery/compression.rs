//! Compressed bodies: one decoder for each kind that kombu knows.
//!
//! Decoding streams, and ends at [`EXPANDED_BYTES`] whatever the body promises.

mod xz;

use super::body::BodyError;
use super::message::Message;
use crate::defence::{Defence, stands};
use bytes::Bytes;
use ruzstd::decoding::StreamingDecoder;
use serde_json::Value;
use std::io::{self, Read};

/// Largest body when it is expanded, bytes (64 MiB): four times the largest message.
pub const EXPANDED_BYTES: u64 = 64 << 20;
/// Most memory an LZMA stream may ask for beside its output, KiB (65 MiB): what the
/// highest of its presets needs.
const LZMA_KIB: u32 = 65 << 10;
/// Largest window of a Zstandard frame, bytes (64 MiB): none needs more than the body.
const ZSTD_WINDOW: u64 = EXPANDED_BYTES;
/// Room of brotli's reader for its input, bytes.
const BROTLI_BUFFER: usize = 4 << 10;

/// The kinds, each with its name in the header and kombu's other names for it.
const KINDS: [(Kind, &[&str]); 5] = [
    (Kind::Zlib, &["application/x-gzip", "gzip", "zlib"]),
    (Kind::Bzip2, &["application/x-bz2", "bzip2", "bzip"]),
    (Kind::Xz, &["application/x-lzma", "lzma", "xz"]),
    (Kind::Brotli, &["application/x-brotli", "brotli"]),
    (Kind::Zstd, &["application/zstd", "zstd", "zstandard"]),
];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Zlib,
    Bzip2,
    Xz,
    Brotli,
    Zstd,
}

/// Returns the header that says how a body is compressed, if it is.
pub(super) fn of(message: &Message) -> Option<&Value> {
    message
        .headers
        .get("compression")
        .filter(|kind| !kind.is_null() && *kind != "")
}

/// Expands a body.
pub(super) fn expand(kind: &Value, body: &[u8]) -> Result<Bytes, BodyError> {
    let mut kinds = KINDS.into_iter();
    let known = kinds.find(|(_, names)| kind.as_str().is_some_and(|kind| names.contains(&kind)));
    let Some((known, names)) = known else {
        let kind: String = kind.to_string().chars().take(80).collect();
        let kinds = KINDS.map(|(_, names)| *names.first().unwrap_or(&""));
        return Err(BodyError::NotAccepted {
            reason: format!(
                "compression {kind} is not accepted; send the body plain, or one of {}",
                kinds.join(", ")
            ),
        });
    };
    let name = names.first().copied().unwrap_or_default();
    let expanded = match known {
        // The name says gzip, and what is sent is zlib's; both are told by their
        // beginning.
        Kind::Zlib if body.starts_with(&[0x1f, 0x8b]) => {
            drain(flate2::bufread::MultiGzDecoder::new(body))
        }
        Kind::Zlib => drain(flate2::bufread::ZlibDecoder::new(body)),
        Kind::Bzip2 => drain(bzip2::bufread::MultiBzDecoder::new(body)),
        Kind::Xz if body.starts_with(&xz::MAGIC) => xz::read(body),
        // Python's `lzma.decompress` reads the older container too.
        Kind::Xz => lzma_rust2::LzmaReader::new_mem_limit(body, LZMA_KIB, None).and_then(drain),
        Kind::Brotli => brotli(body),
        Kind::Zstd => zstd(body),
    };
    match expanded {
        Ok(Some(bytes)) => Ok(bytes.into()),
        Ok(None) => Err(BodyError::too_large(format!(
            "the body expands to more than {EXPANDED_BYTES} bytes ({name}), the most that are accepted (fixed)"
        ))),
        Err(error) => Err(BodyError::Malformed {
            reason: format!("the body is not {name}: {error}"),
        }),
    }
}

/// Reads all there is; `None` where that is too much.
fn drain(reader: impl Read) -> io::Result<Option<Vec<u8>>> {
    let most = match stands(Defence::Expansion) {
        true => EXPANDED_BYTES,
        false => u64::MAX - 1,
    };
    let mut bytes = Vec::new();
    reader.take(most + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

fn brotli(body: &[u8]) -> io::Result<Option<Vec<u8>>> {
    // These bits begin a stream with a window of up to 1 GiB, which is no part of the
    // format that Python's encoder writes.
    if body.first().is_some_and(|first| first & 0x7f == 0x11) {
        return Err(io::Error::other("its window is larger than 16 MiB"));
    }
    drain(brotli_decompressor::Decompressor::new(body, BROTLI_BUFFER))
}

fn zstd(body: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut rest = body;
    let mut reader = StreamingDecoder::new_with_max_window_size(&mut rest, ZSTD_WINDOW)
        .map_err(io::Error::other)?;
    let bytes = drain(&mut reader)?;
    if bytes.is_none() {
        return Ok(None);
    }
    let decoder = &reader.decoder;
    let sent = decoder.get_checksum_from_data();
    if sent.is_some() && sent != decoder.get_calculated_checksum() {
        return Err(io::Error::other("its checksum does not fit"));
    }
    match rest {
        [] => Ok(bytes),
        _ => Err(io::Error::other("it goes on after its frame")),
    }
}

#[cfg(test)]
mod tests;
