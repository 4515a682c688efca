//! Who may import whom inside `runtime/src`.

use super::Finding;
use super::source::Source;
use super::tokens::Token;

/// A layer of the runtime, from the ground up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// Plain types; they import nothing of ours.
    Words,
    /// Small services for all but words and policy.
    Leaf,
    /// Pure decisions.
    Policy,
    /// Celery's formats, no I/O.
    Wire,
    /// The only opener of its engine, below the seams.
    Store,
    /// Where drivers plug in; they never import each other.
    Seam,
    /// What moves tasks.
    Engine,
    /// What was written, checked and typed.
    Config,
    /// What people and programs talk to.
    Edge,
    /// What wires the rest together.
    Root,
}

use Layer::{Config, Edge, Engine, Leaf, Policy, Root, Seam, Store, Wire, Words};

/// Every top-level module and its layer.
pub(super) const MODULES: [(&str, Layer); 26] = [
    ("task", Words),
    ("defence", Words),
    ("clock", Leaf),
    ("confine", Leaf),
    ("telemetry", Leaf),
    ("shutdown", Leaf),
    ("policy", Policy),
    ("celery", Wire),
    ("plane", Wire),
    ("database", Store),
    ("amqp", Store),
    ("resp", Store),
    ("sql", Store),
    ("remote", Store),
    ("broker", Seam),
    ("bus", Seam),
    ("results", Seam),
    ("registry", Engine),
    ("platform", Engine),
    ("worker", Engine),
    ("events", Engine),
    ("control", Engine),
    ("config", Config),
    ("api", Edge),
    ("cli", Edge),
    ("app", Root),
];

/// What each layer may import where [`EXCEPTIONS`] says nothing more.
const fn may_import(layer: Layer) -> &'static [Layer] {
    match layer {
        Words => &[],
        Leaf | Policy => &[Words],
        Wire | Config => &[Words, Leaf],
        // The wire of the control plane is what `remote` speaks.
        Store => &[Words, Leaf, Wire],
        Seam => &[Words, Leaf, Wire, Store],
        Engine => &[Words, Leaf, Policy, Wire, Seam, Engine],
        Edge => &[Words, Leaf, Seam, Engine],
        Root => &[
            Words, Leaf, Policy, Wire, Store, Seam, Engine, Config, Edge, Root,
        ],
    }
}

/// Single imports beyond the layers, each with its reason.
pub(super) const EXCEPTIONS: [(&str, &str, &str); 15] = [
    (
        "registry",
        "database",
        "its rows live in the one database file",
    ),
    (
        "registry",
        "sql",
        "its rows live where the operator keeps them",
    ),
    ("platform", "sql", "its rows live beside the registry's"),
    (
        "api",
        "sql",
        "a database that is away is told in other words than one that is full",
    ),
    ("api", "database", "the same, of the one database file"),
    (
        "api",
        "config",
        "a stand of its tests is made from a configuration",
    ),
    (
        "api",
        "plane",
        "it answers in the words of the control plane's HTTP API",
    ),
    (
        "api",
        "policy",
        "who may do what is decided before anything is done",
    ),
    (
        "api",
        "app",
        "tasks are called by the clients of their tenants, which app opens",
    ),
    (
        "cli",
        "plane",
        "with --server it speaks the control plane's HTTP API",
    ),
    (
        "cli",
        "remote",
        "with --server it works through a control plane",
    ),
    (
        "cli",
        "celery",
        "`call` writes a message and `result` reads a document",
    ),
    (
        "cli",
        "config",
        "the command line is the last layer of the configuration",
    ),
    ("cli", "database", "its errors have exit codes"),
    ("cli", "app", "a command starts what app wires"),
];

/// The modules that may know the sandbox: "brokers know nothing of Wasm".
const MAY_USE_SANDBOX: [Layer; 5] = [Policy, Engine, Edge, Config, Root];

