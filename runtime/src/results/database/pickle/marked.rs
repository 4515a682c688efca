//! Values that JSON lacks, as the pickles that Python itself writes of them.
//!
//! kombu's marks name them: `{"__type__": "datetime", "__value__": "…"}`. A client that
//! unpickles a result gets what Python made of it, and no mark. What a mark says is
//! checked to the last digit, for one wrong value would spoil the whole result; what is
//! not exactly as kombu writes it stays a dictionary.

use super::text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::{Date, Time};

/// Longest text of a value that is looked at, bytes, but for that of bytes: a decimal
/// number may have thousands of digits.
const LONGEST: usize = 16 << 10;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// Reads a marked value, of which the opening brace is gone, and writes its pickle.
/// Returns what follows the closing brace; `None` where it is no such value.
pub(super) fn value<'a>(json: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let rest = word(json, b"\"__type__\"")?;
    let (kind, rest) = string(word(rest, b":")?)?;
    let rest = word(word(word(rest, b",")?, b"\"__value__\"")?, b":")?;
    let (inner, rest) = match kind.as_str() {
        "uuid" => {
            let rest = word(word(word(rest, b"{")?, b"\"hex\"")?, b":")?;
            let (hex, rest) = string(rest)?;
            (hex, word(rest, b"}")?)
        }
        _ => string(rest)?,
    };
    let rest = word(rest, b"}")?;
    let pickle = match kind.as_str() {
        "bytes" => bytes(inner.as_bytes())?,
        "base64" => bytes(&STANDARD.decode(inner).ok()?)?,
        _ if inner.len() > LONGEST => return None,
        "datetime" => datetime(&inner)?,
        "date" => made("datetime date", &[state(&day(&inner)?)]),
        "time" => time(&inner)?,
        "decimal" => decimal(&inner)?,
        "uuid" => uuid(&inner)?,
        _ => return None,
    };
    out.extend_from_slice(&pickle);
    Some(rest)
}

/// Passes over white space and a word.
fn word<'a>(json: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    json.trim_ascii_start().strip_prefix(word)
}

/// Reads a text.
fn string(json: &[u8]) -> Option<(String, &[u8])> {
    let json = json.trim_ascii_start();
    if json.first() != Some(&b'"') {
        return None;
    }
    let mut texts = serde_json::Deserializer::from_slice(json).into_iter::<String>();
    let text = texts.next()?.ok()?;
    Some((text, json.get(texts.byte_offset()..)?))
}

/// Calls a constructor, `module name`, with arguments.
fn made(name: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
    let (module, name) = name.split_once(' ').unwrap_or_default();
    let mut out = format!("c{module}\n{name}\n(").into_bytes();
    out.extend(arguments.iter().flatten());
    out.extend_from_slice(b"tR");
    out
}

fn bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![b'B'];
    out.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_le_bytes());
    out.extend_from_slice(bytes);
    Some(out)
}

/// Writes the few bytes that are the state of a moment, a day or a time.
fn state(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap_or_default();
    [&[b'C', length], bytes].concat()
}

fn datetime(text: &str) -> Option<Vec<u8>> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', ' '])?;
    let (clock, zone) = clock(rest)?;
    let mut arguments = vec![state(&[&day(date)?[..], &clock[..]].concat())];
    arguments.extend(zone);
    Some(made("datetime datetime", &arguments))
}

fn time(text: &str) -> Option<Vec<u8>> {
    let (clock, zone) = clock(text)?;
    let mut arguments = vec![state(&clock)];
    arguments.extend(zone);
    Some(made("datetime time", &arguments))
}

/// Reads `YYYY-MM-DD`.
fn day(text: &str) -> Option<[u8; 4]> {
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4)?;
    let [month, day] = [parts.next()?, parts.next()?].map(|part| digits(part, 2));
    let (month, day) = (u8::try_from(month?).ok()?, u8::try_from(day?).ok()?);
    let is_day = parts.next().is_none()
        && year >= 1
        && Date::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(day).ok()?,
        )
        .is_ok();
    let [high, low] = u16::try_from(year).ok()?.to_be_bytes();
    is_day.then_some([high, low, month, day])
}

/// Reads `HH:MM:SS[.ffffff]` and the zone behind it, if one is there.
fn clock(text: &str) -> Option<([u8; 6], Option<Vec<u8>>)> {
    let zone_at = text.find(['+', '-', 'Z', 'z']).unwrap_or(text.len());
    let (clock, zone) = text.split_at_checked(zone_at)?;
    let (hour, minute, second, micros) = parts(clock)?;
    let part = |part: i64| i8::try_from(part).ok();
    let nanos = i32::try_from(micros.checked_mul(1_000)?).ok()?;
    // Python has no second 60.
    let is_time =
        second < 60 && Time::new(part(hour)?, part(minute)?, part(second)?, nanos).is_ok();
    let [hour, minute, second] = [hour, minute, second].map(|part| u8::try_from(part).ok());
    let [_, high, middle, low] = u32::try_from(micros).ok()?.to_be_bytes();
    let clock = [hour?, minute?, second?, high, middle, low];
    is_time.then_some(())?;
    Some((clock, zone_of(zone)?))
}

