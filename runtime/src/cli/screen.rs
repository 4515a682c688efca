//! The one writer of the command line: text for people, JSON for programs.
//!
//! Everything that is printed goes through [`plain`], because names, failures,
//! logs and results are chosen by guests and by whoever sends messages. What has several
//! lines is indented from the second on, so that none of them looks like one of ours.
//! Facts go to standard output; notes, progress and errors to standard error.

use super::exit::{Exit, classify};
use crate::telemetry::plain;
use console::{Alignment, Style, measure_text_width, pad_str};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

/// How often a spinner turns.
const SPIN: Duration = Duration::from_millis(100);
/// Longest text beside a spinner, characters: it must fit one line.
const BESIDE: usize = 100;
/// Longest cell of a table, characters: every row is as wide as the widest.
const CELL: usize = 300;

/// How a piece of a line looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Good,
    Bad,
    Strong,
    Dim,
}

/// A line in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Vec<(Tone, String)>);

impl Line {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn text(self, text: impl AsRef<str>) -> Self {
        self.with(Tone::Plain, text.as_ref())
    }

    pub(crate) fn good(self, text: impl AsRef<str>) -> Self {
        self.with(Tone::Good, text.as_ref())
    }

    pub(crate) fn bad(self, text: impl AsRef<str>) -> Self {
        self.with(Tone::Bad, text.as_ref())
    }

    pub(crate) fn strong(self, text: impl AsRef<str>) -> Self {
        self.with(Tone::Strong, text.as_ref())
    }

    pub(crate) fn dim(self, text: impl AsRef<str>) -> Self {
        self.with(Tone::Dim, text.as_ref())
    }

    fn with(mut self, tone: Tone, text: &str) -> Self {
        self.0.push((tone, indented(text)));
        self
    }

    fn render(&self, colours: bool) -> String {
        let piece = |(tone, text): &(Tone, String)| {
            let style = Style::new().force_styling(colours);
            let style = match tone {
                Tone::Plain => return text.clone(),
                Tone::Good => style.green(),
                Tone::Bad => style.red().bold(),
                Tone::Strong => style.bold(),
                Tone::Dim => style.dim(),
            };
            style.apply_to(text).to_string()
        };
        self.0.iter().map(piece).collect()
    }
}

impl<T: AsRef<str>> From<T> for Line {
    fn from(text: T) -> Self {
        Self::new().text(text)
    }
}

/// Prints what a command has to say.
pub(crate) struct Screen {
    json: bool,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    colours: bool,
    progress: bool,
}

impl Screen {
    /// Makes the screen of this process.
    pub(crate) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none();
        Self {
            json,
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            colours: wanted && io::stdout().is_terminal(),
            progress: !json && io::stderr().is_terminal(),
        }
    }

    /// Tells whether a program reads: then exactly one document is printed.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a line for people; nothing when a program reads.
    pub(crate) fn line(&mut self, line: impl Into<Line>) {
        if !self.json {
            let text = line.into().render(self.colours);
            put(&mut self.out, &text);
        }
    }

    /// Prints the one document for programs; nothing when a person reads.
    pub(crate) fn document(&mut self, document: &impl Serialize) {
        if self.json {
            // What we print is made of texts, numbers and checked JSON.
            let text = serde_json::to_string(document)
                .unwrap_or_else(|error| format!("{{\"error\":{:?}}}", error.to_string()));
            put(&mut self.out, &one_document(&text));
        }
    }

    /// Prints a JSON value as it was written, for people; nothing when a program reads.
    pub(crate) fn value(&mut self, json: &str) {
        if !self.json {
            put(&mut self.out, &plain(&json.replace('\r', "")));
        }
    }

    /// Prints text of any number of lines for people, such as a result; nothing when a
    /// program reads. It comes last, where no line of ours follows.
    pub(crate) fn text(&mut self, text: &str) {
        if !self.json {
            put(&mut self.out, &plain(text));
        }
    }

    /// Prints text for people as it is, such as a completion script or JSON.
    pub(crate) fn block(&mut self, text: &str) {
        put(&mut self.out, plain(text).trim_end_matches('\n'));
    }

    /// Prints rows in columns under their names.
    pub(crate) fn table(&mut self, names: &[&str], rows: Vec<Vec<String>>) {
        if self.json {
            return;
        }
        let header = names.iter().map(|name| (*name).to_owned()).collect();
        // A line feed in a cell would break the columns of its neighbours.
        let plain_row = |row: Vec<String>| {
            row.iter()
                .map(|cell| shortened(&plain(&cell.replace(['\n', '\t'], " "))))
                .collect()
        };
        let rows: Vec<Vec<String>> = [header]
            .into_iter()
            .chain(rows.into_iter().map(plain_row))
            .collect();
        let width = |column: usize| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| measure_text_width(cell))
                .max()
        };
        let widths: Vec<usize> = (0..names.len()).filter_map(width).collect();
        for row in &rows {
            let cells = row.iter().zip(&widths);
            let line: Vec<_> = cells
                .map(|(cell, width)| pad_str(cell, *width, Alignment::Left, None))
                .collect();
            put(&mut self.out, line.join("  ").trim_end());
        }
    }

    /// Prints a remark on standard error, for people and beside JSON.
    pub(crate) fn note(&mut self, text: &str) {
        put(&mut self.err, &indented(text));
    }

    /// Prints a remark while a spinner turns.
    pub(crate) fn note_beside(&mut self, spinner: &Spinner, text: &str) {
        match self.progress {
            true => spinner.bar.println(indented(text)),
            false => self.note(text),
        }
    }

    /// Prints an error: what, which value, and a hint; returns the exit code.
    pub(crate) fn error(&mut self, error: &anyhow::Error) -> Exit {
        let (exit, hint) = classify(error);
        let message = chain(error);
        if self.json {
            let hint = hint.as_deref();
            self.document(&serde_json::json!({"error": {"code": exit.word(), "message": message, "hint": hint}}));
            return exit;
        }
        let colours = self.progress && self.colours;
        let line = match message.starts_with("refused: ") {
            true => Line::new().text(&message),
            false => Line::new().bad("error: ").text(&message),
        };
        let line = line.render(colours);
        put(&mut self.err, &line);
        if let Some(hint) = hint {
            put(
                &mut self.err,
                &Line::new().strong("hint: ").text(hint).render(colours),
            );
        }
        exit
    }

    /// Shows that something goes on; nothing where nobody looks.
    pub(crate) fn spinner(&self, text: impl AsRef<str>) -> Spinner {
        let target = match self.progress {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(SPIN);
        let spinner = Spinner {
            bar,
            in_lines: !self.progress && !self.json,
        };
        spinner.say(text);
        spinner
    }
}

