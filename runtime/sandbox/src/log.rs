//! The log of one attempt: bounded, escaped, shared by `log.emit`, standard
//! output and standard error.

use crate::defence::{Defence, stands};
use crate::limits::Limits;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of standard error kept for the message of a trap, whatever the budget
/// of the log: a panic comes last.
const TAIL_BYTES: usize = 4 << 10;
/// Longest line; the rest of it is a new line. Keeps a flood without line feeds
/// from growing one string.
const LINE_BYTES: usize = 16 << 10;
/// What a field of a line takes of the budget beside its text, bytes: it is kept as two
/// strings, however short they are.
pub(crate) const FIELD_COST: u64 = 8;

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Of use to its author while writing it.
    Trace,
    /// Of use when something is searched.
    Debug,
    /// What happens.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// How important.
    pub level: Level,
    /// The text; control characters but line feed and tab are escaped.
    pub message: String,
    /// Names and values, likewise escaped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// Whether the host says it, such as a denial, and not the guest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_host: bool,
}

/// The log of an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The lines that found room.
    pub lines: Vec<Line>,
    /// Lines that did not.
    pub dropped_lines: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// How many lines there was room for; told where some were dropped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub room_lines: u64,
    /// How many bytes there was room for, likewise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub room_bytes: u64,
}

impl Log {
    /// Says what found no room, how much room there was, and what makes more.
    #[must_use]
    pub fn dropped(&self) -> Option<String> {
        let (lines, bytes) = (self.dropped_lines, self.dropped_bytes);
        let (room, most) = (self.room_lines, self.room_bytes);
        match (lines, room + most) {
            (0, _) => None,
            // Its worker did not tell.
            (_, 0) => Some(format!(
                "{lines} more lines of {bytes} bytes were dropped; limits.log_lines and limits.log make room"
            )),
            _ => Some(format!(
                "{lines} more lines of {bytes} bytes were dropped; there is room for limits.log_lines = {room} and limits.log = {most} bytes"
            )),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The log while the attempt runs. Clones are one log.
#[derive(Debug, Clone)]
pub(crate) struct LogBook(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    log: Log,
    bytes_left: u64,
    lines_left: u32,
    room: (u64, u64),
    lowest: Level,
    partial: [String; 2],
    tail: String,
    panic: Option<String>,
}

/// Where a byte of output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl LogBook {
    pub(crate) fn new(limits: &Limits, lowest: Level) -> Self {
        Self(Arc::new(Mutex::new(Book {
            log: Log::default(),
            bytes_left: limits.log_bytes,
            lines_left: limits.log_lines,
            room: (u64::from(limits.log_lines), limits.log_bytes),
            lowest,
            partial: [String::new(), String::new()],
            tail: String::new(),
            panic: None,
        })))
    }

    /// A lock that was poisoned by a panic still holds a usable log.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enabled(&self, level: Level) -> bool {
        level >= self.book().lowest
    }

    pub(crate) fn emit(&self, level: Level, message: &str, fields: &[(String, String)]) {
        let mut book = self.book();
        if fields.iter().any(|(name, _)| name == "panic") {
            let mut text = String::new();
            escape_into(&mut text, message, TAIL_BYTES);
            book.panic = Some(text);
        }
        if level >= book.lowest {
            book.push(level, message, fields);
        }
    }

    /// Writes what the host has to say, a warning that no guest can imitate.
    pub(crate) fn warn(&self, message: &str, fields: &[(String, String)]) {
        let mut book = self.book();
        let before = book.log.lines.len();
        book.push(Level::Warn, message, fields);
        for line in book.log.lines.iter_mut().skip(before) {
            line.by_host = true;
        }
    }

    pub(crate) fn write(&self, stream: Stream, bytes: &[u8]) {
        self.book().write(stream, bytes);
    }

    /// Returns the panic's text, or else what standard error said last.
    pub(crate) fn last_words(&self) -> Option<(String, bool)> {
        let book = self.book();
        if let Some(text) = &book.panic {
            return Some((text.clone(), true));
        }
        let tail = book.tail.trim();
        (!tail.is_empty()).then(|| (tail.to_owned(), tail.contains("panicked")))
    }

    /// Takes the log out.
    pub(crate) fn finish(&self) -> Log {
        let mut book = self.book();
        for stream in [Stream::Out, Stream::Err] {
            book.end_line(stream);
        }
        if book.log.dropped_lines > 0 {
            (book.log.room_lines, book.log.room_bytes) = book.room;
        }
        std::mem::take(&mut book.log)
    }
}

impl Book {
    fn push(&mut self, level: Level, message: &str, fields: &[(String, String)]) {
        let lengths = fields.iter().map(|(name, value)| name.len() + value.len());
        let text = (message.len() + lengths.sum::<usize>()) as u64;
        let bytes = text.saturating_add(FIELD_COST.saturating_mul(fields.len() as u64));
        let is_full = self.lines_left == 0 || bytes > self.bytes_left;
        if is_full && stands(Defence::Log) {
            self.log.dropped_lines += 1;
            self.log.dropped_bytes += bytes;
            return;
        }
        self.lines_left = self.lines_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        self.log.lines.push(Line {
            level,
            message: escape(message),
            fields: fields
                .iter()
                .map(|(name, value)| (escape(name), escape(value)))
                .collect(),
            by_host: false,
        });
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if stream == Stream::Err {
            escape_into(&mut self.tail, &text, usize::MAX);
            let over = self.tail.len().saturating_sub(TAIL_BYTES);
            let cut = (over..=self.tail.len()).find(|at| self.tail.is_char_boundary(*at));
            self.tail.drain(..cut.unwrap_or(0));
        }
        for piece in text.split_inclusive('\n') {
            self.append(stream, piece);
        }
    }

