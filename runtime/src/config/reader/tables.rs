//! Tables whose keys people choose: of texts, and of sections.

use super::{Reader, quoted, wrong};
use crate::config::alike;
use crate::config::error::ConfigError;
use crate::config::raw::{RawValue, Source};
use std::collections::{BTreeMap, BTreeSet};

impl Reader {
    /// Reads a table of texts whose keys people choose, each pair checked; `wanted`
    /// is what a text stands for.
    pub(in crate::config) fn texts(
        &mut self,
        table: &str,
        most: usize,
        wanted: &str,
        check: impl Fn(&str, &str) -> Result<(), String>,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut texts = BTreeMap::new();
        for (name, written) in self.raw.take_table(table) {
            let key = format!("{table}.{name:?}");
            let RawValue::Text(target) = &written.value else {
                let reason = format!("a string is wanted: {wanted}");
                return Err(wrong(&key, &written, &reason));
            };
            check(&name, target).map_err(|reason| wrong(&key, &written, &reason))?;
            if texts.len() >= most {
                return Err(too_many(table, most, written.source));
            }
            self.note(&key, quoted(target), written.source);
            texts.insert(name, target.clone());
        }
        Ok(texts)
    }

    /// Opens the sections of a table, each with some of `keys`, and returns their
    /// names. A key of theirs is read as `TABLE."NAME".KEY`.
    pub(in crate::config) fn sections(
        &mut self,
        table: &str,
        keys: &[&str],
        most: usize,
    ) -> Result<BTreeSet<String>, ConfigError> {
        let mut names = BTreeSet::new();
        for (path, written) in self.raw.take_table(table) {
            let (name, key) = path.rsplit_once('.').unwrap_or(("", &path));
            if name.is_empty() || !keys.contains(&key) {
                let nearest = alike::nearest(keys.iter().copied(), key);
                let name = if name.is_empty() { "NAME" } else { name };
                return Err(ConfigError::Unknown {
                    nearest: nearest.map(|key| format!("{table}.{name}.{key}")),
                    key: format!("{table}.{path}"),
                    source_place: written.source,
                });
            }
            names.insert(name.to_owned());
            if names.len() > most {
                return Err(too_many(table, most, written.source));
            }
            self.raw.put(format!("{table}.{name:?}.{key}"), written);
        }
        Ok(names)
    }
}

fn too_many(table: &str, most: usize, source_place: Source) -> ConfigError {
    ConfigError::OutOfRange {
        key: table.to_owned(),
        value: "longer".to_owned(),
        bound: format!("at most {most} are allowed"),
        source_place,
    }
}
