//! Versions of a module: the number we give, and the name its author may give.

use std::fmt;
use std::str::FromStr;

/// Longest name of a version, bytes.
const RELEASE_BYTES: usize = 64;

/// The name that an author gave a version, as in `1.4.0`: a semantic version, at most 64
/// bytes. Names are ordered as semantic versions are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(semver::Version);

/// A version of a module, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// By its number.
    Number(u32),
    /// By the name that its author gave it.
    Release(Release),
}

/// A text that cannot name a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// No semantic version.
    #[error(
        "{0:?} is not a version such as 1.4.0; use three numbers joined by dots, at most {RELEASE_BYTES} bytes"
    )]
    Release(String),
    /// Neither a number nor a semantic version.
    #[error("{0:?} is no version; use its number, such as 3, or its name, such as 1.4.0")]
    Wanted(String),
}

impl FromStr for Release {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let read = semver::Version::parse(text).ok();
        let fits = read.filter(|_| text.len() <= RELEASE_BYTES);
        fits.map(Self)
            .ok_or_else(|| VersionError::Release(text.chars().take(RELEASE_BYTES).collect()))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Wanted {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let wrong = |_| VersionError::Wanted(text.chars().take(RELEASE_BYTES).collect());
        match text.parse() {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => text.parse().map(Self::Release).map_err(wrong),
        }
    }
}

impl From<u32> for Wanted {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Release(release) => release.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    #[test]
    fn a_release_is_a_semantic_version_and_is_ordered_as_one() {
        assert!(release("1.10.0") > release("1.9.9"));
        assert!(release("2.0.0-rc.1") < release("2.0.0"));
        for good in ["0.0.0", "1.4.0", "1.0.0-rc.1+build.5"] {
            assert_eq!(release(good).to_string(), good);
        }
        for bad in ["", "1", "1.4", "v1.4.0", "1.4.0 ", "01.0.0", "1.0.0\n"] {
            assert!(bad.parse::<Release>().is_err(), "{bad:?}");
        }
        assert!(
            format!("1.0.0-{}", "a".repeat(58))
                .parse::<Release>()
                .is_ok()
        );
        assert!(
            format!("1.0.0-{}", "a".repeat(59))
                .parse::<Release>()
                .is_err()
        );
    }

    #[test]
    fn a_version_is_named_by_its_number_or_its_release() {
        for (text, expected) in [
            ("3", Some(Wanted::Number(3))),
            ("1.4.0", Some(Wanted::Release(release("1.4.0")))),
            ("1.4", None),
            ("-1", None),
            ("latest", None),
        ] {
            assert_eq!(text.parse::<Wanted>().ok(), expected, "{text:?}");
        }
        assert_eq!(Wanted::from(7).to_string(), "7");
    }
}
