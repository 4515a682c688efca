//! Compares a component's imports and exports with the world, by name and
//! version, so that a misfit is told in words an author can act on.

use crate::error::Refusal;
use crate::log::escape;
use std::fmt;
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::Types;
use wasmparser::{Parser, Payload};

/// The version of `celeriac:task` this host has.
const VERSION: &str = "0.1.0";

/// The functions of each interface a guest may import from `celeriac:task`.
const IMPORTS: [(&str, &[&str]); 9] = [
    ("types", &[]),
    (
        "context",
        &[
            "id",
            "root-id",
            "parent-id",
            "retries",
            "delivery-count",
            "max-retries",
            "queue",
            "remaining-ms",
            "soft-remaining-ms",
            "interrupted",
            "wait",
            "header",
        ],
    ),
    ("progress", &["update", "set-state"]),
    ("log", &["enabled", "emit"]),
    (
        "submit",
        &[
            "[constructor]job",
            "[method]job.set-queue",
            "[method]job.set-countdown-ms",
            "[method]job.set-expires-ms",
            "[method]job.set-priority",
            "[method]job.set-idempotency-key",
            "[method]job.set-header",
            "[static]job.submit",
        ],
    ),
    ("canvas", &["apply", "replace"]),
    ("ambient", &["now-unix-ms", "monotonic-ns", "random-bytes"]),
    ("secrets", &["get"]),
    (
        "scratch",
        &["write", "read", "size", "resize", "remove", "names"],
    ),
];

/// The interfaces every component must export, with the function it calls.
const EXPORTS: [(&str, &str); 2] = [("manifest", "describe"), ("handler", "run")];

/// The packages of WASI 0.2 this host has (denied by construction, or without a grant).
const WASI: [&str; 7] = [
    "cli",
    "clocks",
    "filesystem",
    "http",
    "io",
    "random",
    "sockets",
];
/// The interfaces of `wasi:http` this host has; the others are those of a server.
const HTTP: [&str; 2] = ["types", "outgoing-handler"];

/// The drafts of WASI this host has. A draft is compatible with itself alone.
const DRAFTS: [(&str, &str, &str); 4] = [
    ("wasi:config", "store", "0.2.0-rc.1"),
    ("wasi:keyvalue", "store", "0.2.0-draft"),
    ("wasi:keyvalue", "atomics", "0.2.0-draft"),
    ("wasi:keyvalue", "batch", "0.2.0-draft"),
];

/// One way in which a component does not fit the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whether it is an import; else an export.
    pub import: bool,
    /// The interface, with its version, as the component names it.
    pub interface: String,
    /// The function, where one function is the trouble.
    pub function: Option<String>,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.import { "imports" } else { "exports" };
        write!(f, "{side}  {}", escape(&self.interface))?;
        if let Some(function) = &self.function {
            write!(f, "  function {}", escape(function))?;
        }
        write!(f, "  {}", self.problem)
    }
}

/// Checks a validated component against the world.
pub(super) fn check(bytes: &[u8], types: &Types) -> Result<(), Refusal> {
    let (imports, exports) = names(bytes)?;
    let mut differences = Vec::new();
    for name in &imports {
        compare_import(name, types, &mut differences);
    }
    for (interface, function) in EXPORTS {
        compare_export(interface, function, &exports, types, &mut differences);
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(Refusal::World(differences))
    }
}

