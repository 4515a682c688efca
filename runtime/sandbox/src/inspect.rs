//! Looks at an upload before anything is compiled: is it a component, is it
//! sound, is it small enough, does it fit the world?

mod bounds;
mod world;

pub use world::Difference;

use crate::defence::{Defence, stands};
use crate::error::Refusal;
use crate::log::escape;
use wasmparser::{Validator, WasmFeatures};

/// Largest upload, bytes (32 MiB): Python's runtime as a component has 17.5.
pub const UPLOAD_BYTES: u64 = 32 << 20;

/// Checks an upload without compiling it.
///
/// # Errors
/// A [`Refusal`] that says what the file is instead, what is broken, which
/// bound it passes, or which import or export does not fit.
pub fn inspect(bytes: &[u8]) -> Result<(), Refusal> {
    let size = bytes.len() as u64;
    if size > UPLOAD_BYTES {
        return Err(Refusal::TooLarge {
            bytes: size,
            allowed: UPLOAD_BYTES,
        });
    }
    if stands(Defence::Kind) {
        check_kind(bytes)?;
    }
    if stands(Defence::Bounds) {
        bounds::check(bytes)?;
    }
    let types = Validator::new_with_features(features())
        .validate_all(bytes)
        .map_err(|error| Refusal::Invalid {
            reason: escape(&error.to_string()),
        })?;
    if stands(Defence::World) {
        world::check(bytes, &types)?;
    }
    Ok(())
}

/// The WebAssembly features a guest may use: those the engine has on.
fn features() -> WasmFeatures {
    let off = WasmFeatures::THREADS
        | WasmFeatures::SHARED_EVERYTHING_THREADS
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::MEMORY64
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::LEGACY_EXCEPTIONS
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::GC
        | WasmFeatures::STACK_SWITCHING
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::CM_ASYNC;
    if stands(Defence::Features) {
        WasmFeatures::default() - off
    } else {
        WasmFeatures::default() | off
    }
}

fn check_kind(bytes: &[u8]) -> Result<(), Refusal> {
    match bytes {
        [] => Err(Refusal::Empty),
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(Refusal::CoreModule),
        [0, b'a', b's', b'm', ..] => Err(Refusal::Invalid {
            reason: "it has a version of WebAssembly that is not known".to_owned(),
        }),
        // Wasmtime's precompiled artifacts are ELF files too.
        [0x7f, b'E', b'L', b'F', ..] => Err(Refusal::Native {
            what: "an ELF file",
        }),
        [b'M', b'Z', ..] => Err(Refusal::Native {
            what: "a Windows program",
        }),
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => Err(Refusal::Native {
            what: "a Mach-O file",
        }),
        _ => Err(not_wasm(bytes)),
    }
}

fn not_wasm(bytes: &[u8]) -> Refusal {
    let start = bytes.get(..bytes.len().min(1_024)).unwrap_or(bytes);
    let is_text = match std::str::from_utf8(start) {
        Ok(_) => true,
        // A character cut in two by the end of the sample is still text.
        Err(error) => error.error_len().is_none(),
    };
    if is_text {
        return Refusal::Text;
    }
    Refusal::Unknown {
        start: bytes
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x} "))
            .collect::<String>()
            .trim_end()
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_component_is_named() {
        let core = wat::parse_str("(module)").unwrap();
        for (bytes, words) in [
            (b"".as_slice(), "empty"),
            (b"(component)", "text"),
            (b"fn main() {}", "text"),
            (&core, "core WebAssembly module"),
            (b"\x7fELF\x02\x01", "ELF"),
            (b"\x89PNG\r\n\x1a\n\xff\xff", "89 50 4e 47"),
            (b"\0asm\xff\0\0\0", "version"),
        ] {
            let text = inspect(bytes).unwrap_err().to_string();
            assert!(text.contains(words), "{words:?} not in {text:?}");
        }
    }

    #[test]
    fn an_upload_over_32_mib_is_refused_by_its_size() {
        let bytes = vec![0; usize::try_from(UPLOAD_BYTES).unwrap() + 1];
        assert!(matches!(inspect(&bytes), Err(Refusal::TooLarge { .. })));
    }

    #[test]
    fn a_truncated_component_is_invalid() {
        let whole = wat::parse_str("(component (core module (memory 1)) (core module))").unwrap();
        for end in 9..whole.len() {
            let cut = &whole[..end];
            assert!(inspect(cut).is_err(), "{end} of {}", whole.len());
        }
        let error = inspect(&whole[..whole.len() - 3]).unwrap_err();
        assert!(matches!(error, Refusal::Invalid { .. }), "{error}");
    }

    #[test]
    fn features_the_engine_has_off_are_refused() {
        for feature in [
            "(core module (memory i64 1))",
            "(core module (memory 1 1 shared))",
            "(core module (memory 1) (memory 1))",
            "(core module (table i64 1 funcref))",
            "(core module (memory 1 (pagesize 1)))",
            "(core module (tag))",
            "(core module (func (try_table)))",
            "(core module (type (struct)))",
            "(core module (type $f (func)) (func (param (ref $f))))",
            "(core module (type $f (func)) (type (cont $f)))",
            "(core module (func (param v128) (drop (i32x4.relaxed_trunc_f32x4_s (local.get 0)))))",
            "(core module (func (param i32) (drop (i32.atomic.load (local.get 0)))) (memory 1))",
            "(type (future u8))",
            "(type (stream u8))",
        ] {
            let bytes = wat::parse_str(format!("(component {feature})")).unwrap();
            assert!(
                matches!(inspect(&bytes), Err(Refusal::Invalid { .. })),
                "{feature}"
            );
        }
    }
}