/// Writes a zone; nothing where there is none.
fn zone_of(text: &str) -> Option<Option<Vec<u8>>> {
    let (sign, text) = match text.split_at_checked(1) {
        None => return Some(None),
        Some(("Z" | "z", "")) => (1, "00:00:00"),
        Some(("+", text)) => (1, text),
        Some(("-", text)) => (-1, text),
        Some(_) => return None,
    };
    let (hours, minutes, seconds, micros) = match text.len() {
        5 => parts(&format!("{text}:00"))?,
        _ => parts(text)?,
    };
    let whole = hours * 3_600 + minutes * 60 + seconds;
    if minutes >= 60 || seconds >= 60 || whole >= DAY {
        return None;
    }
    let number = |number: i64| format!("I{number}\n").into_bytes();
    let span = [number(0), number(sign * whole), number(sign * micros)];
    let span = made("datetime timedelta", &span);
    Some(Some(made("datetime timezone", &[span])))
}

/// Reads `HH:MM:SS[.f…]`: hours, minutes, seconds, and microseconds. Digits beyond these
/// are left out, as Python leaves them out.
fn parts(text: &str) -> Option<(i64, i64, i64, i64)> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut numbers = whole.split(':').map(|part| digits(part, 2));
    let (hours, minutes, seconds) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if numbers.next().is_some() {
        return None;
    }
    let micros = match fraction {
        None => 0,
        Some(fraction) => {
            let is_fraction = (1..=9).contains(&fraction.len());
            let is_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
            (is_fraction && is_digits).then_some(())?;
            digits(
                &format!("{fraction:0<9}")
                    .chars()
                    .take(6)
                    .collect::<String>(),
                6,
            )?
        }
    };
    Some((hours, minutes, seconds, micros))
}

/// Reads so many digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Takes what Python's `Decimal` takes without a doubt: digits, a point, an exponent.
fn decimal(number: &str) -> Option<Vec<u8>> {
    let plain = number.strip_prefix(['+', '-']).unwrap_or(number);
    let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (plain, "0"),
    };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = [whole, fraction, exponent].into_iter().all(is_digits)
        && whole.len() + fraction.len() > 0
        // Python's own bound has 18 digits.
        && (1..=9).contains(&exponent.len());
    let mut argument = Vec::new();
    text(format!("{number}\"").as_bytes(), &mut argument);
    is_number.then(|| made("decimal Decimal", &[argument]))
}

