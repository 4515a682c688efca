//! Result documents, as anybody can write them where results are kept.

use crate::bodies::WORDS;
use crate::capture::{names, read};
use celeriac::celery::result::Found;
use support::Corpus;

/// Longest text of an exception, characters.
const MESSAGE: usize = 64 << 10;

/// Every document that a Python worker stored in a capture.
fn captured() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for name in names("worker_redis_") {
        let text = read(&name).to_string();
        let capture: serde_json::Value = serde_json::from_str(&text).unwrap();
        collect(&capture, &mut found);
    }
    found
}

/// Texts that are documents, wherever they stand in a capture.
fn collect(value: &serde_json::Value, found: &mut Vec<Vec<u8>>) {
    if let Some(text) = value.as_str()
        && Found::read(text).is_some()
    {
        found.push(text.as_bytes().to_vec());
    }
    for one in value.as_array().into_iter().flatten() {
        collect(one, found);
    }
    for (_, one) in value.as_object().into_iter().flatten() {
        collect(one, found);
    }
}

#[test]
fn any_document_is_read_or_is_none() {
    let mut seeds = captured();
    seeds.push(
        br#"{"status": "FAILURE", "celeriac": {"expires_at": 1, "usage": {"run_us": 1}}, "result": {"exc_type": "E", "exc_message": ["a", 1], "exc_module": "m"}, "traceback": "t", "children": [], "task_id": "i"}"#
            .to_vec(),
    );
    let corpus = Corpus::new(seeds, &WORDS);
    fuzz!(10_000, |script: &[u8]| {
        let bytes = corpus.changed(script);
        let text = String::from_utf8_lossy(&bytes);
        let Some(found) = Found::read(&text) else {
            return false;
        };
        if let Some(result) = &found.result {
            assert!(text.contains(result.get()));
        }
        if let Some(exception) = found.exception() {
            assert!(exception.message.chars().count() <= MESSAGE);
        }
        true
    });
}