    fn append(&mut self, stream: Stream, piece: &str) {
        let Some(partial) = self.partial.get_mut(stream as usize) else {
            return;
        };
        if partial.len() + piece.len() > LINE_BYTES {
            self.end_line(stream);
        }
        if piece.len() > LINE_BYTES {
            self.push(level_of(stream), piece.trim_end(), &[]);
            return;
        }
        if let Some(partial) = self.partial.get_mut(stream as usize) {
            partial.push_str(piece);
        }
        if piece.ends_with('\n') {
            self.end_line(stream);
        }
    }

    fn end_line(&mut self, stream: Stream) {
        let line = self.partial.get_mut(stream as usize).map(std::mem::take);
        if let Some(line) = line.filter(|line| !line.is_empty()) {
            self.push(level_of(stream), line.trim_end_matches(['\n', '\r']), &[]);
        }
    }
}

fn level_of(stream: Stream) -> Level {
    match stream {
        Stream::Out => Level::Info,
        Stream::Err => Level::Warn,
    }
}

/// Escapes control characters, so that a guest's text cannot drive a terminal.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_into(&mut out, text, usize::MAX);
    out
}

fn escape_into(out: &mut String, text: &str, most: usize) {
    let end = out.len().saturating_add(most);
    for c in text.chars() {
        if out.len() >= end {
            return;
        }
        // The bidirectional overrides can make a line read as something else.
        let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let commands = (c.is_control() && c != '\n' && c != '\t') || reorders;
        if commands && stands(Defence::Escapes) {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(bytes: u64, lines: u32) -> LogBook {
        let limits = Limits {
            log_bytes: bytes,
            log_lines: lines,
            ..Limits::default()
        };
        LogBook::new(&limits, Level::Debug)
    }

    #[test]
    fn lines_over_the_count_are_dropped_and_counted() {
        let log = book(1_000, 2);
        for _ in 0..5 {
            log.emit(Level::Info, "line", &[]);
        }
        let log = log.finish();
        assert_eq!(
            (log.lines.len(), log.dropped_lines, log.dropped_bytes),
            (2, 3, 12)
        );
    }

    #[test]
    fn bytes_over_the_budget_are_dropped_and_counted() {
        let log = book(8, 100);
        log.emit(
            Level::Info,
            "12345678",
            &[("a".to_owned(), "bc".to_owned())],
        );
        log.emit(Level::Info, "123456789", &[]);
        let log = log.finish();
        assert_eq!((log.lines.len(), log.dropped_lines), (0, 2));
    }

    #[test]
    fn fields_without_any_text_use_the_budget_up() {
        let log = book(1_000, 100);
        let empty = (String::new(), String::new());
        log.emit(Level::Info, "", &vec![empty.clone(); 126]);
        log.emit(Level::Info, "", &vec![empty.clone(); 125]);
        log.emit(Level::Info, "", &[empty]);
        let log = log.finish();
        let kept: usize = log.lines.iter().map(|line| line.fields.len()).sum();
        assert_eq!(
            (kept, log.dropped_lines, log.dropped_bytes),
            (125, 2, 1_016)
        );
    }

    #[test]
    fn output_is_cut_into_lines_across_writes() {
        let log = book(1_000, 100);
        log.write(Stream::Out, b"one\ntw");
        log.write(Stream::Err, b"oops");
        log.write(Stream::Out, b"o\r\n");
        let lines: Vec<_> = log
            .finish()
            .lines
            .into_iter()
            .map(|line| line.message)
            .collect();
        assert_eq!(lines, ["one", "two", "oops"]);
    }

    #[test]
    fn a_flood_without_line_feeds_stays_bounded() {
        let log = book(100 << 10, 100);
        for _ in 0..1_000 {
            log.write(Stream::Out, &[b'x'; 4096]);
        }
        let log = log.finish();
        let kept: usize = log.lines.iter().map(|line| line.message.len()).sum();
        assert!(kept <= 100 << 10 && log.dropped_bytes > 3_900_000);
    }

    #[test]
    fn terminal_escapes_are_neutralised() {
        let log = book(1_000, 100);
        log.emit(Level::Info, "\u{1b}[2Jä\n\t\u{202e}x\u{7}", &[]);
        assert_eq!(
            log.finish().lines[0].message,
            "\\u{1b}[2Jä\n\t\\u{202e}x\\u{7}"
        );
    }

    #[test]
    fn the_text_of_a_panic_outlives_a_full_log() {
        let log = book(0, 0);
        log.write(Stream::Err, &[b'x'; 10_000]);
        log.write(Stream::Err, b"\nthread panicked at lib.rs:1: boom");
        assert!(log.last_words().unwrap().0.ends_with("boom"));
        log.emit(
            Level::Error,
            "panicked at lib.rs: bang",
            &[("panic".to_owned(), "true".to_owned())],
        );
        assert_eq!(
            log.last_words(),
            Some(("panicked at lib.rs: bang".to_owned(), true))
        );
    }

    #[test]
    fn what_was_dropped_is_told_with_the_limits_and_their_keys() {
        let log = book(10, 2);
        for text in ["one", "two", "three", "four"] {
            log.emit(Level::Info, text, &[]);
        }
        assert_eq!(
            log.finish().dropped().as_deref(),
            Some(
                "2 more lines of 9 bytes were dropped; there is room for limits.log_lines = 2 and limits.log = 10 bytes"
            )
        );
        let log = book(1_000, 100);
        log.emit(Level::Info, "one", &[]);
        assert_eq!(log.finish().dropped(), None);
        let old: Log =
            serde_json::from_str(r#"{"lines": [], "dropped_lines": 1, "dropped_bytes": 7}"#)
                .unwrap();
        assert!(old.dropped().unwrap().ends_with("limits.log make room"));
    }

    #[test]
    fn lines_below_the_lowest_level_are_not_kept() {
        let log = book(1_000, 100);
        log.emit(Level::Trace, "no", &[]);
        assert!(!log.enabled(Level::Trace) && log.enabled(Level::Debug));
        assert!(log.finish().lines.is_empty());
    }
}
