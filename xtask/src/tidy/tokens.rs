//! Cuts Rust text into words and signs, without comments and strings, so that
//! a rule cannot be fooled by prose.

use std::iter::Peekable;
use std::str::Chars;

/// A word, `::`, or one sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Token {
    /// Returns whether it is a name (or a keyword).
    pub(super) fn is_word(&self) -> bool {
        self.text
            .starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// Cuts a file into tokens; strings and characters become `""`.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut cutter = Cutter {
        chars: text.chars().peekable(),
        line: 1,
        found: Vec::new(),
    };
    while let Some(next) = cutter.next() {
        cutter.cut(next);
    }
    cutter.found
}

struct Cutter<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
    found: Vec<Token>,
}

impl Cutter<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.chars.next()?;
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let there = self.chars.peek() == Some(&wanted);
        if there {
            self.next();
        }
        there
    }

    fn push(&mut self, text: impl Into<String>, line: usize) {
        self.found.push(Token {
            text: text.into(),
            line,
        });
    }

    fn cut(&mut self, first: char) {
        let line = self.line;
        match first {
            '/' if self.eat('/') => self.skip_line(),
            '/' if self.eat('*') => self.skip_block(),
            '"' => self.string(line),
            '\'' => self.quote(line),
            ':' if self.eat(':') => self.push("::", line),
            letter if letter.is_alphabetic() || letter == '_' => self.word(letter, line),
            digit if digit.is_ascii_digit() => self.number(),
            space if space.is_whitespace() => {}
            sign => self.push(sign, line),
        }
    }

    fn skip_line(&mut self) {
        while self.chars.peek().is_some_and(|next| *next != '\n') {
            self.next();
        }
    }

    fn skip_block(&mut self) {
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some('*') if self.eat('/') => depth -= 1,
                Some('/') if self.eat('*') => depth += 1,
                Some(_) => {}
                None => break,
            }
        }
    }

    fn string(&mut self, line: usize) {
        while let Some(next) = self.next() {
            match next {
                '\\' => drop(self.next()),
                '"' => break,
                _ => {}
            }
        }
        self.push("\"\"", line);
    }

    /// Skips a raw string whose `r` was read; gives back whether it was one.
    fn raw_string(&mut self, line: usize) -> bool {
        let mut ahead = self.chars.clone();
        let mut hashes = 0;
        while ahead.peek() == Some(&'#') {
            ahead.next();
            hashes += 1;
        }
        if ahead.next() != Some('"') {
            return false;
        }
        for _ in 0..=hashes {
            self.next();
        }
        while let Some(next) = self.next() {
            if next == '"' && (0..hashes).all(|_| self.eat('#')) {
                break;
            }
        }
        self.push("\"\"", line);
        true
    }

    /// Tells a character from a lifetime; a lifetime leaves nothing.
    fn quote(&mut self, line: usize) {
        let Some(first) = self.next() else { return };
        if first == '\\' {
            self.next();
            while self.next().is_some_and(|next| next != '\'') {}
            self.push("\"\"", line);
        } else if self.eat('\'') {
            self.push("\"\"", line);
        } else {
            self.skip_word();
        }
    }

    fn skip_word(&mut self) {
        while self
            .chars
            .peek()
            .is_some_and(|next| next.is_alphanumeric() || *next == '_')
        {
            self.next();
        }
    }

    fn number(&mut self) {
        self.skip_word();
    }

    fn word(&mut self, first: char, line: usize) {
        let mut word = String::from(first);
        while let Some(next) = self.chars.peek().copied() {
            if !next.is_alphanumeric() && next != '_' {
                break;
            }
            word.push(next);
            self.next();
        }
        let prefix = matches!(word.as_str(), "r" | "br" | "cr");
        if prefix && self.raw_string(line) {
            return;
        }
        self.push(word, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let texts: Vec<String> = tokens(text).into_iter().map(|token| token.text).collect();
        texts.join(" ")
    }

    #[test]
    fn paths_are_cut_at_their_colons() {
        assert_eq!(
            words("use crate::{a, b::C};"),
            "use crate :: { a , b :: C } ;"
        );
    }

    #[test]
    fn comments_strings_characters_and_lifetimes_leave_no_words() {
        assert_eq!(words("a // crate::x\nb /* c /* d */ e */ f"), "a b f");
        assert_eq!(
            words(r##"x "crate::y \" z" r#"q " q"# b"w""##),
            "x \"\" \"\" b \"\""
        );
        assert_eq!(words(r"fn f<'a>(c: &'a str) { '\'' ; '\u{1f}' ; '{' }"), {
            "fn f < > ( c : & str ) { \"\" ; \"\" ; \"\" }"
        });
    }

    #[test]
    fn lines_are_counted_through_strings_and_comments() {
        let found = tokens("a\n/*\n*/ b \"\n\" c\nr#\"\n\"# d");
        let lines: Vec<(&str, usize)> = found
            .iter()
            .map(|token| (token.text.as_str(), token.line))
            .collect();
        assert_eq!(
            lines,
            [
                ("a", 1),
                ("b", 3),
                ("\"\"", 3),
                ("c", 4),
                ("\"\"", 5),
                ("d", 6)
            ]
        );
    }
}
