//! The formats of messages that a worker reads.

use super::ConfigError;
use super::reader::Reader;
use crate::task::{Accept, Format};

/// The key.
const KEY: &str = "accept_content";

/// Reads names of formats, or their content types.
pub(super) fn read(reader: &mut Reader) -> Result<Accept, ConfigError> {
    let (names, source) = reader.list(KEY, &[Format::Json.name()])?;
    let wrong = |reason: String| ConfigError::Wrong {
        key: KEY.to_owned(),
        value: format!("{names:?}"),
        reason,
        source_place: source.clone(),
    };
    let known = || Format::ALL.map(Format::name).join(", ");
    let mut formats = Vec::new();
    for name in &names {
        match Format::named(name) {
            Some(format) => formats.push(format),
            None => {
                return Err(wrong(format!(
                    "{name:?} is no format of messages; there are {}",
                    known()
                )));
            }
        }
    }
    if formats.is_empty() {
        return Err(wrong(format!("at least one of {} is wanted", known())));
    }
    Ok(Accept::new(&formats))
}
