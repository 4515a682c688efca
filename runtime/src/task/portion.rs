//! A portion of all tasks.

use std::fmt;
use std::str::FromStr;

/// A share of a whole in hundredths of a percent, 0 to 10,000: `5%`, `0.25%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Portion(u16);

/// A text or number that cannot be a share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a share; use 0% to 100%, with two digits after the point at most")]
pub struct PortionError(String);

impl Portion {
    /// The parts of the whole.
    pub const WHOLE: u16 = 10_000;

    /// Makes a share of whole percents; what is more than 100 is 100.
    #[must_use]
    pub const fn percent(percent: u8) -> Self {
        let percent = if percent > 100 { 100 } else { percent };
        // A constant function can widen only so.
        let [low] = percent.to_le_bytes();
        Self(u16::from_le_bytes([low, 0]) * 100)
    }

    /// Returns it in hundredths of a percent.
    #[must_use]
    pub fn parts(self) -> u16 {
        self.0
    }

    /// Tells whether it is nothing or all.
    #[must_use]
    pub fn is_whole_or_nothing(self) -> bool {
        self.0 == 0 || self.0 == Self::WHOLE
    }
}

impl TryFrom<i64> for Portion {
    type Error = PortionError;

    /// Reads hundredths of a percent.
    fn try_from(parts: i64) -> Result<Self, PortionError> {
        let parts = u16::try_from(parts).ok();
        let fits = parts.filter(|parts| *parts <= Self::WHOLE);
        fits.map(Self)
            .ok_or_else(|| PortionError(format!("{parts:?} hundredths of a percent")))
    }
}

impl FromStr for Portion {
    type Err = PortionError;

    fn from_str(text: &str) -> Result<Self, PortionError> {
        let read = || -> Option<Self> {
            let number = text.strip_suffix('%')?;
            let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
            let is_number = |text: &str, most: usize| {
                (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
            };
            if !is_number(whole, 3) || !is_number(part, 2) {
                return None;
            }
            let part: u16 = format!("{part:0<2}").parse().ok()?;
            let parts = whole.parse::<u16>().ok()? * 100 + part;
            (parts <= Self::WHOLE).then_some(Self(parts))
        };
        read().ok_or_else(|| PortionError(text.chars().take(16).collect()))
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_with_two_digits_at_most() {
        for (text, parts, shown) in [
            ("5%", 500, "5%"),
            ("0%", 0, "0%"),
            ("100%", 10_000, "100%"),
            ("0.25%", 25, "0.25%"),
            ("12.5%", 1_250, "12.50%"),
            ("99.99%", 9_999, "99.99%"),
        ] {
            let share: Portion = text.parse().unwrap();
            assert_eq!((share.parts(), share.to_string().as_str()), (parts, shown));
            assert_eq!(Portion::try_from(i64::from(parts)), Ok(share));
        }
        for bad in [
            "", "%", "5", "101%", "100.01%", "-5%", "5.%", ".5%", "1.234%", "+5%", "1e2%", "٥%",
        ] {
            assert!(bad.parse::<Portion>().is_err(), "{bad:?}");
        }
        assert!(Portion::try_from(10_001).is_err());
        assert!(Portion::try_from(-1).is_err());
        assert_eq!(Portion::percent(200), Portion::percent(100));
    }
}
