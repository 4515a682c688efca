use super::*;
use crate::defence::without;
use proptest::prelude::*;
use serde_json::json;
use std::io::Write as _;

fn refusal(kind: &str, body: &[u8]) -> String {
    expand(&json!(kind), body).unwrap_err().to_string()
}

#[test]
fn a_deflated_bomb_ends_at_the_limit() {
    let zeros = vec![0; 1 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..=EXPANDED_BYTES >> 20 {
        gzip.write_all(&zeros).unwrap();
        zlib.write_all(&zeros).unwrap();
    }
    for bomb in [gzip.finish().unwrap(), zlib.finish().unwrap()] {
        assert!(bomb.len() < 1 << 20);
        assert!(refusal("application/x-gzip", &bomb).contains("67108864"));
    }
}

#[test]
fn without_a_largest_expansion_a_few_bytes_become_as_much_as_they_say() {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    let mebibytes = (EXPANDED_BYTES >> 20) + 8;
    for _ in 0..mebibytes {
        zlib.write_all(&zeros).unwrap();
    }
    let bomb = zlib.finish().unwrap();
    assert!(refusal("gzip", &bomb).contains("67108864"));
    let _away = without(&[Defence::Expansion]);
    let expanded = expand(&json!("gzip"), &bomb).unwrap();
    assert_eq!(expanded.len() as u64, mebibytes << 20);
}

#[test]
fn a_compression_that_is_not_known_is_refused_with_those_that_are() {
    for kind in [json!("application/x-lzop"), json!(7), json!(["gzip"])] {
        let refusal = expand(&kind, b"").unwrap_err().to_string();
        assert!(refusal.contains(&kind.to_string()), "{refusal}");
        assert!(refusal.contains("application/zstd"), "{refusal}");
    }
}

#[test]
fn a_stream_that_asks_for_much_memory_is_refused() {
    // Dictionaries and windows of 1 GiB.
    let mut alone = vec![0x5d, 0, 0, 0, 0x40];
    alone.extend_from_slice(&[0xff; 8]);
    alone.extend_from_slice(&[0; 16]);
    assert!(refusal("lzma", &alone).contains("memory"));
    assert!(refusal("brotli", &[0x11, 0x1e, 0x00, 0x00]).contains("16 MiB"));
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00];
    assert!(refusal("zstd", &window).contains("indow"));
    assert!(refusal("xz", &block(37)).contains("64 MiB"));
    assert!(refusal("xz", &block(41)).contains("filters"));
    // 64 MiB is what the highest preset asks for.
    assert!(!refusal("xz", &block(28)).contains("64 MiB"));
}

/// An xz stream whose block asks for a dictionary.
fn block(bits: u8) -> Vec<u8> {
    let sum = |bytes: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum().to_le_bytes()
    };
    let header = [2, 0, 0x21, 1, bits, 0, 0, 0];
    let mut stream = xz::MAGIC.to_vec();
    stream.extend_from_slice(&[0, 1]);
    stream.extend_from_slice(&sum(&[0, 1]));
    stream.extend_from_slice(&header);
    stream.extend_from_slice(&sum(&header));
    stream
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(
        kind in 0..KINDS.len(),
        magic in any::<bool>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let start: &[u8] = match KINDS[kind].0 {
            Kind::Zlib => b"\x78\x9c",
            Kind::Bzip2 => b"BZh91AY&SY",
            Kind::Xz => b"\x5d\x00\x00\x80\x00",
            Kind::Brotli => b"",
            Kind::Zstd => b"\x28\xb5\x2f\xfd",
        };
        let body = if magic { [start, &bytes].concat() } else { bytes };
        drop(expand(&json!(KINDS[kind].1[0]), &body));
    }

    #[test]
    fn a_broken_xz_stream_does_no_harm(
        bits in 0_u8..=28,
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let body = [block(bits % 8), bytes].concat();
        drop(expand(&json!("xz"), &body));
    }
}
