//! Text that strangers chose, before it is shown.

use celeriac::telemetry::{one_line, plain};
use serde_json::Value;
use support::Corpus;

/// Whether a terminal would act on a letter, or a reader be misled by it.
fn is_safe(letter: char) -> bool {
    !letter.is_control() && !('\u{202a}'..='\u{202e}').contains(&letter)
}

#[test]
fn whatever_is_shown_cannot_command_a_terminal() {
    let seeds: [&str; 5] = [
        "text.echo",
        "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{1b}]52;c;aGk=\u{1b}\\",
        "a\u{202e}b\u{2066}c\u{200b}\u{feff}\u{e0041}",
        "[\"a\\n\", {\"b\": \"\\u001b\"}]",
        "line\r\nline\tend\u{85}\u{2028}",
    ];
    let seeds = seeds.map(|text| text.as_bytes().to_vec()).to_vec();
    let words: [&[u8]; 8] = [
        b"\x1b",
        b"\xc2\x9b",
        b"\r",
        b"\n",
        b"\0",
        b"\x7f",
        b"\"",
        b"\\",
    ];
    let corpus = Corpus::new(seeds, &words);
    fuzz!(1_000, |script: &[u8]| {
        let bytes = corpus.changed(script);
        let text = String::from_utf8_lossy(&bytes);
        let shown = plain(&text);
        assert!(
            shown
                .chars()
                .all(|letter| is_safe(letter) || matches!(letter, '\n' | '\t')),
            "{shown:?}"
        );
        assert_eq!(plain(&shown), shown);
        let line = one_line(&text);
        assert!(line.chars().all(is_safe), "{line:?}");
        // JSON stays the same JSON, but for returns between its values, which are taken out.
        let json = text.replace('\r', "");
        if let Ok(value) = serde_json::from_str::<Value>(&json) {
            let shown = serde_json::from_str::<Value>(&plain(&json));
            assert_eq!(shown.expect("JSON"), value);
        }
        shown == text
    });
}
