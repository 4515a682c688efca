//! What was written, where: the file, the environment and the flags, laid over
//! one another before anything is interpreted.

use super::error::ConfigError;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What every variable of ours begins with.
pub const ENV_PREFIX: &str = "CELERIAC_";
/// Largest configuration file (1 MiB): thousands of aliases fit.
pub const FILE_BYTES: u64 = 1 << 20;
/// Names with the prefix that are no configuration keys: the file itself, and
/// what guest builds and tests read.
const OTHER_NAMES: [&str; 3] = ["CONFIG", "GUEST_", "TEST_"];

/// Tables that may stand there empty.
const SECTIONS: [&str; 13] = [
    "worker",
    "limits",
    "tenants",
    "tenants.default",
    "aliases",
    "grants",
    "queues",
    "routes",
    "tasks",
    "publish",
    "secrets",
    "serve",
    "values",
];
/// Tables whose keys people choose.
const TABLES: [&str; 7] = [
    "aliases", "grants", "queues", "routes", "secrets", "tasks", "values",
];

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: the built-in default.
    Default,
    /// A file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum RawValue {
    /// A string of the file, or anything from the environment or a flag.
    Text(String),
    /// A whole number of the file.
    Integer(i64),
    /// A truth value of the file.
    Bool(bool),
    /// A list of strings of the file.
    List(Vec<String>),
    /// Something no key takes, as it was written.
    Other(String),
}

impl fmt::Display for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::List(items) => write!(f, "{items:?}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// One value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The value.
    pub value: RawValue,
    /// Where.
    pub source: Source,
}

/// All that was written, by key path; a later layer replaces an earlier one.
#[derive(Debug, Clone, Default)]
pub struct RawConfig {
    values: BTreeMap<String, Written>,
    tables: BTreeMap<&'static str, BTreeMap<String, Written>>,
}

impl RawConfig {
    /// Lays a file over what is there.
    ///
    /// # Errors
    /// When the file cannot be read or is not TOML.
    pub fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        if bytes > FILE_BYTES {
            return Err(ConfigError::TooLarge {
                path: path.to_owned(),
                bytes,
                allowed: FILE_BYTES,
            });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        self.read_text(path, &text)
    }

    /// Lays the text of a file over what is there.
    ///
    /// # Errors
    /// When the text is not TOML.
    pub fn read_text(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let line_ends: Vec<usize> = text.match_indices('\n').map(|(offset, _)| offset).collect();
        let place = |offset: usize| Source::File {
            path: path.to_owned(),
            line: 1 + line_ends.partition_point(|end| *end < offset),
        };
        let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            source_place: place(error.span().map_or(0, |span| span.start)),
            reason: error.message().to_owned(),
        })?;
        self.flatten("", table.get_ref(), text, &place);
        Ok(())
    }

    /// Lays environment variables over what is there: `CELERIAC_A__B` is `a.b`.
    pub fn read_environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
                continue;
            };
            if is_not_ours(rest) {
                continue;
            }
            let key = rest
                .split("__")
                .map(str::to_ascii_lowercase)
                .collect::<Vec<_>>()
                .join(".");
            self.insert(key, RawValue::Text(value), Source::Environment(name));
        }
    }

    /// Lays one flag over what is there.
    pub fn set_flag(&mut self, key: &str, flag: &'static str, value: String) {
        self.insert(key.to_owned(), RawValue::Text(value), Source::Flag(flag));
    }

    /// Adds an item to the list of a key by a flag.
    pub fn add_flag(&mut self, key: &str, flag: &'static str, item: String) {
        let of = |table: &'static str| Some((table, key.strip_prefix(table)?.strip_prefix('.')?));
        let known = match TABLES.into_iter().find_map(of) {
            Some((table, name)) => self.tables.get(table).and_then(|table| table.get(name)),
            None => self.values.get(key),
        };
        let mut items = match known.map(|written| &written.value) {
            None => Vec::new(),
            Some(RawValue::List(items)) => items.clone(),
            // So lists are written in the environment.
            Some(RawValue::Text(text)) => text.split(',').map(str::to_owned).collect(),
            // It is refused when it is read.
            Some(RawValue::Integer(_) | RawValue::Bool(_) | RawValue::Other(_)) => return,
        };
        items.push(item);
        self.insert(key.to_owned(), RawValue::List(items), Source::Flag(flag));
    }

    /// Takes the value of a key out.
    pub(super) fn take(&mut self, key: &str) -> Option<Written> {
        self.values.remove(key)
    }

    /// Tells what was written for a key.
    pub(super) fn get(&self, key: &str) -> Option<&Written> {
        self.values.get(key)
    }

    /// Takes all of a table out whose keys people choose.
    pub(super) fn take_table(&mut self, table: &str) -> BTreeMap<String, Written> {
        self.tables.remove(table).unwrap_or_default()
    }

    /// Puts a value where [`RawConfig::take`] finds it.
    pub(super) fn put(&mut self, key: String, written: Written) {
        self.values.insert(key, written);
    }

    /// Returns a key that nobody took.
    pub(super) fn left_over(&self) -> Option<(&String, &Written)> {
        self.values.iter().next()
    }

    fn insert(&mut self, key: String, value: RawValue, source: Source) {
        let written = Written { value, source };
        let of = |table: &'static str| Some((table, key.strip_prefix(table)?.strip_prefix('.')?));
        match TABLES.into_iter().find_map(of) {
            Some((table, name)) => {
                let table = self.tables.entry(table).or_default();
                table.insert(name.to_owned(), written);
            }
            None => drop(self.values.insert(key, written)),
        }
    }

    fn flatten(
        &mut self,
        prefix: &str,
        table: &DeTable<'_>,
        text: &str,
        place: &dyn Fn(usize) -> Source,
    ) {
        for (name, value) in table {
            let key = match prefix {
                "" => name.get_ref().to_string(),
                _ => format!("{prefix}.{}", name.get_ref()),
            };
            match value.get_ref() {
                DeValue::Table(inner) if !inner.is_empty() => {
                    self.flatten(&key, inner, text, place);
                }
                DeValue::Table(_)
                    if SECTIONS.contains(&key.as_str())
                        || key.starts_with("queues.")
                        || key.starts_with("tasks.") => {}
                DeValue::Table(_)
                | DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_) => self.insert(key, raw(value, text), place(name.span().start)),
            }
        }
    }
}

/// Variables that share the prefix by accident or for another purpose. A
/// Kubernetes service called `celeriac` puts `CELERIAC_SERVICE_HOST` and
/// `CELERIAC_PORT…` into every container beside it.
fn is_not_ours(rest: &str) -> bool {
    OTHER_NAMES.iter().any(|other| match other.ends_with('_') {
        true => rest.starts_with(other),
        false => rest == *other,
    }) || rest == "PORT"
        || rest.contains("SERVICE_HOST")
        || rest.contains("SERVICE_PORT")
        || rest.starts_with("PORT_")
        || rest.contains("_PORT_")
        || (rest.ends_with("_PORT") && !rest.contains("__"))
}

fn raw(value: &Spanned<DeValue<'_>>, text: &str) -> RawValue {
    let as_written = || RawValue::Other(text.get(value.span()).unwrap_or_default().to_owned());
    match value.get_ref() {
        DeValue::String(text) => RawValue::Text(text.to_string()),
        DeValue::Boolean(flag) => RawValue::Bool(*flag),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| as_written(), RawValue::Integer),
        DeValue::Array(items) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map_or_else(as_written, RawValue::List),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => as_written(),
    }
}