/// A line that moves while something goes on, and disappears at its end. Where
/// standard error is a file, only how far it is, in lines that stay.
pub(crate) struct Spinner {
    bar: ProgressBar,
    in_lines: bool,
}

impl Spinner {
    /// Changes the text.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        self.bar.set_message(beside(text.as_ref()));
    }

    /// Shows how far it is, as a bar where the end is known.
    pub(crate) fn progress(&self, current: u64, total: Option<u64>, text: &str) {
        if self.in_lines {
            let of = total.map(|total| format!("/{total}")).unwrap_or_default();
            put(&mut io::stderr(), &beside(&format!("{current}{of} {text}")));
            return;
        }
        match total.filter(|total| *total > 0) {
            Some(total) => {
                self.bar.set_length(total);
                if let Ok(style) =
                    ProgressStyle::with_template("{bar:24} {pos}/{len} {msg} {elapsed:.dim}")
                {
                    self.bar.set_style(style);
                }
                self.bar.set_position(current.min(total));
                self.say(text);
            }
            None => self.say(format!("{current} {text}")),
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn beside(text: &str) -> String {
    let line = text.replace(['\n', '\t'], " ");
    plain(&line).chars().take(BESIDE).collect()
}

/// Makes JSON one line. What a guest or another worker wrote is in it as it was written,
/// with white space between its values; within texts, JSON has none of these letters.
fn one_document(json: &str) -> String {
    plain(&json.replace(['\r', '\n', '\t'], " ")).into_owned()
}

/// Begins every line but the first with at least two spaces.
fn indented(text: &str) -> String {
    let text = plain(text);
    let mut lines = text.split('\n');
    let mut out = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let gap = if line.is_empty() || line.starts_with("  ") {
            ""
        } else {
            "  "
        };
        out.push('\n');
        out.push_str(gap);
        out.push_str(line);
    }
    out
}

fn shortened(cell: &str) -> String {
    match cell.char_indices().nth(CELL) {
        None => cell.to_owned(),
        Some((end, _)) => format!("{}…", cell.get(..end).unwrap_or_default()),
    }
}

/// Joins the levels of an error; a level that repeats the one above is left out.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for level in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = level;
        } else if !text.contains(&level) {
            text.push_str(": ");
            text.push_str(&level);
        }
    }
    text
}

