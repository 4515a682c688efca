//! Bounds on an upload's parts, checked before validation and compilation: the
//! compiler's time and memory grow with them.
//!
//! They are far above what components of Rust, C, QuickJS, StarlingMonkey and
//! Python need (measured), and far below what a hostile file can say in 32 MiB.

use crate::config::{CORE_INSTANCES, TABLE_ELEMENTS};
use crate::error::Refusal;
use crate::log::escape;
use wasmparser::{BinaryReaderError, FunctionBody, Parser, Payload, TableSectionReader};

const MODULES: u64 = CORE_INSTANCES as u64;
const FUNCTIONS: u64 = 50_000;
const BODY_BYTES: u64 = 1 << 20;
/// Locals of one function: the compiler's time grows faster than their number.
const LOCALS: u64 = 5_000;
const TYPES: u64 = 10_000;
/// Python has 4,101, most of them of its interpreter.
const EXPORTS: u64 = 10_000;
const DATA_SEGMENTS: u64 = 16_384;
const ELEMENT_SEGMENTS: u64 = 2_048;
const DEPTH: u64 = 16;
/// Names, producers and whatever else is beside the code: Python has 420,000
/// bytes. Names are kept with the code, to be told in a trap.
const CUSTOM_BYTES: u64 = 1 << 20;

/// Counts the parts of a component and refuses what is over a bound.
pub(super) fn check(bytes: &[u8]) -> Result<(), Refusal> {
    let mut count = Count::default();
    for payload in Parser::new(0).parse_all(bytes) {
        count.add(&payload.map_err(invalid)?)?;
    }
    Ok(())
}

#[derive(Default)]
struct Count {
    depth: u64,
    modules: u64,
    functions: u64,
    types: u64,
    exports: u64,
    data: u64,
    elements: u64,
    custom: u64,
}

impl Count {
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), Refusal> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "sections without a bound of their own are bounded by the upload's size"
        )]
        match payload {
            Payload::ModuleSection { .. } => {
                self.depth += 1;
                more(&mut self.modules, 1, MODULES, "core modules")
            }
            Payload::ComponentSection { .. } => {
                more(&mut self.depth, 1, DEPTH, "levels of nesting")
            }
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            Payload::TypeSection(types) => {
                more(&mut self.types, u64::from(types.count()), TYPES, "types")
            }
            Payload::ComponentTypeSection(types) => {
                more(&mut self.types, u64::from(types.count()), TYPES, "types")
            }
            Payload::FunctionSection(all) => more(
                &mut self.functions,
                u64::from(all.count()),
                FUNCTIONS,
                "functions",
            ),
            Payload::ExportSection(all) => more(
                &mut self.exports,
                u64::from(all.count()),
                EXPORTS,
                "exports",
            ),
            Payload::DataSection(all) => more(
                &mut self.data,
                u64::from(all.count()),
                DATA_SEGMENTS,
                "data segments",
            ),
            Payload::ElementSection(all) => more(
                &mut self.elements,
                u64::from(all.count()),
                ELEMENT_SEGMENTS,
                "element segments",
            ),
            Payload::CodeSectionEntry(body) => {
                let bytes = body.range().len() as u64;
                more(&mut 0, bytes, BODY_BYTES, "bytes in one function")?;
                check_locals(body)
            }
            // Debug information is neither read nor kept.
            Payload::CustomSection(custom) if custom.name().starts_with(".debug_") => Ok(()),
            Payload::CustomSection(custom) => more(
                &mut self.custom,
                custom.range().len() as u64,
                CUSTOM_BYTES,
                "bytes of names and other custom sections (strip them)",
            ),
            Payload::TableSection(tables) => check_tables(tables),
            _ => Ok(()),
        }
    }
}

fn invalid(error: BinaryReaderError) -> Refusal {
    Refusal::Invalid {
        reason: escape(&error.to_string()),
    }
}

fn check_tables(tables: &TableSectionReader<'_>) -> Result<(), Refusal> {
    for table in tables.clone() {
        let initial = table.map_err(invalid)?.ty.initial;
        let allowed = TABLE_ELEMENTS as u64;
        more(&mut 0, initial, allowed, "elements in one table")?;
    }
    Ok(())
}

fn check_locals(body: &FunctionBody<'_>) -> Result<(), Refusal> {
    let mut locals = 0;
    for group in body.get_locals_reader().map_err(invalid)? {
        let (count, _) = group.map_err(invalid)?;
        more(
            &mut locals,
            u64::from(count),
            LOCALS,
            "locals in one function",
        )?;
    }
    Ok(())
}

fn more(so_far: &mut u64, by: u64, allowed: u64, what: &'static str) -> Result<(), Refusal> {
    *so_far = so_far.saturating_add(by);
    if *so_far > allowed {
        return Err(Refusal::TooMuch {
            what,
            wanted: *so_far,
            allowed,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(wat: &str) -> String {
        check(&wat::parse_str(wat).unwrap())
            .unwrap_err()
            .to_string()
    }

    fn module(inside: &str) -> String {
        format!("(component (core module {inside}))")
    }

    #[test]
    fn each_bound_can_be_passed() {
        let many = |text: &str, count: u64| text.repeat(usize::try_from(count).unwrap());
        let body = many("nop ", BODY_BYTES);
        for (wat, words) in [
            (
                format!("(component {})", many("(core module)", MODULES + 1)),
                "core modules",
            ),
            (module(&many("(func)", FUNCTIONS + 1)), "functions"),
            (module(&format!("(func {body})")), "bytes in one function"),
            (
                module(&format!("(func {})", many("(local i32)", LOCALS + 1))),
                "locals in one function",
            ),
            (
                module(&format!("(@custom \"x\" \"{}\")", many("x", CUSTOM_BYTES))),
                "custom sections",
            ),
            (module(&many("(type (func))", TYPES + 1)), "types"),
            (
                module(&many("(data \"\")", DATA_SEGMENTS + 1)),
                "data segments",
            ),
            (
                module(&format!(
                    "(func $f) {}",
                    many("(elem func $f)", ELEMENT_SEGMENTS + 1)
                )),
                "element segments",
            ),
            (module("(table 20001 funcref)"), "elements in one table"),
            (
                format!("{}{}", many("(component ", DEPTH + 2), many(")", DEPTH + 2)),
                "levels of nesting",
            ),
        ] {
            let text = refused(&wat);
            assert!(text.contains(words), "{words:?} not in {text:?}");
        }
        let exports: String = (0..=EXPORTS)
            .map(|n| format!("(export \"{n}\" (func $f))"))
            .collect();
        assert!(refused(&module(&format!("(func $f) {exports}"))).contains("exports"));
    }
}
