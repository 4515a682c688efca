//! The keys `worker.confine` and `worker.user`.

use super::error::ConfigError;
use super::reader::Reader;

/// Longest name of a user, bytes, as most systems have it.
const USER_BYTES: usize = 256;

/// Whether a worker puts walls around itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Confine {
    /// Those that the kernel offers.
    #[default]
    Auto,
    /// All of them, or it does not start.
    Require,
    /// None.
    Off,
}

impl Confine {
    const ALL: [Self; 3] = [Self::Auto, Self::Require, Self::Off];

    fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Require => "require",
            Self::Off => "off",
        }
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, ConfigError> {
        let read = |text: &str| {
            let known = Self::ALL.into_iter().find(|one| one.word() == text);
            known.ok_or_else(|| "\"auto\", \"require\" or \"off\" is wanted".to_owned())
        };
        let shown = |one: &Self| one.word().to_owned();
        reader.text("worker.confine", Self::default(), read, shown)
    }
}

/// Reads which user a worker becomes.
pub(super) fn user(reader: &mut Reader) -> Result<Option<String>, ConfigError> {
    reader.text("worker.user", None, named, |user| {
        user.clone().unwrap_or_default()
    })
}

fn named(text: &str) -> Result<Option<String>, String> {
    let strange = |c: char| c.is_control() || c.is_whitespace() || c == ':';
    match text {
        "" => Ok(None),
        _ if text.len() > USER_BYTES || text.contains(strange) => {
            Err("the name or the number of a user is wanted".to_owned())
        }
        _ => Ok(Some(text.to_owned())),
    }
}
