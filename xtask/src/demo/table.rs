//! The closing table of the demo.

use std::ops::Range;

use serde_json::Value;

use super::cast::Part;

/// The columns after the task: `waited` is the time in the queue.
const HEAD: [&str; 6] = ["state", "waited", "ran", "cpu", "peak memory", "result"];
/// Widest cell, characters.
const WIDTH: usize = 58;
/// Widest cell of the task, characters.
const TASK_WIDTH: usize = 60;

/// The cells of one task.
pub(super) type Row = [String; 7];

/// Makes the row of one task.
pub(super) fn row(part: &Part, answer: &Value) -> Row {
    let number = |path: &str| answer.pointer(path).and_then(Value::as_f64).unwrap_or(0.0);
    let text = |path: &str| {
        answer
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let result = match answer.get("exception") {
        Some(Value::Object(_)) => {
            let message = text("/exception/message");
            format!(
                "{}: {}",
                text("/exception/class"),
                message.lines().next().unwrap_or_default()
            )
        }
        _ => answer
            .get("result")
            .map(Value::to_string)
            .unwrap_or_default(),
    };
    let task = match part.attack {
        Some(does) => format!("{does} ({})", part.task),
        None => format!("{} {}", part.task, part.input.shown()),
    };
    [
        cut(&task, TASK_WIDTH),
        text("/state"),
        time(number("/usage/queue_wait_ms") * 1e3),
        time(number("/usage/run_us")),
        time(number("/usage/cpu_us")),
        format!(
            "{:.1} MiB",
            number("/usage/memory_peak_bytes") / f64::from(1 << 20)
        ),
        cut(&result, WIDTH),
    ]
}

/// Draws the rows under their heading, which begins with what the first column has.
pub(super) fn draw(what: &str, rows: &[Row]) -> String {
    let [state, waited, ran, cpu, memory, result] = HEAD.map(str::to_owned);
    let head = [what.to_owned(), state, waited, ran, cpu, memory, result];
    let all: Vec<Row> = std::iter::once(head).chain(rows.iter().cloned()).collect();
    grid(&all, 2..6)
}

/// Draws rows below the first, which is their heading; numbers are in some columns.
pub(super) fn grid<const N: usize>(rows: &[[String; N]], numbers: Range<usize>) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match numbers.contains(&column) {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rule = widths.iter().map(|width| "─".repeat(*width));
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.insert(1.min(lines.len()), rule.collect::<Vec<_>>().join("  "));
    lines.join("\n")
}

/// Writes a time with the unit that suits it.
pub(super) fn time(micros: f64) -> String {
    match micros {
        0.0..1_000.0 => format!("{micros:.0} us"),
        1_000.0..1_000_000.0 => format!("{:.1} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let short: String = text.chars().take(most - 1).collect();
    format!("{short}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |task: &str| {
            [task, "SUCCESS", "1 us", "1 us", "1 us", "0.1 MiB", "4"].map(str::to_owned)
        };
        let table = draw("task", &[row("a"), row("text.word_count")]);
        let starts: Vec<_> = table
            .lines()
            .filter_map(|line| line.find("SUCCESS"))
            .collect();
        assert_eq!(starts, [17, 17]);
    }

    #[test]
    fn times_have_the_unit_that_suits_them() {
        assert_eq!(time(12.0), "12 us");
        assert_eq!(time(12_345.0), "12.3 ms");
        assert_eq!(time(2_500_000.0), "2.50 s");
    }

    #[test]
    fn a_long_cell_is_cut() {
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