/// Checks one file of the runtime.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let Some(path) = source.path.strip_prefix("runtime/src/") else {
        return Vec::new();
    };
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let own: Vec<&str> = path.split('/').collect();
    let Some(&module) = own.first() else {
        return Vec::new();
    };
    if matches!(module, "lib" | "main") {
        return Vec::new();
    }
    let Some(layer) = layer_of(module) else {
        let what = format!(
            "module '{module}' has no layer; add it to MODULES in xtask/src/tidy/layers.rs"
        );
        return vec![Finding::new(source, 1, what)];
    };
    let mut findings = Vec::new();
    for (target, line) in imports(&source.tokens, &own) {
        findings.extend(judge(module, layer, &target).map(|what| Finding::new(source, line, what)));
    }
    if !MAY_USE_SANDBOX.contains(&layer) {
        findings.extend(sandbox_uses(source, module, layer));
    }
    findings
}

/// Returns the top-level module of a file of the runtime, and those that it imports.
pub(super) fn imported(source: &Source) -> Option<(&str, Vec<String>)> {
    let path = source.path.strip_prefix("runtime/src/")?;
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let own: Vec<&str> = path.split('/').collect();
    let module = *own.first()?;
    let targets = imports(&source.tokens, &own);
    Some((
        module,
        targets.into_iter().map(|(target, _)| target).collect(),
    ))
}

fn layer_of(module: &str) -> Option<Layer> {
    MODULES
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, layer)| *layer)
}

/// Says what is wrong with an import, if anything is.
fn judge(module: &str, layer: Layer, target: &str) -> Option<String> {
    if target == module {
        return None;
    }
    let Some(target_layer) = layer_of(target) else {
        return Some(format!(
            "'crate::{target}' is no module of the layer table; name the module it comes from"
        ));
    };
    let excepted = EXCEPTIONS
        .iter()
        .any(|(from, to, _)| (*from, *to) == (module, target));
    if excepted || may_import(layer).contains(&target_layer) {
        return None;
    }
    Some(format!(
        "'{module}' ({layer:?}) must not import '{target}' ({target_layer:?}); it may import {}",
        allowed(module, layer)
    ))
}

fn allowed(module: &str, layer: Layer) -> String {
    let by_layer = MODULES
        .iter()
        .filter(|(_, other)| may_import(layer).contains(other));
    let by_exception = EXCEPTIONS
        .iter()
        .filter(|(from, ..)| *from == module)
        .map(|(_, to, _)| *to);
    let names: Vec<&str> = by_layer
        .map(|(name, _)| *name)
        .chain(by_exception)
        .collect();
    let names: Vec<&str> = names.into_iter().filter(|name| *name != module).collect();
    if names.is_empty() {
        "nothing of ours".to_owned()
    } else {
        names.join(", ")
    }
}

fn sandbox_uses(source: &Source, module: &str, layer: Layer) -> Vec<Finding> {
    let uses = source
        .tokens
        .iter()
        .filter(|token| token.text == "celeriac_sandbox");
    let what =
        format!("'{module}' ({layer:?}) must not know the sandbox; policy, engine and edges may");
    uses.map(|token| Finding::new(source, token.line, what.clone()))
        .collect()
}

/// Lists the top-level modules that `crate::…` and `super::…` paths name.
fn imports(tokens: &[Token], own: &[&str]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut inline: Vec<usize> = Vec::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        let text = |offset: usize| {
            tokens
                .get(at + offset)
                .map_or("", |token| token.text.as_str())
        };
        let before = at
            .checked_sub(1)
            .and_then(|at| tokens.get(at))
            .map_or("", |t| t.text.as_str());
        match token.text.as_str() {
            "{" => {
                depth += 1;
                let named = at.checked_sub(2).and_then(|at| tokens.get(at));
                if named.is_some_and(|token| token.text == "mod") {
                    inline.push(depth);
                }
            }
            "}" => {
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
                depth = depth.saturating_sub(1);
            }
            "crate" if before != "::" && text(1) == "::" => {
                found.extend(heads(tokens, at + 2));
            }
            "super" if before != "::" && text(1) == "::" => {
                let mut supers = 1;
                while text(2 * supers) == "super" && text(2 * supers + 1) == "::" {
                    supers += 1;
                }
                if supers == own.len() + inline.len() {
                    found.extend(heads(tokens, at + 2 * supers));
                }
            }
            _ => {}
        }
    }
    found
}

