//! The text of a token, `clr_ID_SECRET`.

use crate::platform::random;
use std::fmt;
use std::io;
use std::str::FromStr;

/// What every token begins with, so that it is known where it was left lying.
const BEGINNING: &str = "clr_";
/// Random bytes of an id: it is no secret, and two that are the same are unlikely.
const ID_BYTES: usize = 6;
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Separates this use of the hash from every other one.
const PURPOSE: &str = "celeriac 0.1 token";

/// The id of a token: 12 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(String);

/// A text that is no id of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id of a token has {} hexadecimal digits; `celeriac token list` shows them", 2 * ID_BYTES)]
pub struct TokenIdError;

impl TokenId {
    /// Returns it as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenId {
    type Err = TokenIdError;

    fn from_str(text: &str) -> Result<Self, TokenIdError> {
        match is_hex(text, ID_BYTES) {
            true => Ok(Self(text.to_owned())),
            false => Err(TokenIdError),
        }
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The whole of a token. Whoever has it may do what it is for.
#[derive(Clone)]
pub struct TokenText {
    id: TokenId,
    text: String,
}

impl TokenText {
    /// Makes up a token.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(super) fn random() -> io::Result<Self> {
        let digits = random::digits::<{ ID_BYTES + SECRET_BYTES }>()?;
        let (id, secret) = digits.split_at(2 * ID_BYTES);
        Ok(Self {
            id: TokenId(id.to_owned()),
            text: format!("{BEGINNING}{id}_{secret}"),
        })
    }

    /// Reads a text that may be a token; `None` when it cannot be one.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(BEGINNING)?.split_once('_')?;
        let id = id.parse().ok()?;
        is_hex(secret, SECRET_BYTES).then(|| Self {
            id,
            text: text.to_owned(),
        })
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.id.clone()
    }

    /// Returns the whole of it, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns what is kept of it. So many random bytes need no slow hash.
    pub(super) fn hash(&self) -> blake3::Hash {
        blake3::Hash::from_bytes(blake3::derive_key(PURPOSE, self.text.as_bytes()))
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGINNING}{}_…", self.id)
    }
}

fn is_hex(text: &str, bytes: usize) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 2 * bytes && text.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_made_and_shows_its_id_alone() {
        let made = TokenText::random().unwrap();
        let read = TokenText::read(made.expose()).unwrap();
        assert_eq!(read.id(), made.id());
        assert_eq!(read.hash(), made.hash());
        let other = TokenText::random().unwrap();
        assert_ne!(other.hash(), made.hash());
        let secret = &made.expose()[4 + 12 + 1..];
        assert_eq!(secret.len(), 64);
        assert!(!format!("{made:?}").contains(secret));
        // The id is part of what is hashed: one secret is not good for two ids.
        let moved = made
            .expose()
            .replacen(made.id().as_str(), "000000000000", 1);
        assert_ne!(TokenText::read(&moved).unwrap().hash(), made.hash());
    }

    #[test]
    fn whatever_else_comes_is_no_token() {
        let made = TokenText::random().unwrap();
        let good = made.expose();
        let long = format!("{good}0");
        for bad in [
            "",
            "clr_",
            "clr__",
            "Bearer x",
            &good[..80],
            &long,
            &good.to_uppercase(),
            &good.replace("clr_", "clx_"),
            &good.replace('_', "-"),
            &"clr_".repeat(10_000),
            "clr_ääääää_ää",
        ] {
            assert!(TokenText::read(bad).is_none(), "{bad:?}");
        }
    }
}
