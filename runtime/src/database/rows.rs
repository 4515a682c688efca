//! Multi-row SQL whose texts are few, so that each is prepared once.

use std::sync::OnceLock;

/// Most rows of one SQL statement. With at most 32 columns this stays far below
/// SQLite's 32,766 parameters; more rows would not be faster.
pub const ROWS: usize = 128;

/// Powers of two up to [`ROWS`].
const SIZES: usize = 8;

/// An insert of several rows. Its texts are for 1, 2, 4, … rows; rows that are
/// not bound read as NULL and are left out, so any number needs one statement.
/// The first column must not be NULL.
#[derive(Debug)]
pub struct Insert {
    into: &'static str,
    columns: usize,
    tail: &'static str,
    texts: [OnceLock<String>; SIZES],
}

impl Insert {
    /// Takes table and columns as in `t (a, b)`, the number of columns, and what
    /// stands after the rows.
    #[must_use]
    pub const fn new(into: &'static str, columns: usize, tail: &'static str) -> Self {
        let texts = [const { OnceLock::new() }; SIZES];
        Self {
            into,
            columns,
            tail,
            texts,
        }
    }

    /// Returns the SQL for a part as [`parts`] makes them.
    #[must_use]
    pub fn sql(&'static self, rows: usize) -> &'static str {
        let size = rows.max(1).next_power_of_two().ilog2() as usize;
        let make = || {
            let row = format!("({})", vec!["?"; self.columns].join(", "));
            let rows = vec![row; 1 << size].join(", ");
            format!(
                "INSERT INTO {} SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL {}",
                self.into, self.tail
            )
        };
        // `parts` never makes a part of more rows; the smallest text is a harmless answer.
        self.texts
            .get(size)
            .or(self.texts.first())
            .map_or("", |text| text.get_or_init(make))
    }
}

/// Divides items into parts of at most [`ROWS`].
pub fn parts<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    items.chunks(ROWS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{Connection, SqliteConnection};

    #[tokio::test]
    async fn any_number_of_rows_is_inserted_and_no_more() {
        static INSERT: Insert = Insert::new("t (a, b)", 2, "RETURNING a");
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::query("CREATE TABLE t (a INTEGER NOT NULL, b TEXT) STRICT")
            .execute(&mut conn)
            .await
            .unwrap();
        let mut expected = 0;
        for count in [1, 2, 3, 127, 128, 129, 400] {
            let items: Vec<i64> = (0..count).collect();
            for part in parts(&items) {
                assert!(part.len() <= ROWS);
                let mut query = sqlx::query_scalar::<_, i64>(INSERT.sql(part.len()));
                for item in part {
                    query = query
                        .bind(item)
                        .bind(Some("text").filter(|_| item % 2 == 0));
                }
                assert_eq!(query.fetch_all(&mut conn).await.unwrap(), part);
            }
            expected += count;
        }
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM t")
            .fetch_one(&mut conn)
            .await
            .unwrap();
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_few_texts_serve_all_sizes() {
        static INSERT: Insert = Insert::new("t (a, b)", 2, "");
        let texts: std::collections::HashSet<_> = (1..=ROWS).map(|rows| INSERT.sql(rows)).collect();
        assert_eq!(texts.len(), SIZES);
        assert_eq!(INSERT.sql(ROWS).matches("(?, ?)").count(), ROWS);
    }
}
