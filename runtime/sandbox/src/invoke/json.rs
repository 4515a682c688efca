//! Checks that bytes are exactly one JSON value that can be put into a document.

/// Deepest nesting of a result: the depth at which common parsers stop.
const DEPTH: usize = 128;

/// Checks that `bytes` are one JSON value in UTF-8, nested at most 128 deep,
/// and returns what is wrong otherwise. Nothing is built from it.
pub(crate) fn check_json(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
    if text.trim_ascii().is_empty() {
        return Err("empty; a JSON value was expected".to_owned());
    }
    check_depth(bytes)?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| error.to_string())?;
    if text.contains("\\u") {
        check_surrogates(bytes)
    } else {
        Ok(())
    }
}

/// Refuses half a surrogate pair: it is JSON by its grammar, but no text, and
/// breaks whoever reads the document that holds it. `bytes` are valid JSON.
fn check_surrogates(bytes: &[u8]) -> Result<(), String> {
    let mut rest = bytes;
    let mut high = None;
    while let [first, tail @ ..] = rest {
        let at = bytes.len() - rest.len();
        let unit = match rest {
            [b'\\', b'u', digits @ ..] => digits.first_chunk::<4>().and_then(hex),
            _ => None,
        };
        let low = unit.is_some_and(|unit| (0xdc00..0xe000).contains(&unit));
        if low != high.is_some() {
            let at = high.unwrap_or(at);
            return Err(format!(
                "half a surrogate pair at byte {at}, which is no text"
            ));
        }
        let is_high = unit.is_some_and(|unit| (0xd800..0xdc00).contains(&unit));
        high = is_high.then_some(at);
        let length = match (first, unit) {
            (b'\\', Some(_)) => 6,
            (b'\\', None) => 2,
            _ => 1,
        };
        rest = rest.get(length..).unwrap_or(tail);
    }
    Ok(())
}

fn hex(digits: &[u8; 4]) -> Option<u16> {
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn check_depth(bytes: &[u8]) -> Result<(), String> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return Err(format!("nested deeper than {DEPTH} (fixed) at byte {at}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_of_any_kind_is_json() {
        for good in [
            "null",
            " 1.5e3 ",
            "\"ä\\\"[\"",
            "[{},[1,2]]",
            "{\"a\":{\"b\":[]}}",
            r#""\ud83c\uDF31 \\ud800 \u00e4 \ue000""#,
        ] {
            assert_eq!(check_json(good.as_bytes()), Ok(()), "{good}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        let two = "1 2".as_bytes();
        for bad in [
            b"".as_slice(),
            b"  ",
            two,
            b"NaN",
            b"{",
            b"[1,]",
            b"\"\xff\"",
            b"'a'",
            b"{}x",
            br#""\ud800""#,
            br#""\ud800x""#,
            br#""\ud800\n""#,
            br#""\ud800\ud800""#,
            br#""\udc00""#,
            br#"{"\udfff": 1}"#,
        ] {
            assert!(check_json(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn depth_stops_at_128() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check_json(nested(128).as_bytes()).is_ok());
        assert!(
            check_json(nested(129).as_bytes())
                .unwrap_err()
                .contains("deeper than 128")
        );
        let brackets_in_text = format!("\"{}\"", "[".repeat(500));
        assert!(check_json(brackets_in_text.as_bytes()).is_ok());
    }
}
