//! The plain words of YAML 1.1, read as PyYAML reads them.

use super::document::Node;
use super::typed::{self, Offset, Typed};
use super::{BodyError, number, shown};

/// What a scalar without quotes and tag means.
pub(super) fn plain(text: &str) -> Result<Node, BodyError> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Node::Null,
        _ => match flag(text) {
            Some(flag) => Node::Bool(flag),
            None => match number(text)? {
                Some(node) => node,
                None => match moment(text)? {
                    Some(typed) => Node::Typed(Box::new(typed)),
                    None => Node::Text(text.into()),
                },
            },
        },
    })
}

pub(super) fn flag(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// A whole number or a float, in any form that YAML 1.1 has for them.
pub(super) fn number(text: &str) -> Result<Option<Node>, BodyError> {
    let starts = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    if !starts || text.len() > 2 * super::DIGITS {
        return Ok(None);
    }
    let bare = text.replace('_', "");
    let (sign, digits) = match bare.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", bare.strip_prefix('+').unwrap_or(&bare)),
    };
    if let "inf" | "Inf" | "INF" | "nan" | "NaN" | "NAN" = digits.strip_prefix('.').unwrap_or("") {
        return number::float(f64::NAN).map(|_| None);
    }
    let text = if digits.contains(':') {
        sexagesimal(digits).map(|number| format!("{sign}{number}"))
    } else if digits.len() > 1 && digits.starts_with('0') && !digits.contains('.') {
        based(digits).map(|number| format!("{sign}{number}"))
    } else if is_float(digits) {
        let float = bare.parse().ok();
        Some(number::float(float.unwrap_or(f64::NAN))?)
    } else {
        number::whole(&bare).transpose()?
    };
    Ok(text.map(|text| Node::Number(text.into())))
}

/// Numbers of base 2, 8 and 16.
fn based(digits: &str) -> Option<u128> {
    let (base, digits) = match digits.get(..2)? {
        "0b" => (2, digits.get(2..)?),
        "0x" => (16, digits.get(2..)?),
        _ => (8, digits.get(1..)?),
    };
    let fits = digits.chars().all(|digit| digit.is_digit(base));
    fits.then(|| u128::from_str_radix(digits, base).ok())
        .flatten()
}

/// Numbers of base 60, such as `1:30`.
fn sexagesimal(digits: &str) -> Option<u64> {
    let mut parts = digits.split(':');
    let first = parts.next()?;
    if !first.starts_with(|digit| ('1'..='9').contains(&digit)) {
        return None;
    }
    let mut whole: u64 = first.parse().ok()?;
    for part in parts {
        let fits = matches!(part.len(), 1 | 2) && part.bytes().all(|digit| digit.is_ascii_digit());
        let next: u64 = part.parse().ok().filter(|part| fits && *part < 60)?;
        whole = whole.checked_mul(60)?.checked_add(next)?;
    }
    Some(whole)
}

/// Digits with a point, and perhaps an exponent with a sign.
fn is_float(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let Some((whole, part)) = mantissa.split_once('.') else {
        return false;
    };
    let all = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or("");
        !digits.is_empty() && all(digits)
    });
    all(whole) && all(part) && !(whole.is_empty() && part.is_empty()) && exponent
}

