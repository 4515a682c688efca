//! Compilation: a component becomes native code.
//!
//! Wasmtime does not promise to be quick or frugal while compiling, so this
//! runs in a process of its own that can be killed.

use crate::config;
use crate::error::Refusal;
use crate::inspect::inspect;
use crate::log::escape;
use std::hash::{DefaultHasher, Hash, Hasher};
use wasmtime::Engine;

/// Compiles a component into an artifact that [`Engine::load`](crate::Engine::load)
/// takes. Checks it first, as [`inspect`] does.
///
/// It may use much CPU time and memory: call it in a child process.
///
/// # Errors
/// A [`Refusal`] when the component is not acceptable or cannot be compiled.
pub fn compile(component: &[u8]) -> Result<Vec<u8>, Refusal> {
    inspect(component)?;
    let gave_up = |error: wasmtime::Error| Refusal::Compile {
        reason: escape(&format!("{error:#}")),
    };
    let engine = Engine::new(&config::shared()).map_err(gave_up)?;
    engine.precompile_component(component).map_err(gave_up)
}

/// Returns a text that changes whenever artifacts must be compiled again: with
/// Wasmtime's version, the configuration, or the kind of CPU.
#[must_use]
pub fn compatibility() -> String {
    match Engine::new(&config::shared()) {
        Ok(engine) => {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            format!("{:016x}", hasher.finish())
        }
        // Without an engine nothing loads; the caller meets the error there.
        Err(_) => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compatibility_is_the_same_each_time() {
        assert_eq!(compatibility(), compatibility());
        assert_eq!(compatibility().len(), 16);
    }
}