/// Writes a line. A reader that went away (`celeriac modules | head -1`) is no
/// error of ours.
fn put(out: &mut dyn Write, text: &str) {
    let _gone = writeln!(out, "{text}").and_then(|()| out.flush());
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cli::exit::Problem;
    use crate::defence::{Defence, without};
    use std::sync::{Arc, Mutex};

    /// What was printed: standard output and standard error.
    #[derive(Clone, Default)]
    pub(crate) struct Printed(Arc<Mutex<Vec<u8>>>, Arc<Mutex<Vec<u8>>>);

    impl Printed {
        pub(crate) fn out(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        pub(crate) fn err(&self) -> String {
            String::from_utf8(self.1.lock().unwrap().clone()).unwrap()
        }
    }

    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Makes a screen that writes into memory.
    pub(crate) fn screen(json: bool) -> (Screen, Printed) {
        let printed = Printed::default();
        let (out, err) = (
            Box::new(Page(printed.0.clone())),
            Box::new(Page(printed.1.clone())),
        );
        (
            Screen {
                json,
                out,
                err,
                colours: false,
                progress: false,
            },
            printed,
        )
    }

    #[test]
    fn nothing_that_is_printed_commands_the_terminal() {
        let (mut screen, printed) = screen(false);
        screen.line(Line::new().bad("a\u{1b}[2J").text("\u{7}"));
        screen.table(&["name"], vec![vec!["x\u{1b}]0;t\u{7}\ny".to_owned()]]);
        screen.note("n\u{9b}1m");
        screen.block("b\u{202e}");
        assert_eq!(
            printed.out(),
            "a\\u001b[2J\\u0007\nname\nx\\u001b]0;t\\u0007 y\nb\\u202e\n"
        );
        assert_eq!(printed.err(), "n\\u009b1m\n");
        assert!(beside(&"\u{1b}".repeat(500)).len() <= BESIDE);
    }

    #[test]
    fn without_escapes_where_it_is_shown_what_a_message_says_commands_the_terminal() {
        let name = "x\u{1b}]0;owned\u{7}";
        let shown = || {
            let (mut screen, printed) = screen(false);
            screen.line(Line::new().text(name));
            printed.out()
        };
        assert_eq!(shown(), "x\\u001b]0;owned\\u0007\n");
        // What guests write was escaped when it came in; what messages and files say was not.
        let _away = without(&[Defence::Shown]);
        assert_eq!(shown(), format!("{name}\n"));
    }

    #[test]
    fn no_line_of_a_stranger_looks_like_one_of_ours() {
        let (mut screen, printed) = screen(false);
        screen.line(Line::new().strong("worker ").text("w\nSUCCESS in 1 ms"));
        screen.note("n\nerror: forged\n  as it was");
        screen.text("a result\nof two lines");
        assert_eq!(
            printed.out(),
            "worker w\n  SUCCESS in 1 ms\na result\nof two lines\n"
        );
        assert_eq!(printed.err(), "n\n  error: forged\n  as it was\n");
    }

    #[test]
    fn a_cell_of_any_length_leaves_its_table_readable() {
        let (mut screen, printed) = screen(false);
        let long = "x".repeat(100_000);
        screen.table(
            &["a", "b"],
            vec![vec![long, "y".to_owned()], vec![String::new(); 2]],
        );
        assert!(printed.out().len() < 1_000, "{}", printed.out().len());
        assert!(printed.out().contains("x…  y\n"));
    }

    #[test]
    fn a_program_gets_one_document_and_nothing_else() {
        let (mut screen, printed) = screen(true);
        screen.line("for people");
        screen.table(&["a"], vec![]);
        screen.document(&serde_json::json!({"text": "\u{9b}\u{1b}"}));
        assert_eq!(printed.out(), "{\"text\":\"\\u009b\\u001b\"}\n");
    }

    #[test]
    fn the_white_space_of_a_strangers_json_leaves_the_document_one_line_of_json() {
        let result = serde_json::value::RawValue::from_string("[1.50,\r\n\t\"\\r\"]".to_owned());
        let result = result.unwrap();
        let (mut json, printed) = screen(true);
        json.document(&std::collections::BTreeMap::from([("result", &result)]));
        assert_eq!(printed.out(), "{\"result\":[1.50,   \"\\r\"]}\n");
        let (mut text, printed) = screen(false);
        text.value(result.get());
        assert_eq!(printed.out(), "[1.50,\n\t\"\\r\"]\n");
    }

    #[test]
    fn an_error_has_its_reason_its_hint_and_its_code() {
        let problem =
            || anyhow::Error::new(Problem::usage("-a is not JSON").hint("write '[1, 2]'"));
        let (mut text, printed) = screen(false);
        assert_eq!(text.error(&problem()), Exit::Usage);
        assert_eq!(
            printed.err(),
            "error: -a is not JSON\nhint: write '[1, 2]'\n"
        );
        let (mut json, printed) = screen(true);
        json.error(&problem());
        assert_eq!(
            printed.out(),
            "{\"error\":{\"code\":\"usage\",\"hint\":\"write '[1, 2]'\",\"message\":\"-a is not JSON\"}}\n"
        );
    }

    #[test]
    fn levels_of_an_error_are_joined_once() {
        let error = anyhow::anyhow!("no such file")
            .context("cannot read 'x'")
            .context("cannot read 'x': no such file");
        assert_eq!(chain(&error), "cannot read 'x': no such file");
        let error = anyhow::anyhow!("no such file").context("cannot read 'x'");
        assert_eq!(chain(&error), "cannot read 'x': no such file");
    }
}
