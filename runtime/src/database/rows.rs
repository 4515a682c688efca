//! Multi-row SQL whose texts are few, so that each is prepared once.

use std::sync::OnceLock;

/// Most rows of one SQL statement. With at most 32 columns this stays far below
/// SQLite's 32,766 parameters; more rows would not be faster.
pub const ROWS: usize = 128;

/// Powers of two up to [`ROWS`].
const SIZES: usize = 8;

/// An `INSERT … VALUES (?, …), (?, …) …`, by number of rows.
#[derive(Debug)]
pub struct Insert {
    head: &'static str,
    columns: usize,
    tail: &'static str,
    texts: [OnceLock<String>; SIZES],
}

impl Insert {
    /// Takes what stands before the rows (up to `VALUES`), the number of
    /// columns, and what stands after them.
    #[must_use]
    pub const fn new(head: &'static str, columns: usize, tail: &'static str) -> Self {
        Self {
            head,
            columns,
            tail,
            texts: [const { OnceLock::new() }; SIZES],
        }
    }

    /// Returns the SQL for a part as [`parts`] makes them.
    #[must_use]
    pub fn sql(&'static self, rows: usize) -> &'static str {
        let size = rows.max(1).ilog2() as usize;
        let make = || {
            let row = format!("({})", vec!["?"; self.columns].join(", "));
            format!(
                "{} {} {}",
                self.head,
                vec![row; 1 << size].join(", "),
                self.tail
            )
        };
        // `parts` never makes a part of more rows; the smallest text is a harmless answer.
        self.texts
            .get(size)
            .or(self.texts.first())
            .map_or("", |text| text.get_or_init(make))
    }
}

/// Divides items into parts whose lengths are powers of two, at most [`ROWS`].
pub fn parts<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    let mut left = items;
    std::iter::from_fn(move || {
        let size = 1 << left.len().min(ROWS).checked_ilog2()?;
        let (part, rest) = left.split_at(size);
        left = rest;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_powers_of_two_and_lose_nothing() {
        for count in [0, 1, 2, 3, 127, 128, 129, 400] {
            let items: Vec<usize> = (0..count).collect();
            let sizes: Vec<usize> = parts(&items).map(<[usize]>::len).collect();
            assert!(
                sizes
                    .iter()
                    .all(|size| size.is_power_of_two() && *size <= ROWS),
                "{sizes:?}"
            );
            assert_eq!(parts(&items).flatten().copied().collect::<Vec<_>>(), items);
        }
    }

    #[test]
    fn the_text_has_one_group_of_parameters_for_each_row() {
        static INSERT: Insert = Insert::new("INSERT INTO t VALUES", 2, "RETURNING a");
        assert_eq!(INSERT.sql(1), "INSERT INTO t VALUES (?, ?) RETURNING a");
        assert_eq!(
            INSERT.sql(2),
            "INSERT INTO t VALUES (?, ?), (?, ?) RETURNING a"
        );
        assert_eq!(INSERT.sql(ROWS).matches("(?, ?)").count(), ROWS);
    }
}
