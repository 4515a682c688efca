//! Prints types as JSON Schema (2020-12) and default values as JSON, for a component's manifest.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;

/// Prints the schema of what a parameter accepts.
pub fn param_schema<T: JsonSchema>() -> Option<String> {
    print::<T>(SchemaSettings::draft2020_12())
}

/// Prints the schema of what a result holds.
pub fn result_schema<T: JsonSchema>() -> Option<String> {
    print::<T>(SchemaSettings::draft2020_12().for_serialize())
}

/// Prints a default value.
pub fn default_json<T: Serialize>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok()
}

fn print<T: JsonSchema>(settings: SchemaSettings) -> Option<String> {
    // The contract says which schema language it is; every schema saying so again would double it.
    let settings = settings.with(|settings| settings.meta_schema = None);
    serde_json::to_string(&settings.into_generator().into_root_schema_for::<T>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_that_of_the_type() {
        assert_eq!(
            param_schema::<u32>().as_deref(),
            Some(r#"{"title":"uint32","type":"integer","format":"uint32","minimum":0}"#)
        );
        assert_eq!(
            result_schema::<Vec<String>>().as_deref(),
            Some(r#"{"title":"Array_of_string","type":"array","items":{"type":"string"}}"#)
        );
    }

    #[test]
    fn a_default_is_printed_as_json() {
        assert_eq!(default_json(&Some("a")).as_deref(), Some(r#""a""#));
        assert_eq!(default_json(&None::<u8>).as_deref(), Some("null"));
    }
}
