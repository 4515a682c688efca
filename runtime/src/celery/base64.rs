//! Base64, by the widest instructions of the processor: the bodies of long chains are large.

use base64::engine::general_purpose::PAD;
use std::sync::LazyLock;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
type Standard = base64::engine::Simd;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Standard = base64::engine::GeneralPurpose;

/// The standard alphabet, padded.
pub(super) static STANDARD: LazyLock<Standard> = LazyLock::new(standard);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn standard() -> Standard {
    Standard::standard(PAD)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn standard() -> Standard {
    Standard::new(&base64::alphabet::STANDARD, PAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose;

    #[test]
    fn it_is_what_everybody_writes_and_refuses_what_everybody_refuses() {
        for length in (0..200).chain([4_095, 4_096, 100_003]) {
            let bytes: Vec<u8> = (0..=250).cycle().step_by(31).take(length).collect();
            let text = general_purpose::STANDARD.encode(&bytes);
            assert_eq!(STANDARD.encode(&bytes), text);
            assert_eq!(STANDARD.decode(&text).as_deref(), Ok(&bytes[..]));
            let mut bad = text.into_bytes();
            if let Some(last) = bad.len().checked_sub(5) {
                for wrong in [b'-', b' ', b'=', 0, 0xff] {
                    bad[last / 2] = wrong;
                    assert!(STANDARD.decode(&bad).is_err());
                    assert!(general_purpose::STANDARD.decode(&bad).is_err());
                }
            }
        }
        for text in ["A", "AA", "AAA", "AB==", "AA=A", "====", "\n"] {
            let strict = general_purpose::STANDARD.decode(text);
            assert_eq!(STANDARD.decode(text), strict, "{text:?}");
        }
    }
}
