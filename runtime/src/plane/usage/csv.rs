//! What was used, for spreadsheets: comma-separated values as RFC 4180 has them.

use super::{UsageEntry, UsageSums};

/// With what a spreadsheet takes a text for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Writes entries, one a line, under the names of their columns, which are always the same:
/// what is told together has an empty cell.
#[must_use]
pub fn csv(entries: &[UsageEntry]) -> String {
    let names = ["day", "tenant", "module", "task"];
    let head: Vec<&str> = names.into_iter().chain(UsageSums::NAMES).collect();
    let mut text = head.join(",");
    text.push_str("\r\n");
    for entry in entries {
        let optional = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
        let day = entry.day.map_or_else(String::new, |day| day.to_string());
        let names = [
            day,
            cell(&entry.tenant),
            optional(&entry.module),
            optional(&entry.task),
        ];
        let numbers = entry.used.numbers().map(|number| number.to_string());
        let cells: Vec<String> = names.into_iter().chain(numbers).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// Writes a text so that it is one cell, and never a formula: where it begins like one, an
/// apostrophe is put before it.
fn cell(text: &str) -> String {
    let is_formula = text.trim_start_matches(' ').starts_with(FORMULA);
    let mark = if is_formula { "'" } else { "" };
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{mark}{}\"", text.replace('"', "\"\"")),
        false => format!("{mark}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_cell_and_never_a_formula() {
        for (text, expected) in [
            ("images", "images"),
            ("", ""),
            ("*", "*"),
            ("a-b_c.d", "a-b_c.d"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1", "'  =1"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_has_as_many_cells_as_there_are_names() {
        let entry = UsageEntry {
            day: Some("2026-11-22".parse().unwrap()),
            tenant: "acme".to_owned(),
            module: None,
            task: None,
            used: UsageSums::from(std::array::from_fn(|at| at as u64)),
        };
        let text = csv(&[entry]);
        let expected = "day,tenant,module,task,attempts,succeeded,failed,retried,revoked,cpu_us,run_us,\
             bytes_in,bytes_out,http_requests,http_bytes_in,http_bytes_out,host_calls\r\n\
             2026-11-22,acme,,,0,1,2,3,4,5,6,7,8,9,10,11,12\r\n";
        assert_eq!(text, expected);
    }
}
