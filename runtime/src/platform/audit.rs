//! The audit: what was changed, by whom, what it was before and became.

use super::{Platform, PlatformError};
use crate::sql::{Kind, Link, Row, SqlError, Value};
use crate::task::TenantName;
use jiff::Timestamp;
use std::time::Duration;

/// How long a row is kept (400 days): a year, and time to look at it.
pub const KEPT: Duration = Duration::from_secs(400 * 86_400);
/// Most rows (1,000,000): the oldest go.
pub const ROWS: i64 = 1_000_000;
/// Most rows of one page (1,000).
pub const PAGE: u32 = 1_000;
/// Longest text of one cell (16 KiB); longer ones are left out.
const CELL: usize = 16 << 10;
/// Longest name of who did it, and of a subject, characters.
const NAME: usize = 300;

/// Who changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    who: String,
    request: Option<String>,
}

impl Actor {
    /// Names somebody, such as `token 3f9a0c12 (ci)`, and the request by which they act.
    #[must_use]
    pub fn new(who: &str, request: Option<&str>) -> Self {
        let short = |text: &str| text.chars().take(NAME).collect();
        Self {
            who: short(who),
            request: request.map(short),
        }
    }

    /// Names whoever uses the command line on the data folder itself.
    #[must_use]
    pub fn on_the_machine() -> Self {
        Self::new("operator on the machine", None)
    }
}

/// One change.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Who did it.
    pub actor: &'a Actor,
    /// What was done, such as `tenant.suspend`.
    pub action: &'static str,
    /// Whose it was; `None` where it was the operator's.
    pub tenant: Option<&'a TenantName>,
    /// What was changed.
    pub subject: &'a str,
    /// What it was, without secrets.
    pub was: Option<serde_json::Value>,
    /// What it became, without secrets.
    pub became: Option<serde_json::Value>,
}

/// A row of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number: later rows have higher ones.
    pub number: i64,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub who: String,
    /// The id of the request over HTTP.
    pub request: Option<String>,
    /// What was done.
    pub action: String,
    /// Whose it was.
    pub tenant: Option<String>,
    /// What was changed.
    pub subject: String,
    /// What it was, JSON.
    pub was: Option<String>,
    /// What it became, JSON.
    pub became: Option<String>,
}

/// Which rows are wanted; the latest come first.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Those of one tenant alone.
    pub tenant: Option<TenantName>,
    /// Those with a lower number: the last one of the page before.
    pub before: Option<i64>,
    /// How many at most, up to [`PAGE`].
    pub limit: u32,
}

impl Platform {
    /// Reads the audit, the latest first.
    ///
    /// # Errors
    /// [`PlatformError::Sql`].
    pub async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, PlatformError> {
        let sql = "SELECT number, happened_at, who, request, action, tenant, subject, was, became \
             FROM audit WHERE number < $1 AND ($2 = '' OR tenant = $2) \
             ORDER BY number DESC LIMIT $3";
        let tenant = query.tenant.as_ref().map_or("", TenantName::as_str);
        let values = vec![
            Value::from(query.before.unwrap_or(i64::MAX)),
            Value::text(tenant),
            Value::from(i64::from(query.limit.min(PAGE))),
        ];
        let read = async |link: &mut Link| link.rows(sql, values, &KINDS).await;
        let rows = self.sql.transaction(false, read).await?;
        Ok(rows.into_iter().filter_map(row).collect())
    }
}

const KINDS: [Kind; 9] = [
    Kind::Int,
    Kind::Int,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
];

fn row(mut row: Row) -> Option<AuditRow> {
    Some(AuditRow {
        number: row.int()?,
        at: Timestamp::from_millisecond(row.int()?).ok()?,
        who: row.text()?,
        request: row.text(),
        action: row.text()?,
        tenant: row.text(),
        subject: row.text()?,
        was: row.text(),
        became: row.text(),
    })
}

/// Writes a row within the transaction of the change, and removes what is too old or too
/// much. `now` is in milliseconds since 1970.
///
/// # Errors
/// What the database said.
pub async fn write(link: &mut Link, now: i64, entry: &Entry<'_>) -> Result<(), SqlError> {
    for (sql, values) in statements(now, entry) {
        link.execute(sql, values).await?;
    }
    Ok(())
}

/// Returns the statements of [`write()`], for a transaction of somebody else's.
#[must_use]
pub fn statements(now: i64, entry: &Entry<'_>) -> [(&'static str, Vec<Value>); 3] {
    let add = "INSERT INTO audit (happened_at, who, request, action, tenant, subject, was, became) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let subject: String = entry.subject.chars().take(NAME).collect();
    let values = vec![
        Value::from(now),
        Value::text(&entry.actor.who),
        Value::maybe(entry.actor.request.as_deref()),
        Value::text(entry.action),
        Value::maybe(entry.tenant.map(TenantName::as_str)),
        Value::text(&subject),
        Value::maybe(cell(entry.was.as_ref()).as_deref()),
        Value::maybe(cell(entry.became.as_ref()).as_deref()),
    ];
    let oldest = now.saturating_sub(i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX));
    let old = "DELETE FROM audit WHERE happened_at < $1";
    let beyond = "DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - $1";
    [
        (add, values),
        (old, vec![oldest.into()]),
        (beyond, vec![ROWS.into()]),
    ]
}

fn cell(value: Option<&serde_json::Value>) -> Option<String> {
    let text = value?.to_string();
    match text.len() <= CELL {
        true => Some(text),
        false => Some(format!("{{\"left_out_bytes\":{}}}", text.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_is_too_long_is_left_out_and_its_length_told() {
        let short = serde_json::json!({"weight": 100});
        assert_eq!(cell(Some(&short)).as_deref(), Some("{\"weight\":100}"));
        let long = serde_json::json!("x".repeat(CELL));
        let told = cell(Some(&long)).unwrap();
        assert_eq!(told, format!("{{\"left_out_bytes\":{}}}", CELL + 2));
        assert_eq!(cell(None), None);
    }

    #[test]
    fn whoever_did_it_has_a_name_of_bounded_length() {
        let actor = Actor::new(&"ä".repeat(10_000), Some(&"r".repeat(10_000)));
        assert_eq!(actor.who.chars().count(), NAME);
        assert_eq!(actor.request.unwrap().len(), NAME);
    }
}