/// A day, or a moment with or without an offset.
pub(super) fn moment(text: &str) -> Result<Option<Typed>, BodyError> {
    // Nothing with another beginning has this shape.
    let is_like = text.len() >= 8 && text.as_bytes().get(4) == Some(&b'-');
    if !is_like || !text.is_ascii() {
        return Ok(None);
    }
    let (day, rest) = match text.find(['T', 't', ' ', '\t']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let is_day_alone = rest.is_empty();
    let Some([year, month, date]) = numbers(day, '-', if is_day_alone { 2 } else { 1 }) else {
        return Ok(None);
    };
    let date = |()| typed::date(year, month, date);
    if is_day_alone {
        return date(()).map(Typed::Date).map(Some);
    }
    let rest = rest.trim_start_matches(['T', 't']).trim_start();
    let end = rest.find(['Z', '+', '-', ' ', '\t']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    let (clock, part) = clock.split_once('.').unwrap_or((clock, ""));
    let (Some([hour, minute, second]), Some(offset)) =
        (numbers(clock, ':', 1), offset(zone.trim_start())?)
    else {
        return Ok(None);
    };
    if !part.bytes().all(|digit| digit.is_ascii_digit()) {
        return Ok(None);
    }
    let micros: String = part.chars().chain("000000".chars()).take(6).collect();
    let time = typed::time(hour, minute, second, micros.parse().unwrap_or(0))?;
    Ok(Some(Typed::DateTime(date(())?.to_datetime(time), offset)))
}

/// Three numbers with a sign between them, the later ones of so many digits to two.
fn numbers(text: &str, between: char, least: usize) -> Option<[i64; 3]> {
    let mut parts = text.split(between);
    let mut next = |least: usize, most: usize| {
        let part = parts.next()?;
        let fits = (least..=most).contains(&part.len());
        let digits = part.bytes().all(|digit| digit.is_ascii_digit());
        (fits && digits).then(|| part.parse().ok()).flatten()
    };
    let first = if between == '-' { 4 } else { 2 };
    let three = [
        next(least.min(first), first)?,
        next(least, 2)?,
        next(least, 2)?,
    ];
    parts.next().is_none().then_some(three)
}

/// The offset of a moment, if it has one; `None` where that is something else.
fn offset(text: &str) -> Result<Option<Option<Offset>>, BodyError> {
    let (sign, digits) = match text {
        "" => return Ok(Some(None)),
        "Z" => (1, "0"),
        _ => match text.split_at_checked(1) {
            Some(("+", digits)) => (1, digits),
            Some(("-", digits)) => (-1, digits),
            _ => return Ok(None),
        },
    };
    let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
    let part = |text: &str| match text.len() {
        1 | 2 if text.bytes().all(|digit| digit.is_ascii_digit()) => text.parse::<i64>().ok(),
        _ => None,
    };
    let (Some(hours), Some(minutes)) = (part(hours), part(minutes)) else {
        return Ok(None);
    };
    Offset::seconds(sign * (hours * 3600 + minutes * 60)).map(|offset| Some(Some(offset)))
}

/// What a scalar with a tag of YAML's own means.
pub(super) fn tagged(tag: &str, text: &str) -> Result<Node, BodyError> {
    let node = match tag {
        "str" => Some(Node::Text(text.into())),
        "null" => Some(Node::Null),
        "bool" => flag(text).map(Node::Bool),
        "int" | "float" => number(text)?,
        "timestamp" => moment(text)?.map(|typed| Node::Typed(Box::new(typed))),
        "binary" => binary(text).map(|bytes| Node::Bytes(bytes.into())),
        _ => return Err(not_safe(tag)),
    };
    node.ok_or_else(|| BodyError::malformed(format!("{:?} is no YAML {tag}", shown(text))))
}

pub(super) fn not_safe(tag: &str) -> BodyError {
    let tag = shown(tag);
    BodyError::not_accepted(format!(
        "the YAML tag {tag:?} is not plain data; send plain data"
    ))
}

fn binary(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let text: String = text.split_ascii_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(node: Node) -> String {
        let mut document = super::super::document::Document::default();
        document.add(node).unwrap();
        String::from_utf8(document.json().unwrap()).unwrap()
    }

    /// What PyYAML's `safe_load` and then kombu's `dumps` say of the same words.
    #[test]
    fn words_mean_what_they_mean_to_pyyaml() {
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("Yes", "true"),
            ("off", "false"),
            ("y", r#""y""#),
            ("12", "12"),
            ("+12", "12"),
            ("-1_000", "-1000"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            ("0x1F", "31"),
            ("0b101", "5"),
            ("017", "15"),
            ("08", r#""08""#),
            ("1:30", "90"),
            ("-1:30:00", "-5400"),
            ("1:60", r#""1:60""#),
            ("1.5", "1.5"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("1.5e+3", "1500.0"),
            ("1.5e3", r#""1.5e3""#),
            ("1e3", r#""1e3""#),
            ("a1", r#""a1""#),
            ("-", r#""-""#),
            (".", r#"".""#),
            ("1.2.3", r#""1.2.3""#),
            (
                "2030-01-02",
                r#"{"__type__":"date","__value__":"2030-01-02"}"#,
            ),
            ("2030-1-2", r#""2030-1-2""#),
            (
                "2030-01-02 03:04:05.25",
                r#"{"__type__":"datetime","__value__":"2030-01-02T03:04:05.250000"}"#,
            ),
            (
                "2030-1-2T03:04:05Z",
                r#"{"__type__":"datetime","__value__":"2030-01-02T03:04:05+00:00"}"#,
            ),
            (
                "2030-01-02 03:04:05.678901-05:30",
                r#"{"__type__":"datetime","__value__":"2030-01-02T03:04:05.678901-05:30"}"#,
            ),
            ("2030-01-02 03:04", r#""2030-01-02 03:04""#),
        ] {
            assert_eq!(json(plain(text).unwrap()), expected, "{text:?}");
        }
    }

    #[test]
    fn what_no_task_can_be_given_is_refused() {
        for text in [".inf", "-.INF", ".NaN", "2030-02-30", "2030-01-02 25:00:00"] {
            assert!(plain(text).is_err(), "{text}");
        }
        assert!(tagged("binary", "?").is_err());
        assert!(tagged("int", "a").is_err());
        assert!(tagged("python/name:os.system", "").is_err());
    }
}
