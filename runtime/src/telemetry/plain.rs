//! Text that cannot command a terminal.

use std::borrow::Cow;

/// Returns a text with everything that a terminal would act on written out as
/// `\u001b`, the form that is also valid inside JSON. Line feeds and tabs stay.
///
/// Guests and messages choose names, failures, logs and results; printed raw,
/// they could rewrite the screen, the window's title or the clipboard.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(commands) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if commands(letter) {
            safe.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

/// Tells whether a letter is a control character, or one that turns the
/// direction of the text around or hides within it.
fn commands(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => true,
        _ => letter.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_written_out_and_text_is_left_alone() {
        assert_eq!(plain("\u{1b}[2J\u{7}"), "\\u001b[2J\\u0007");
        assert_eq!(plain("a\u{9b}31m\u{202e}b\r"), "a\\u009b31m\\u202eb\\u000d");
        assert!(matches!(plain("grüße\n\t日本 👍"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_json_text_stays_the_same_json() {
        let text = "[\"\u{7f}\u{9b}\u{2066}\"]";
        let safe = plain(text).into_owned();
        assert!(safe.is_ascii());
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&safe), value(text));
    }
}