/// Returns the names of the outermost component's imports and exports.
fn names(bytes: &[u8]) -> Result<(Vec<String>, Vec<String>), Refusal> {
    let invalid = |error: wasmparser::BinaryReaderError| Refusal::Invalid {
        reason: escape(&error.to_string()),
    };
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_u32);
    for payload in Parser::new(0).parse_all(bytes) {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "only names and nesting matter here"
        )]
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(all) if depth == 0 => {
                for one in all {
                    imports.push(one.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(all) if depth == 0 => {
                for one in all {
                    exports.push(one.map_err(invalid)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

fn compare_import(name: &str, types: &Types, differences: &mut Vec<Difference>) {
    let mut differs = |function: Option<&str>, problem: String| {
        differences.push(Difference {
            import: true,
            interface: name.to_owned(),
            function: function.map(str::to_owned),
            problem,
        });
    };
    let Some((package, interface, version)) = split(name) else {
        return differs(None, "this host has no such import".to_owned());
    };
    let is_it = |(draft, one, _): &&(&str, &str, &str)| *draft == package && *one == interface;
    if let Some((_, _, ours)) = DRAFTS.iter().find(is_it) {
        if version != *ours {
            differs(None, format!("this host has the draft {ours}"));
        }
        return;
    }
    if let Some(wasi) = package.strip_prefix("wasi:") {
        if !WASI.contains(&wasi) {
            differs(
                None,
                format!(
                    "this host gives of WASI only {}, and of drafts config and keyvalue",
                    WASI.join(", ")
                ),
            );
        } else if wasi == "http" && !HTTP.contains(&interface) {
            differs(
                None,
                format!("this host gives of wasi:http only {}", HTTP.join(", ")),
            );
        } else if !same_track(version, "0.2.0") {
            differs(None, "this host has WASI 0.2".to_owned());
        }
        return;
    }
    let known = IMPORTS
        .iter()
        .find(|(known, _)| package == "celeriac:task" && *known == interface);
    let Some((_, functions)) = known else {
        return differs(None, "this host has no such interface".to_owned());
    };
    if !same_track(version, VERSION) {
        return differs(None, format!("this host has {VERSION}"));
    }
    for function in functions_of(name, types, true) {
        if !functions.contains(&function.as_str()) {
            differs(
                Some(&function),
                format!("this host has {VERSION} without it"),
            );
        }
    }
}

fn compare_export(
    interface: &str,
    function: &str,
    exports: &[String],
    types: &Types,
    differences: &mut Vec<Difference>,
) {
    let wanted = format!("celeriac:task/{interface}@{VERSION}");
    let is_it = |name: &&String| {
        split(name)
            .is_some_and(|(package, found, _)| package == "celeriac:task" && found == interface)
    };
    let mut differs = |interface: &str, function: Option<&str>, problem: &str| {
        differences.push(Difference {
            import: false,
            interface: interface.to_owned(),
            function: function.map(str::to_owned),
            problem: problem.to_owned(),
        });
    };
    let Some(name) = exports.iter().find(is_it) else {
        return differs(&wanted, None, "is missing");
    };
    let fits = split(name).is_some_and(|(_, _, version)| same_track(version, VERSION));
    if !fits {
        differs(name, None, &format!("this host calls {VERSION}"));
    } else if !functions_of(name, types, false)
        .iter()
        .any(|found| found == function)
    {
        differs(name, Some(function), "is missing");
    }
}

fn functions_of(name: &str, types: &Types, import: bool) -> Vec<String> {
    let item = if import {
        types.as_ref().component_item_for_import(name)
    } else {
        types.as_ref().component_item_for_export(name)
    };
    let Some(ComponentEntityType::Instance(id)) = item.map(|item| item.ty) else {
        return Vec::new();
    };
    let Some(instance) = types.as_ref().get(id) else {
        return Vec::new();
    };
    let is_function = |ty: &ComponentEntityType| matches!(ty, ComponentEntityType::Func(_));
    let all = instance.exports.iter();
    all.filter(|(_, item)| is_function(&item.ty))
        .map(|(name, _)| name.to_string())
        .collect()
}

/// Splits `package/interface@version`.
fn split(name: &str) -> Option<(&str, &str, &str)> {
    let (path, version) = name.rsplit_once('@')?;
    let (package, interface) = path.split_once('/')?;
    Some((package, interface, version))
}

/// Tells whether two versions are compatible: same up to the first number that
/// is not zero, and no pre-release.
fn same_track(found: &str, ours: &str) -> bool {
    let track = |version: &str| {
        let mut parts = version.split('.');
        let (major, minor) = (
            parts.next()?.parse::<u32>().ok()?,
            parts.next()?.parse::<u32>().ok()?,
        );
        let _patch = parts.next()?.parse::<u32>().ok()?;
        parts
            .next()
            .is_none()
            .then_some((major, if major == 0 { minor } else { 0 }))
    };
    track(found).is_some() && track(found) == track(ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::inspect;

    fn refused(wat: &str) -> String {
        inspect(&wat::parse_str(wat).unwrap())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_component_without_our_exports_is_told_both() {
        let text = refused("(component)");
        assert!(
            text.contains("exports  celeriac:task/manifest@0.1.0  is missing"),
            "{text}"
        );
        assert!(
            text.contains("exports  celeriac:task/handler@0.1.0  is missing"),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_import_is_named_with_what_is_wrong() {
        for (import, problem) in [
            ("acme:shop/cart@1.0.0", "this host has no such interface"),
            ("cart", "this host has no such import"),
            ("wasi:nn/tensor@0.2.0", "this host gives of WASI only cli"),
            (
                "wasi:http/incoming-handler@0.2.3",
                "this host gives of wasi:http only types, outgoing-handler",
            ),
            ("wasi:http/types@0.3.0", "this host has WASI 0.2"),
            ("wasi:io/poll@0.3.0", "this host has WASI 0.2"),
            (
                "wasi:keyvalue/store@0.2.0-draft2",
                "this host has the draft 0.2.0-draft",
            ),
            (
                "wasi:config/store@0.2.0",
                "this host has the draft 0.2.0-rc.1",
            ),
            ("wasi:keyvalue/watcher@0.2.0-draft", "of drafts config"),
            ("celeriac:task/log@0.2.0", "this host has 0.1.0"),
            ("celeriac:task/log@0.1.0-rc1", "this host has 0.1.0"),
        ] {
            let text = refused(&format!("(component (import \"{import}\" (instance)))"));
            assert!(text.contains(import) && text.contains(problem), "{text}");
        }
    }

    #[test]
    fn a_function_of_a_later_version_is_named() {
        let text = refused(
            r#"(component (import "celeriac:task/submit@0.1.3" (instance
                (export "submit-many" (func)))))"#,
        );
        let line = "imports  celeriac:task/submit@0.1.3  function submit-many  this host has 0.1.0 without it";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn versions_of_one_track_fit() {
        assert!(same_track("0.1.9", "0.1.0") && same_track("1.4.0", "1.0.0"));
        assert!(
            !same_track("0.2.0", "0.1.0")
                && !same_track("0.1", "0.1.0")
                && !same_track("x.y.z", "0.1.0")
        );
    }

    #[test]
    fn the_table_of_functions_is_the_wit() {
        let mut resolve = wit_parser::Resolve::default();
        let (package, _) = resolve
            .push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit"))
            .unwrap();
        for (name, id) in &resolve.packages[package].interfaces {
            let found: Vec<&str> = resolve.interfaces[*id]
                .functions
                .keys()
                .map(String::as_str)
                .collect();
            if let Some((_, functions)) = EXPORTS.iter().find(|(known, _)| known == name) {
                assert_eq!(found, [*functions], "{name}");
                continue;
            }
            let (_, functions) = IMPORTS.iter().find(|(known, _)| known == name).unwrap();
            assert_eq!(found, *functions, "{name}");
        }
        assert_eq!(
            resolve.packages[package].interfaces.len(),
            IMPORTS.len() + EXPORTS.len()
        );
    }
}
