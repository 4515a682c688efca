//! Numbers as JSON texts that keep their digits.

use super::BodyError;
use std::fmt::Write as _;

/// Most digits of a whole number, as Python's own limit: more take quadratic time
/// to print and to read.
pub const DIGITS: usize = 4_300;
/// Most bytes of a whole number in two's complement: what 4,300 digits need.
const BYTES: usize = 1_786;
/// Digits of one limb.
const LIMB: u64 = 1_000_000_000;

/// A float as JSON.
pub(super) fn float(number: f64) -> Result<String, BodyError> {
    match serde_json::Number::from_f64(number) {
        Some(number) => Ok(number.to_string()),
        None => Err(BodyError::no_json(
            "NaN and Infinity are not JSON; send null or a text instead",
        )),
    }
}

/// A whole number of little-endian two's complement, as pickle has them.
pub(super) fn long(bytes: &[u8]) -> Result<String, BodyError> {
    if bytes.len() > BYTES {
        return Err(too_long());
    }
    let is_negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if is_negative {
        let mut carry = true;
        for byte in &mut magnitude {
            let (value, more) = (!*byte).overflowing_add(u8::from(carry));
            *byte = value;
            carry = more;
        }
    }
    let text = decimal(&magnitude);
    match text.len() {
        length if length > DIGITS => Err(too_long()),
        _ if is_negative => Ok(format!("-{text}")),
        _ => Ok(text),
    }
}

/// The digits of a little-endian magnitude.
fn decimal(magnitude: &[u8]) -> String {
    let mut limbs: Vec<u64> = Vec::new();
    for word in magnitude.rchunks(4) {
        let mut carry = 0;
        for byte in word.iter().rev() {
            carry = (carry << 8) | u64::from(*byte);
        }
        let shift = 8 * word.len();
        for limb in &mut limbs {
            let value = (*limb << shift) + carry;
            *limb = value % LIMB;
            carry = value / LIMB;
        }
        while carry > 0 {
            limbs.push(carry % LIMB);
            carry /= LIMB;
        }
    }
    let mut limbs = limbs.iter().rev();
    let mut text = limbs.next().map_or("0".to_owned(), u64::to_string);
    for limb in limbs {
        let _ = write!(text, "{limb:09}");
    }
    text
}

/// A whole number of decimal digits with a sign.
pub(super) fn whole(text: &str) -> Option<Result<String, BodyError>> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if digits.len() > DIGITS {
        return Some(Err(too_long()));
    }
    Some(Ok(match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => format!("{sign}{digits}"),
    }))
}

fn too_long() -> BodyError {
    BodyError::too_large(format!(
        "a whole number has more than {DIGITS} digits (fixed); send it as text"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_keep_every_digit() {
        for (bytes, expected) in [
            (&[][..], "0"),
            (&[0], "0"),
            (&[0xff], "-1"),
            (&[0x80], "-128"),
            (&[0xff, 0], "255"),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 1], "18446744073709551616"),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0xff], "-18446744073709551616"),
            (&[0, 0xca, 0x9a, 0x3b, 0], "1000000000"),
        ] {
            assert_eq!(long(bytes).unwrap(), expected, "{bytes:?}");
        }
        for (text, expected) in [("007", "7"), ("-0", "0"), ("+12", "12"), ("-9", "-9")] {
            assert_eq!(whole(text).unwrap().unwrap(), expected);
        }
        assert_eq!(whole("1_0"), None);
        assert_eq!(whole("-"), None);
    }

    #[test]
    fn the_digits_of_a_whole_number_have_an_end() {
        assert!(whole(&"9".repeat(DIGITS)).unwrap().is_ok());
        assert!(whole(&"9".repeat(DIGITS + 1)).unwrap().is_err());
        assert_eq!(long(&[0x11; BYTES]).unwrap().len(), DIGITS);
        assert!(long(&[0x7f; BYTES]).is_err());
        assert!(long(&[0; BYTES + 1]).is_err());
    }

    #[test]
    fn floats_are_json_or_refused() {
        assert_eq!(float(1.0).unwrap(), "1.0");
        assert_eq!(float(0.1).unwrap(), "0.1");
        assert!(float(f64::NAN).is_err());
        assert!(float(f64::NEG_INFINITY).is_err());
    }
}
