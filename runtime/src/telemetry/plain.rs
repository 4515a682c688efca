//! Text that cannot command a terminal, nor pass for a line of its own.

use crate::defence::{Defence, stands};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Returns a text with everything that a terminal would act on written out as
/// `\u001b`, the form that is also valid inside JSON. Line feeds and tabs stay.
///
/// Guests and messages choose names, failures, logs and results; printed raw,
/// they could rewrite the screen, the window's title or the clipboard.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    written_out(text, |letter| {
        !matches!(letter, '\n' | '\t') && commands(letter)
    })
}

/// Returns a text likewise, with line feeds and tabs written out too: whoever chose it
/// cannot make it look like two lines, of which the second is ours.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    written_out(text, commands)
}

fn written_out(text: &str, is_out: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_out) || !stands(Defence::Shown) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_out(letter) {
            // Two units for a letter beyond the first 65,536, as JSON has it.
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _written = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

/// Tells whether a letter is a control character, or one that turns the
/// direction of the text around or hides within it.
///
/// The joiners U+200C and U+200D stay: Persian, Hindi and many emoji are written with them.
fn commands(letter: char) -> bool {
    match letter {
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}' => true,
        _ => letter.is_control(),
    }
}

/// A writer of whole texts that cannot command a terminal: one call, one text.
pub(super) struct Plain<W>(pub(super) W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let safe = String::from_utf8_lossy(text);
        self.0.write_all(plain(&safe).as_bytes())?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_written_out_and_text_is_left_alone() {
        assert_eq!(plain("\u{1b}[2J\u{7}"), "\\u001b[2J\\u0007");
        assert_eq!(plain("a\u{9b}31m\u{202e}b\r"), "a\\u009b31m\\u202eb\\u000d");
        for text in ["grüße\n\t日本 👍", "می‌خواهم", "क्‍ष", "👩‍💻"] {
            assert!(matches!(plain(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn what_hides_in_a_text_or_turns_it_around_is_written_out() {
        for (hidden, shown) in [
            ("\u{ad}", "\\u00ad"),
            ("\u{61c}", "\\u061c"),
            ("\u{200f}", "\\u200f"),
            ("\u{2028}", "\\u2028"),
            ("\u{2066}", "\\u2066"),
            ("\u{206f}", "\\u206f"),
            ("\u{fff9}", "\\ufff9"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(plain(&format!("a{hidden}b")), format!("a{shown}b"));
        }
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(
            one_line("t\n12:00:00 ERROR forged\t\r"),
            "t\\u000a12:00:00 ERROR forged\\u0009\\u000d"
        );
        assert!(matches!(one_line("grüße 日本"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_json_text_stays_the_same_json() {
        let text = "[\"\u{7f}\u{9b}\u{2066}\u{e0041}\"]";
        let safe = plain(text).into_owned();
        assert!(safe.is_ascii());
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&safe), value(text));
    }
}
