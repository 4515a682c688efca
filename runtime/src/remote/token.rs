//! The token that is shown to a control plane. Nobody sees it.

use super::RemoteError;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// Longest token, bytes: ours have 81.
pub const TOKEN_BYTES: usize = 4_096;
/// What others than its owner and its group may do with a file.
const OTHERS: u32 = 0o007;

/// A token; its text is for the control plane alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// Keeps a token.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Reads the file of a token, without the white space around it. It blocks.
    ///
    /// # Errors
    /// [`RemoteError::Misconfigured`] when it cannot be read, others can read it too, or no
    /// token is in it.
    pub fn read(path: &Path) -> Result<Self, RemoteError> {
        let wrong = |reason: String| RemoteError::Misconfigured {
            what: format!("the file of the token {} {reason}", path.display()),
        };
        let unreadable = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode();
        if mode & OTHERS != 0 {
            let shown = path.display();
            return Err(wrong(format!(
                "can be used by everybody on this machine; `chmod 600 {shown}`"
            )));
        }
        // One byte over the limit, and a line feed, are enough to be refused for it.
        let most = TOKEN_BYTES as u64 + 2;
        let mut text = String::new();
        file.take(most)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        let text = text.trim();
        let is_one = (1..=TOKEN_BYTES).contains(&text.len())
            && text.chars().all(|letter| letter.is_ascii_graphic());
        match is_one {
            true => Ok(Self::new(text)),
            false => Err(wrong(format!(
                "holds no token: printable ASCII without spaces, of at most {TOKEN_BYTES} bytes"
            ))),
        }
    }

    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    fn read(text: &str, mode: u32) -> Result<Token, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Token::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_read_without_the_space_around_the_token() {
        for mode in [0o600, 0o400, 0o440] {
            assert_eq!(read("clr_hunter2\n", mode), Ok(Token::new("clr_hunter2")));
        }
        let longest = "x".repeat(TOKEN_BYTES);
        assert_eq!(
            read(&format!("{longest}\n"), 0o600),
            Ok(Token::new(&longest))
        );
    }

    #[test]
    fn a_file_that_everybody_can_read_is_refused_with_what_to_do() {
        for mode in [0o644, 0o604, 0o606] {
            let error = read("clr_hunter2\n", mode).unwrap_err();
            assert!(error.contains("chmod 600"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        let long = "x".repeat(TOKEN_BYTES + 1);
        for text in ["", "\n", "two hunter2", "h\u{e4}nter2", long.as_str()] {
            let error = read(text, 0o600).unwrap_err();
            assert!(error.contains("holds no token"), "{error}");
            assert!(
                !error.contains("hunter2") && !error.contains("xxx"),
                "{error}"
            );
        }
        assert_eq!(format!("{:?}", Token::new("hunter2")), "Token(***)");
    }
}
