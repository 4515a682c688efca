//! Which crate of ours may depend on which.

use celeriac_build::metadata::{Package, Workspace};

use super::Finding;

/// A crate of ours and what it may depend on.
struct Rule {
    name: &'static str,
    ours: &'static [&'static str],
    /// All other crates it may use, where it must stay light.
    light: Option<&'static [&'static str]>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "celeriac",
        ours: &["celeriac-sandbox", "celeriac-build", "celeriac-harness"],
        light: None,
    },
    Rule {
        name: "celeriac-sandbox",
        ours: &[],
        light: None,
    },
    Rule {
        name: "celeriac-sdk",
        ours: &["celeriac-sdk-macros"],
        light: None,
    },
    Rule {
        name: "celeriac-sdk-macros",
        ours: &[],
        light: None,
    },
    Rule {
        name: "celeriac-build",
        ours: &[],
        light: Some(&["thiserror", "wit-component"]),
    },
    Rule {
        name: "celeriac-harness",
        ours: &["celeriac-sandbox", "celeriac-build"],
        light: None,
    },
    Rule {
        name: "support",
        ours: &[],
        light: None,
    },
    Rule {
        name: "xtask",
        ours: &["celeriac-build"],
        light: Some(&["anyhow", "base64", "serde_json"]),
    },
];

/// The rule of every crate under `tasks/` and `tests/guests/`: guests are leaves.
const GUEST: Rule = Rule {
    name: "",
    ours: &["celeriac-sdk"],
    light: None,
};

/// What tests of any crate may use besides.
const FOR_TESTS: [&str; 5] = [
    "support",
    "celeriac-harness",
    "celeriac-build",
    "celeriac-sandbox",
    "celeriac-sdk",
];

/// Checks every member of the workspace.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let ours: Vec<&str> = workspace
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    workspace
        .packages
        .iter()
        .flat_map(|package| findings(workspace, package, &ours))
        .collect()
}

fn findings(workspace: &Workspace, package: &Package, ours: &[&str]) -> Vec<Finding> {
    let manifest = package
        .manifest
        .strip_prefix(&workspace.root)
        .unwrap_or(&package.manifest);
    let file = manifest.to_string_lossy().replace('\\', "/");
    let finding = |what: String| Finding {
        file: file.clone(),
        line: 1,
        what,
    };
    let guest = file.starts_with("tasks/") || file.starts_with("tests/guests/");
    let rule = RULES.iter().find(|rule| rule.name == package.name);
    let Some(rule) = rule.or(guest.then_some(&GUEST)) else {
        let what = format!(
            "crate '{}' is in no room; add it to RULES in xtask/src/tidy/crates.rs",
            package.name
        );
        return vec![finding(what)];
    };
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let for_tests = dependency.dev && FOR_TESTS.contains(&name);
        if ours.contains(&name) {
            if !rule.ours.contains(&name) && !for_tests && name != package.name {
                let what = format!(
                    "'{}' must not depend on '{name}'; of ours it may use: {}",
                    package.name,
                    list(rule.ours)
                );
                findings.push(finding(what));
            }
        } else if let Some(light) = rule.light
            && !dependency.dev
            && !light.contains(&name)
        {
            let what = format!(
                "'{}' must stay light: '{name}' is not among {}",
                package.name,
                list(light)
            );
            findings.push(finding(what));
        }
    }
    findings
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use celeriac_build::metadata::Dependency;

    use super::*;

    fn check_one(name: &str, folder: &str, dependency: &str, dev: bool) -> Vec<String> {
        let package = |name: &str, folder: &str, dependencies: Vec<Dependency>| Package {
            name: name.to_owned(),
            manifest: PathBuf::from(format!("/w/{folder}/Cargo.toml")),
            library: None,
            dependencies,
            stack: None,
        };
        let uses = vec![Dependency {
            name: dependency.to_owned(),
            dev,
        }];
        let others = [
            "celeriac",
            "celeriac-sandbox",
            "celeriac-sdk",
            "celeriac-harness",
        ];
        let mut packages = vec![package(name, folder, uses)];
        packages.extend(
            others
                .iter()
                .filter(|o| **o != name)
                .map(|o| package(o, o, Vec::new())),
        );
        let workspace = Workspace {
            root: PathBuf::from("/w"),
            target_directory: PathBuf::from("/t"),
            packages,
        };
        check(&workspace).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_dependency_against_the_table_names_what_is_allowed() {
        let found = check_one("celeriac-sandbox", "runtime/sandbox", "celeriac", false);
        assert_eq!(
            found,
            [
                "runtime/sandbox/Cargo.toml:1: 'celeriac-sandbox' must not depend on 'celeriac'; of ours it may use: nothing"
            ]
        );
        assert_eq!(
            check_one("text", "tasks/text", "celeriac-sandbox", false).len(),
            1
        );
        assert_eq!(
            check_one("celeriac-sdk", "sdk", "celeriac-harness", false).len(),
            1
        );
    }

    #[test]
    fn a_dependency_of_the_table_or_of_tests_is_fine() {
        assert!(check_one("celeriac", "runtime", "celeriac-sandbox", false).is_empty());
        assert!(check_one("text", "tasks/text", "celeriac-sdk", false).is_empty());
        assert!(check_one("text", "tasks/text", "celeriac-harness", true).is_empty());
        assert!(check_one("celeriac", "runtime", "serde", false).is_empty());
    }

    #[test]
    fn a_light_crate_stays_light() {
        let found = check_one("xtask", "xtask", "clap", false);
        assert_eq!(
            found,
            [
                "xtask/Cargo.toml:1: 'xtask' must stay light: 'clap' is not among anyhow, base64, serde_json"
            ]
        );
    }

    #[test]
    fn a_crate_without_a_room_is_refused() {
        assert!(check_one("attic", "attic", "serde", false)[0].contains("'attic' is in no room"));
    }
}