/// Lists the first names after a `crate::`: one, or those of a group.
fn heads(tokens: &[Token], at: usize) -> Vec<(String, usize)> {
    let Some(first) = tokens.get(at) else {
        return Vec::new();
    };
    if first.text != "{" {
        return vec![(first.text.clone(), first.line)];
    }
    let mut heads = Vec::new();
    let mut depth = 0_usize;
    let mut before = "";
    for token in tokens.get(at..).unwrap_or_default() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && matches!(before, "{" | ",") && token.is_word() => {
                heads.push((token.text.clone(), token.line));
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        before = &token.text;
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let source = Source::new(format!("runtime/src/{path}"), text);
        check(&source)
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn an_import_against_the_layers_names_what_is_allowed() {
        let found = findings(
            "broker/redis.rs",
            "use a;\nuse crate::{task::Id, results::{Results}};",
        );
        assert_eq!(found.len(), 1, "{found:?}");
        let text = &found[0];
        assert!(
            text.starts_with("runtime/src/broker/redis.rs:2: 'broker' (Seam)"),
            "{text}"
        );
        assert!(
            text.ends_with(
                "it may import task, defence, clock, confine, telemetry, shutdown, celery, plane, database, amqp, resp, sql, remote"
            ),
            "{text}"
        );
    }

    #[test]
    fn each_layer_is_refused_what_lies_above_it() {
        for (from, to) in [
            ("task", "clock"),
            ("clock", "telemetry"),
            ("policy", "clock"),
            ("celery", "broker"),
            ("database", "results"),
            ("results", "broker"),
            ("worker", "api"),
            ("worker", "database"),
            ("config", "worker"),
            ("api", "cli"),
        ] {
            let found = findings(
                &format!("{from}.rs"),
                &format!("fn f() {{ crate::{to}::g() }}"),
            );
            assert_eq!(found.len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn what_lies_below_may_be_imported() {
        for (from, to) in [
            ("worker/executor", "policy"),
            ("worker", "registry"),
            ("registry/rows", "database"),
            ("broker", "clock"),
            ("cli/call", "celery"),
            ("app", "cli"),
            ("task", "task"),
        ] {
            let found = findings(&format!("{from}.rs"), &format!("use crate::{to}::X;"));
            assert!(found.is_empty(), "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn a_path_through_super_is_seen_and_one_inside_the_module_is_not() {
        assert_eq!(findings("policy.rs", "use super::broker::X;").len(), 1);
        assert_eq!(
            findings("policy/retry.rs", "use super::super::broker::X;").len(),
            1
        );
        assert_eq!(
            findings("policy/retry.rs", "use super::broker::X;").len(),
            0
        );
        assert_eq!(
            findings("policy.rs", "mod tests { use super::broker::X; }").len(),
            0
        );
        assert_eq!(
            findings("policy.rs", "mod tests { use super::super::broker::X; }").len(),
            1
        );
        assert_eq!(
            findings("policy.rs", "pub(super) fn f() {} pub(crate) fn g() {}").len(),
            0
        );
    }

    #[test]
    fn a_module_or_item_outside_the_table_is_refused() {
        assert!(findings("juggler.rs", "")[0].contains("'juggler' has no layer"));
        assert!(findings("worker.rs", "use crate::Thing;")[0].contains("'crate::Thing'"));
    }

    #[test]
    fn only_policy_engine_and_edges_know_the_sandbox() {
        let text = "use celeriac_sandbox::Outcome;";
        assert!(findings("broker/embedded.rs", text)[0].contains("must not know the sandbox"));
        assert!(findings("policy/verdict.rs", text).is_empty());
    }
}