/// Writes a UUID: an object whose number is set afterwards.
fn uuid(hex: &str) -> Option<Vec<u8>> {
    let is_hex = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(hex, 16).ok().filter(|_| is_hex)?;
    let mut out = b"cuuid\nUUID\n)\x81}X\x03\0\0\0int".to_vec();
    out.extend_from_slice(format!("L{number}L\nsb").as_bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::super::unpickle::plain;
    use super::super::pickled;
    use crate::celery::body;

    fn read_back(json: &str) -> String {
        let pickle = pickled(json);
        let read = body::plain_pickle(&pickle).unwrap();
        String::from_utf8(read.to_vec()).unwrap()
    }

    /// Whatever is written comes back as the same marks.
    #[test]
    fn marked_values_become_values_and_come_back() {
        let mark =
            |kind: &str, value: &str| format!(r#"{{"__type__":"{kind}","__value__":{value}}}"#);
        for (kind, value) in [
            ("datetime", "\"2030-01-02T03:04:05.000006+05:30\""),
            ("datetime", "\"2030-01-02T03:04:05-00:30:15\""),
            ("datetime", "\"9999-12-31T23:59:59.999999\""),
            ("datetime", "\"0001-01-01T00:00:00+00:00\""),
            ("date", "\"2028-02-29\""),
            ("time", "\"03:04:05.500000\""),
            ("time", "\"23:59:59+01:00\""),
            ("decimal", "\"-12.50\""),
            ("decimal", "\"1E+9\""),
            ("uuid", "{\"hex\":\"123456789abcdef00123456789abcdef\"}"),
            ("uuid", "{\"hex\":\"00000000000000000000000000000000\"}"),
            ("base64", "\"/wAB\""),
            ("bytes", "\"ä\\\"\""),
            ("bytes", "\"\""),
        ] {
            let json = format!(
                "[{},{{\"k\":{}}},1.10]",
                mark(kind, value),
                mark(kind, value)
            );
            assert_eq!(read_back(&json), json);
            let is_made = !pickled(&json).windows(8).any(|part| part == b"__type__");
            assert!(is_made, "{json}");
        }
        let spaced = r#" { "__type__" : "date" , "__value__" : "2030-01-02" } "#;
        assert_eq!(read_back(spaced), mark("date", "\"2030-01-02\""));
        let short = mark("datetime", "\"2030-01-02T03:04:05.123456789Z\"");
        assert!(read_back(&short).contains("05.123456+00:00"));
    }

    #[test]
    fn what_is_not_exactly_a_value_stays_a_dictionary() {
        for json in [
            r#"{"__type__":"datetime","__value__":"2030-02-30T00:00:00"}"#,
            r#"{"__type__":"datetime","__value__":"2030-01-02T24:00:00"}"#,
            r#"{"__type__":"datetime","__value__":"2030-01-02T00:00:60"}"#,
            r#"{"__type__":"datetime","__value__":"2030-01-02T00:00:00+24:00"}"#,
            r#"{"__type__":"datetime","__value__":"2030-01-02"}"#,
            r#"{"__type__":"datetime","__value__":5}"#,
            r#"{"__type__":"date","__value__":"0000-01-01"}"#,
            r#"{"__type__":"date","__value__":"+030-01-01"}"#,
            r#"{"__type__":"date","__value__":"2030-01-02-03"}"#,
            r#"{"__type__":"time","__value__":"1:2:3"}"#,
            r#"{"__type__":"time","__value__":"01:02:03."}"#,
            r#"{"__type__":"decimal","__value__":"."}"#,
            r#"{"__type__":"decimal","__value__":"1_0"}"#,
            r#"{"__type__":"decimal","__value__":"1e1111111111"}"#,
            r#"{"__type__":"uuid","__value__":"123456789abcdef00123456789abcdef"}"#,
            r#"{"__type__":"uuid","__value__":{"hex":"+23456789abcdef00123456789abcdef"}}"#,
            r#"{"__type__":"base64","__value__":"?"}"#,
            r#"{"__type__":"os.system","__value__":"ls"}"#,
            r#"{"__type__":"date","__value__":"2030-01-02","more":1}"#,
            r#"{"__type__":"date"}"#,
            r#"{"__type__":{"__type__":"date","__value__":"x"},"__value__":1}"#,
        ] {
            assert_eq!(read_back(json), json);
        }
        let long = "1".repeat(super::LONGEST + 1);
        let long = format!(r#"{{"__type__":"decimal","__value__":"{long}"}}"#);
        assert_eq!(read_back(&long), long);
    }

    /// A value that would not be read here is not worth the result around it.
    #[test]
    fn beside_what_cannot_be_read_here_marks_stay_marks() {
        let date = r#"{"__type__":"date","__value__":"2030-01-02"}"#;
        for json in [
            format!(r#"[{date},"\ud834"]"#),
            format!("{}{date}{}", "[".repeat(200), "]".repeat(200)),
        ] {
            let is_kept = pickled(&json).windows(8).any(|part| part == b"__type__");
            assert!(is_kept, "{json}");
        }
    }

    #[test]
    fn whatever_json_is_written_is_read_back_as_one_value() {
        let seeds = [
            r#"[{"__type__":"datetime","__value__":"2030-01-02T03:04:05.000006+05:30"},1.10]"#,
            r#"{"a":{"__type__":"uuid","__value__":{"hex":"123456789abcdef00123456789abcdef"}}}"#,
            r#"{"__type__":"decimal","__value__":"-12.50e+3"}"#,
            r#"{"__type__":"time","__value__":"23:59:59.999999-00:30"}"#,
            r#"{"__type__":"base64","__value__":"AP8="}"#,
        ];
        let words: [&[u8]; 7] = [b"__type__", b"0", b"9", b"+", b".", b"date", b"\"\""];
        let corpus = support::Corpus::new(seeds.map(|seed| seed.into()).to_vec(), &words);
        let mut made = 0;
        for script in support::scripts(5_000) {
            let text = corpus.changed(&script);
            let Ok(json) = std::str::from_utf8(&text) else {
                continue;
            };
            if serde_json::from_str::<serde_json::Value>(json).is_err() {
                continue;
            }
            let pickle = pickled(json);
            let read = plain(&pickle).or_else(|| {
                made += 1;
                let read = body::plain_pickle(&pickle).ok()?;
                String::from_utf8(read.to_vec()).ok()
            });
            let read = read.unwrap_or_else(|| panic!("{json} is lost"));
            serde_json::from_str::<serde_json::Value>(&read).unwrap();
        }
        assert!(made > 50, "{made}");
    }

    #[test]
    fn nested_marks_cost_no_more_than_their_length() {
        let deep = r#"{"__type__":"date","__value__":"#.repeat(20_000);
        let json = format!("{deep}1{}", "}".repeat(20_000));
        assert!(pickled(&json).len() < 2 * json.len());
    }
}
