//! The check of what a guest returns: what it lets through is one JSON value that can be
//! put into a document.

// The very code, not a copy: nothing outside the sandbox may call it.
#[path = "../../runtime/sandbox/src/invoke/json.rs"]
mod json;

use crate::bodies::WORDS;
use serde_json::Value;
use serde_json::value::RawValue;
use support::Corpus;

#[test]
fn what_passes_the_check_of_results_is_one_json_value_in_any_document() {
    let seeds: [&[u8]; 7] = [
        b"null",
        b" [1, 2.50, -0, 1e400, \"a\\u00e4\\ud83d\\ude00\\n\"] ",
        b"{\"a\": {\"b\": [[[[]]]], \"\": null}, \"a\": true}",
        b"\"\\ud800\\udc00\"",
        b"123456789012345678901234567890",
        "\"\u{202e}\u{feff}\u{10ffff}\"".as_bytes(),
        b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    ];
    let corpus = Corpus::new(seeds.map(<[u8]>::to_vec).to_vec(), &WORDS);
    fuzz!(20_000, |script: &[u8]| {
        let bytes = corpus.changed(script);
        let read = serde_json::from_slice::<Value>(&bytes);
        if let Err(reason) = json::check_json(&bytes) {
            assert!(!reason.is_empty() && reason.len() < 200, "{reason:.300}");
            assert!(
                read.is_err(),
                "refused: {:?}",
                String::from_utf8_lossy(&bytes)
            );
            return false;
        }
        let text = std::str::from_utf8(&bytes).expect("UTF-8");
        let document = format!("{{\"before\": 1, \"result\": {text}, \"after\": 2}}");
        let parts: std::collections::BTreeMap<String, &RawValue> =
            serde_json::from_str(&document).expect("a document");
        assert_eq!(parts.len(), 3);
        assert_eq!(parts["result"].get(), text.trim_ascii());
        // A number may be too large for a reader, and 128 levels too deep for this one.
        if let Err(error) = read {
            let words = error.to_string();
            let known = ["number out of range", "recursion limit exceeded"];
            assert!(
                known.iter().any(|known| words.starts_with(known)),
                "{words}: {text:.200}"
            );
        }
        true
    });
}
