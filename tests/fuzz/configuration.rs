//! The configuration: a file that somebody edits, or a template fills in.

use celeriac::config::{Config, ConfigError, FILE_BYTES, RawConfig, Source};
use std::fmt::Write as _;
use std::path::Path;
use support::Corpus;

const REFERENCE: &str = include_str!("../../runtime/config.reference.toml");

/// Reads a text, and returns what is meant and the file that says so.
fn read(text: &str) -> Result<(String, String), ConfigError> {
    let mut raw = RawConfig::default();
    raw.read_text(Path::new("celeriac.toml"), text)?;
    let (config, effective) = Config::check(raw)?;
    let mut file = String::new();
    let written = effective
        .iter()
        .filter(|known| known.source != Source::Default);
    for known in written {
        writeln!(file, "{} = {}", known.key, known.value).expect("a text has room");
    }
    Ok((format!("{config:?}"), file))
}

#[test]
fn any_file_is_refused_at_its_place_or_means_the_same_when_it_is_written_again() {
    // Whole, and each section of its own.
    let sections = REFERENCE.split("\n\n").map(|text| text.as_bytes().to_vec());
    let seeds = sections.chain([REFERENCE.as_bytes().to_vec()]).collect();
    let words: [&[u8]; 16] = [
        b"\n",
        b"[worker]\n",
        b"[grants.\"a.*\"]\n",
        b"concurrency = 3\n",
        b"submit = [\"a.b\"]\n",
        b" = 1\n",
        b"\"1s\"",
        b"\"1MiB\"",
        b"-1",
        b"99999999999999999999",
        b"[[",
        b"{a = ",
        b"\"\"\"",
        b"\\u001b",
        b"\x1b[2J",
        b"#",
    ];
    let corpus = Corpus::new(seeds, &words);
    fuzz!(3_000, |script: &[u8]| {
        let bytes = corpus.changed(script);
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return false;
        };
        if text.len() as u64 > FILE_BYTES {
            return false;
        }
        match read(text) {
            Ok((config, file)) => {
                let again = read(&file).unwrap_or_else(|error| panic!("{error}\n{file}"));
                assert_eq!(again, (config, file));
                true
            }
            Err(error) => {
                let told = error.to_string();
                assert!(told.contains("celeriac.toml:"), "{told}");
                false
            }
        }
    });
}
