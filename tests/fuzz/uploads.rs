//! What is looked at in an upload before anything is compiled.

use celeriac_sandbox::{UPLOAD_BYTES, inspect};
use std::fs;
use std::path::Path;
use support::Corpus;

/// Largest component that is a seed, bytes: a larger one has no other parts, and costs time.
const SEED: u64 = 400_000;
/// Longest refusal, bytes: it is stored and shown.
const REASON: usize = 16 << 10;

/// Small components by hand, each with parts that others lack.
const WRITTEN: [&str; 5] = [
    "(component)",
    "(component (core module (memory 1) (table 1 funcref) (func) (start 0) (data (i32.const 0) \"x\")))",
    "(component (component (core module (func (export \"f\")))) (core module))",
    "(component (type $t (instance (export \"f\" (func (param \"a\" (list string)) (result u32))))) (import \"a:b/c@0.1.0\" (instance (type $t))))",
    "(component (core module $m (func (export \"f\") (result i32) (i32.const 1))) (core instance $i (instantiate $m)) (func (export \"run\") (result u32) (canon lift (core func $i \"f\"))))",
];

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = WRITTEN
        .iter()
        .map(|text| wat::parse_str(text).expect(text))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // The frozen one is always there; the others where guests were built.
    for folder in ["tests/fixtures", "target/guests/components"] {
        let entries = fs::read_dir(root.join(folder)).into_iter().flatten();
        let mut paths: Vec<_> = entries
            .map(|entry| entry.expect("an entry").path())
            .collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "wasm"));
        paths.retain(|path| fs::metadata(path).is_ok_and(|file| file.len() < SEED));
        paths.sort();
        seeds.extend(
            paths
                .iter()
                .map(|path| fs::read(path).expect("a component")),
        );
    }
    assert!(seeds.len() > WRITTEN.len(), "no component was built");
    seeds
}

#[test]
fn any_upload_is_taken_or_refused_in_few_words() {
    let words: [&[u8]; 14] = [
        b"\0asm\x0d\0\x01\0",
        b"\0asm\x01\0\0\0",
        b"\xff\xff\xff\xff\x0f",
        b"\x80\x80\x80\x80\x00",
        b"\x00\x80\x80\x04",
        b"\x01\xff\xff\x03",
        b"\x02",
        b"\x04",
        b"\x0b",
        b"celeriac:task/log@0.1.0",
        b"wasi:cli/run@0.2.0",
        b"\x1b[2J",
        b"cm32p2",
        b"\x7fELF",
    ];
    let corpus = Corpus::new(seeds(), &words);
    fuzz!(3_000, |script: &[u8]| {
        let bytes = corpus.changed(script);
        match inspect(&bytes) {
            Ok(()) => {
                assert!(bytes.len() as u64 <= UPLOAD_BYTES);
                assert!(bytes.starts_with(b"\0asm\x0d\0\x01\0"));
                true
            }
            Err(refusal) => {
                let words = refusal.to_string();
                assert!(!words.is_empty() && words.len() <= REASON, "{words:.300}");
                false
            }
        }
    });
}
