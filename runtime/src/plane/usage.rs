//! What was used: as workers tell it, in batches, and as it is looked at.

mod csv;
mod sums;

pub use csv::csv;
pub use sums::UsageSums;

use crate::task::{Day, TenantName};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Most rows of a batch (500): with the longest names they fit a request.
pub const BATCH_ROWS: usize = 500;
/// Most days that one request looks at (366): a year.
const DAYS: i64 = 366;
/// Days that are looked at where nobody says which (30).
const USUAL: i64 = 30;
/// The name of all modules and tasks together that there were too many of to be told apart.
pub const REST: &str = "*";
/// What stands between the parts of a [`UsageEntry::place`], and in no name.
const BETWEEN: &str = "/";

/// What runs of one task took on one day of UTC, as a worker tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageRow {
    /// The day on which they ended.
    pub day: Day,
    /// Whose they were.
    pub tenant: TenantName,
    /// The module, or `*`.
    #[schema(max_length = 128)]
    pub module: String,
    /// The task within it, or `*`.
    #[schema(max_length = 128)]
    pub task: String,
    /// What they took together.
    pub used: UsageSums,
}

/// What a worker used since the batch before. It is counted once, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageBatch {
    /// The process, unlike every other: letters, digits and `-`.
    #[schema(pattern = "^[A-Za-z0-9-]{1,64}$")]
    pub worker: String,
    /// Its number: batches of a process are counted in the order of these.
    #[schema(minimum = 1)]
    pub number: u64,
    /// What was used.
    #[schema(max_items = 500)]
    pub rows: Vec<UsageRow>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageTold {
    /// Whether it was counted now; false where it had been before.
    pub counted: bool,
}

/// How far what was used is told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// One entry for a tenant, of all days together.
    Tenant,
    /// One for each day.
    #[default]
    Day,
    /// One for each day and module.
    Module,
    /// One for each day and task.
    Task,
}

/// What was used, as far as it is told apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageEntry {
    /// The day of UTC on which runs ended; null where all days are told together.
    pub day: Option<Day>,
    /// Whose they were. Of an earlier tenant, whose name was taken again on that day, the
    /// name, `~` and the moment.
    pub tenant: String,
    /// The module; null where all are told together, `*` of those that there were too many
    /// of.
    pub module: Option<String>,
    /// The task within the module; the same.
    pub task: Option<String>,
    /// What they took together.
    pub used: UsageSums,
}

/// A page of what was used, by day, tenant, module and task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsagePage {
    /// The first day that was looked at.
    pub from: Day,
    /// The last one.
    pub to: Day,
    /// What was used; nothing of days and tasks without a run.
    pub entries: Vec<UsageEntry>,
    /// What `after` must be for the next page; null at the end.
    pub next: Option<String>,
}

/// Where an entry is in the order of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsagePlace {
    /// The day, unless all are told together.
    pub day: Option<Day>,
    /// Whose it is, and the module and the task as far as they are told apart.
    pub names: Vec<String>,
}

impl UsageEntry {
    /// Writes down where it is in the order of all.
    #[must_use]
    pub fn place(&self) -> String {
        let day = self.day.map(|day| day.to_string());
        let tenant = Some(self.tenant.clone());
        let parts = [day, tenant, self.module.clone(), self.task.clone()];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join(BETWEEN)
    }
}

impl fmt::Display for UsagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(day) = self.day {
            write!(f, "{day}{BETWEEN}")?;
        }
        f.write_str(&self.names.join(BETWEEN))
    }
}

impl UsageBy {
    /// Returns its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Day => "day",
            Self::Module => "module",
            Self::Task => "task",
        }
    }

    /// Returns how many names an entry has, the tenant's among them.
    #[must_use]
    pub fn names(self) -> usize {
        match self {
            Self::Tenant | Self::Day => 1,
            Self::Module => 2,
            Self::Task => 3,
        }
    }

    /// Reads what [`UsageEntry::place`] wrote; `None` for anything else.
    #[must_use]
    pub fn read_place(self, text: &str) -> Option<UsagePlace> {
        let (day, rest) = match self {
            Self::Tenant => (None, text),
            Self::Day | Self::Module | Self::Task => {
                let (day, rest) = text.split_once(BETWEEN)?;
                (Some(day.parse().ok()?), rest)
            }
        };
        let names: Vec<String> = rest.split(BETWEEN).map(str::to_owned).collect();
        (names.len() == self.names()).then_some(UsagePlace { day, names })
    }
}

/// Returns the first and the last day that somebody wants to look at: by default the 30
/// days up to the last one, and that today.
///
/// # Errors
/// What is wrong, and what is allowed.
pub fn usage_days(from: Option<Day>, to: Option<Day>, today: Day) -> Result<(Day, Day), String> {
    let to = to.unwrap_or(today);
    let from = from.unwrap_or_else(|| to.plus(1 - USUAL));
    let count = to.number().saturating_sub(from.number()).saturating_add(1);
    match (1..=DAYS).contains(&count) {
        true => Ok((from, to)),
        false => Err(format!(
            "{from} to {to} are {count} days; 1 to {DAYS} are allowed"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_at_a_year_at_most() {
        let day = |text: &str| -> Option<Day> { (!text.is_empty()).then(|| text.parse().unwrap()) };
        let today = day("2026-11-22").unwrap();
        for (from, to, first, last) in [
            ("", "", "2026-10-24", "2026-11-22"),
            ("", "2026-03-01", "2026-01-31", "2026-03-01"),
            ("2026-11-01", "", "2026-11-01", "2026-11-22"),
            ("2026-11-22", "2026-11-22", "2026-11-22", "2026-11-22"),
            ("2025-11-22", "2026-11-22", "2025-11-22", "2026-11-22"),
        ] {
            let (from, to) = usage_days(day(from), day(to), today).unwrap();
            assert_eq!(
                (from.to_string(), to.to_string()),
                (first.into(), last.into())
            );
        }
        for (from, to, count) in [
            ("2025-11-21", "2026-11-22", "367"),
            ("2026-11-23", "", "0"),
            ("0000-01-01", "9999-12-30", "3652424"),
        ] {
            let wrong = usage_days(day(from), day(to), today).unwrap_err();
            assert!(wrong.contains(&format!("are {count} days")), "{wrong}");
        }
    }

    #[test]
    fn the_place_of_an_entry_is_read_as_it_was_written() {
        let mut entry = UsageEntry {
            day: Some("2026-11-22".parse().unwrap()),
            tenant: "acme".to_owned(),
            module: Some("shop.images".to_owned()),
            task: Some(REST.to_owned()),
            used: UsageSums::default(),
        };
        assert_eq!(entry.place(), "2026-11-22/acme/shop.images/*");
        let place = UsageBy::Task.read_place(&entry.place()).unwrap();
        assert_eq!((place.day, place.names.len()), (entry.day, 3));
        assert_eq!(place.to_string(), entry.place());
        entry.task = None;
        assert!(UsageBy::Module.read_place(&entry.place()).is_some());
        assert!(UsageBy::Task.read_place(&entry.place()).is_none());
        (entry.day, entry.module) = (None, None);
        let place = UsageBy::Tenant.read_place(&entry.place()).unwrap();
        assert_eq!(place.to_string(), "acme");
        assert_eq!((place.day, place.names), (None, vec!["acme".to_owned()]));
        for bad in ["", "acme", "today/acme", "2026-11-22", "2026-11-22/a/b"] {
            assert_eq!(UsageBy::Day.read_place(bad), None, "{bad}");
        }
    }
}
