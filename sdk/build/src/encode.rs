//! Turns the core module of a `wasm32-unknown-unknown` build into a component.

use std::fs;
use std::path::Path;

use wit_component::ComponentEncoder;

use crate::BuildError;

/// Reads a core module and returns the component it forms with the contract
/// that `wit-bindgen` left in its custom sections; no adapter, no WASI.
pub(crate) fn encode(module: &Path) -> Result<Vec<u8>, BuildError> {
    let bytes = fs::read(module).map_err(BuildError::io("read", module))?;
    let encoder = ComponentEncoder::default().validate(true).module(&bytes);
    encoder
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| BuildError::Encode {
            module: module.to_path_buf(),
            reason: format!("{error:#}"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_is_refused_with_its_path() {
        let file =
            std::env::temp_dir().join(format!("celeriac-encode-{}.wasm", std::process::id()));
        fs::write(&file, b"not wasm").unwrap();
        let error = encode(&file).unwrap_err();
        fs::remove_file(&file).unwrap();
        assert!(matches!(error, BuildError::Encode { module, .. } if module == file));
    }
}
