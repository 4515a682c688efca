//! Numbers, texts and bytes, as each instruction of pickle writes them.

use crate::celery::body::cursor::Cursor;
use crate::celery::body::document::Node;
use crate::celery::body::{BodyError, number, shown};

/// Reads nothing, a truth or a number, as its instruction says.
pub(super) fn scalar(rest: &mut Cursor<'_>, code: u8) -> Result<Node, BodyError> {
    let number = match code {
        b'N' => return Ok(Node::Null),
        0x88 | 0x89 => return Ok(Node::Bool(code == 0x88)),
        b'I' => match rest.line()? {
            b"00" => return Ok(Node::Bool(false)),
            b"01" => return Ok(Node::Bool(true)),
            line => whole(line)?,
        },
        b'L' => {
            let line = rest.line()?;
            whole(line.strip_suffix(b"L").unwrap_or(line))?
        }
        b'J' => i32::from_le_bytes(rest.array()?).to_string(),
        b'K' => rest.byte()?.to_string(),
        b'M' => u16::from_le_bytes(rest.array()?).to_string(),
        0x8a => {
            let length = rest.byte()?;
            number::long(rest.take(length.into())?)?
        }
        0x8b => {
            let length = u32::from_le_bytes(rest.array()?);
            number::long(rest.take(length.into())?)?
        }
        b'G' => number::float(f64::from_be_bytes(rest.array()?))?,
        _ => float(rest.line()?)?,
    };
    Ok(Node::Number(number.into()))
}

/// Reads a text, as its instruction says.
pub(super) fn text(rest: &mut Cursor<'_>, code: u8) -> Result<String, BodyError> {
    let length = match code {
        b'S' => return old_text(rest.line()?),
        b'V' => return raw_text(rest.line()?),
        b'U' | 0x8c => rest.byte()?.into(),
        b'T' | b'X' => u32::from_le_bytes(rest.array()?).into(),
        _ => u64::from_le_bytes(rest.array()?),
    };
    let bytes = rest.take(length)?;
    let is_old = matches!(code, b'T' | b'U');
    if is_old && !bytes.is_ascii() {
        return Err(not_ascii());
    }
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| {
        BodyError::malformed(format!("a text of the pickle is not UTF-8: {error}"))
    })?;
    Ok(text.to_owned())
}

/// Reads bytes, as their instruction says.
pub(super) fn bytes<'a>(rest: &mut Cursor<'a>, code: u8) -> Result<&'a [u8], BodyError> {
    let length = match code {
        b'C' => rest.byte()?.into(),
        b'B' => u32::from_le_bytes(rest.array()?).into(),
        _ => u64::from_le_bytes(rest.array()?),
    };
    rest.take(length)
}

fn whole(line: &[u8]) -> Result<String, BodyError> {
    let text = std::str::from_utf8(line).ok();
    let number = text.and_then(|text| number::whole(text.trim()));
    number.ok_or_else(|| no_number(line))?
}

/// A float in digits, which stay as they are where JSON would write them so.
fn float(line: &[u8]) -> Result<String, BodyError> {
    let text = std::str::from_utf8(line).map_err(|_| no_number(line))?;
    let is_kept = text.contains(['.', 'e', 'E'])
        && text.len() <= number::DIGITS
        && serde_json::from_str::<serde_json::Number>(text).is_ok();
    if is_kept {
        return Ok(text.trim().to_owned());
    }
    let float = text.trim().parse().ok();
    number::float(float.ok_or_else(|| no_number(line))?)
}

/// A text of Python 2, printed as it printed it.
fn old_text(line: &[u8]) -> Result<String, BodyError> {
    let quoted = line
        .strip_prefix(b"'")
        .and_then(|line| line.strip_suffix(b"'"));
    let quoted = quoted.or_else(|| line.strip_prefix(b"\"")?.strip_suffix(b"\""));
    let text = quoted.and_then(|text| std::str::from_utf8(text).ok());
    let text = text.ok_or_else(not_ascii)?;
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        let plain = match next {
            '\\' => match rest.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('x') => hex(&mut rest, 2).ok_or_else(not_ascii)?,
                Some(same @ ('\\' | '\'' | '"')) => same,
                _ => return Err(not_ascii()),
            },
            other => other,
        };
        if !plain.is_ascii() {
            return Err(not_ascii());
        }
        out.push(plain);
    }
    Ok(out)
}

/// A text in Python's raw-unicode-escape: Latin-1, and `\uXXXX` for the rest.
fn raw_text(line: &[u8]) -> Result<String, BodyError> {
    let mut out = String::new();
    let latin: String = line.iter().copied().map(char::from).collect();
    let mut rest = latin.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            out.push(next);
            continue;
        }
        let ahead = rest.clone().next();
        let digits = match ahead {
            Some('u') => 4,
            Some('U') => 8,
            _ => {
                // A lone backslash is one; of two, neither begins an escape.
                out.push('\\');
                if ahead == Some('\\') {
                    out.push('\\');
                    rest.next();
                }
                continue;
            }
        };
        rest.next();
        let escaped = hex(&mut rest, digits);
        out.push(escaped.ok_or_else(|| {
            BodyError::malformed("an escape in a text of the pickle is no character")
        })?);
    }
    Ok(out)
}

fn hex(rest: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let mut value = 0_u32;
    for _ in 0..digits {
        value = value.checked_mul(16)? + rest.next()?.to_digit(16)?;
    }
    char::from_u32(value)
}

fn not_ascii() -> BodyError {
    BodyError::malformed("a text of Python 2 in the pickle is not ASCII; send unicode")
}

/// Says of a line that no number can be read in it.
pub(super) fn no_number(line: &[u8]) -> BodyError {
    let line = String::from_utf8_lossy(line);
    BodyError::malformed(format!("{:?} in the pickle is no number", shown(&line)))
}
