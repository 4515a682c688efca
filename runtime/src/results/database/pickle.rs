//! JSON as a pickle, which every release of Celery reads in the column `result`.
//!
//! A pickle is a program for a stack, and one for plain data follows the JSON text from
//! left to right: nothing is nested here. Numbers keep the digits they were written with.
//! What kombu marks, as JSON lacks it, is written as Python's own value ([`marked`]).

mod marked;

use crate::celery::body;

/// What each pickle of ours begins with: protocol 2, which Celery looks for.
const PROTOCOL: &[u8] = b"\x80\x02";

/// Writes JSON text as a pickle; what is no JSON becomes `None`.
pub(super) fn pickled(json: &str) -> Vec<u8> {
    let Ok(value) = serde_json::from_str::<&serde_json::value::RawValue>(json) else {
        return [PROTOCOL, b"N."].concat();
    };
    let text = value.get();
    if text.contains("\"__type__\"") {
        let pickle = program(text, true);
        // It has to be read here as well, and by a stricter reader than what is plain.
        if body::plain_pickle(&pickle).is_ok() {
            return pickle;
        }
    }
    program(text, false)
}

/// Writes the whole of a pickle; of marked values, the values themselves.
fn program(json: &str, is_marked: bool) -> Vec<u8> {
    let mut out = PROTOCOL.to_vec();
    values(json.as_bytes(), is_marked, &mut out);
    out.push(b'.');
    out
}

/// Writes what is known to be JSON.
fn values(mut rest: &[u8], is_marked: bool, out: &mut Vec<u8>) {
    while let Some((first, after)) = rest.split_first() {
        let made = match first {
            b'{' if is_marked => marked::value(after, out),
            _ => None,
        };
        if let Some(after) = made {
            rest = after;
            continue;
        }
        rest = match first {
            b'[' => put(out, b"](", after),
            b'{' => put(out, b"}(", after),
            b']' => put(out, b"e", after),
            b'}' => put(out, b"u", after),
            b't' => put(out, b"\x88", after.get(3..).unwrap_or_default()),
            b'f' => put(out, b"\x89", after.get(4..).unwrap_or_default()),
            b'n' => put(out, b"N", after.get(3..).unwrap_or_default()),
            b'"' => text(after, out),
            b'-' | b'0'..=b'9' => number(rest, out),
            // White space, commas and colons.
            _ => after,
        };
    }
}

fn put<'a>(out: &mut Vec<u8>, code: &[u8], rest: &'a [u8]) -> &'a [u8] {
    out.extend_from_slice(code);
    rest
}

/// Writes a number as text: Python reads its digits itself.
fn number<'a>(json: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let is_part = |byte: &u8| b"+-.eE0123456789".contains(byte);
    let end = json.iter().take_while(|byte| is_part(byte)).count();
    let (digits, rest) = json.split_at(end);
    let is_whole = digits.iter().all(|byte| !b".eE".contains(byte));
    out.push(if is_whole { b'L' } else { b'F' });
    out.extend_from_slice(digits);
    out.extend_from_slice(if is_whole { b"L\n" } else { b"\n" });
    rest
}

/// Writes a text, of which the opening quotation mark is gone.
fn text<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    out.push(b'X');
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'"' => {
                rest = after;
                break;
            }
            b'\\' => escape(after, out),
            byte => {
                out.push(*byte);
                after
            }
        };
    }
    let length = out.len().saturating_sub(length_at + 4);
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    if let Some(place) = out.get_mut(length_at..length_at + 4) {
        place.copy_from_slice(&length);
    }
    rest
}

/// Writes what an escape means, of which the backslash is gone.
fn escape<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some((letter, rest)) = rest.split_first() else {
        return rest;
    };
    let plain = match letter {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(rest, out),
        other => *other,
    };
    out.push(plain);
    rest
}

/// Writes the character of `\uXXXX`, or of two that belong together. Half of a pair
/// is written as Python itself would.
fn unicode<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let (Some(first), after) = (unit(rest), rest.get(4..).unwrap_or_default()) else {
        return rest;
    };
    let second = after.strip_prefix(b"\\u").and_then(unit);
    if let Some(second) = second
        && let Some(Ok(whole)) = char::decode_utf16([first, second]).next()
        && whole > '\u{ffff}'
    {
        out.extend_from_slice(whole.encode_utf8(&mut [0; 4]).as_bytes());
        return after.get(6..).unwrap_or_default();
    }
    match char::from_u32(u32::from(first)) {
        Some(whole) => out.extend_from_slice(whole.encode_utf8(&mut [0; 4]).as_bytes()),
        None => {
            let [high, low] = first.to_be_bytes();
            let middle = 0x80 | (high & 0x0f) << 2 | low >> 6;
            out.extend_from_slice(&[0xed, middle, 0x80 | low & 0x3f]);
        }
    }
    after
}

fn unit(digits: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(digits.get(..4)?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::unpickle::plain;
    use super::*;

    #[test]
    fn a_pickle_is_read_back_as_the_json_it_was_made_of() {
        let all = r#"{"a":[1,-2.50,1e400,null,true,false,{}],"":"ä𝄞\"\\\n","n":123456789012345678901234567890}"#;
        for json in [all, "[]", "{}", "5", "\"\"", "[[[]]]", "-0"] {
            assert_eq!(plain(&pickled(json)).as_deref(), Some(json), "{json}");
        }
        assert_eq!(
            plain(&pickled(r#" [ "\u00e4\ud834\udd1e\/\u0000" ] "#)).as_deref(),
            Some("[\"ä𝄞/\\u0000\"]")
        );
    }

    #[test]
    fn half_of_a_pair_is_written_as_python_writes_it() {
        assert_eq!(
            pickled(r#""\ud834x""#),
            b"\x80\x02X\x04\0\0\0\xed\xa0\xb4x."
        );
        assert_eq!(
            pickled(r#""\ud834\u0041""#),
            b"\x80\x02X\x04\0\0\0\xed\xa0\xb4A."
        );
    }

    #[test]
    fn what_is_no_json_is_none() {
        for json in ["", "[", "nul", "{]", "\"\\", "\"\\u12"] {
            assert_eq!(pickled(json), b"\x80\x02N.", "{json}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(pickled(&deep).len(), 3 + 3 * 200_000);
    }
}
