//! What `cargo metadata --no-deps` says about a workspace, reduced to what the
//! build tools ask.

use std::path::{Path, PathBuf};

use crate::json::Json;
use crate::{BuildError, command};

/// Describes a Cargo workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The folder of the root manifest.
    pub root: PathBuf,
    /// Where Cargo puts the results of host builds.
    pub target_directory: PathBuf,
    /// The members, sorted by name.
    pub packages: Vec<Package>,
}

/// Describes one member of a workspace.
#[derive(Clone, Debug)]
pub struct Package {
    /// The name in `Cargo.toml`, hyphens as written.
    pub name: String,
    /// The path of its `Cargo.toml`.
    pub manifest: PathBuf,
    /// The name of the library target, if there is one.
    pub library: Option<String>,
    /// The direct dependencies of every kind.
    pub dependencies: Vec<Dependency>,
    /// `[package.metadata.celeriac] stack`, as written.
    pub stack: Option<String>,
}

/// Names one direct dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package's real name, whatever it was renamed to.
    pub name: String,
    /// Whether only tests need it.
    pub dev: bool,
}

impl Workspace {
    /// Asks Cargo about the workspace that `folder` is in.
    ///
    /// # Errors
    /// Where Cargo cannot be started, finds no manifest, or answers in a way
    /// this crate does not know.
    pub fn load(folder: &Path) -> Result<Self, BuildError> {
        let mut cargo = command::cargo();
        if let Some(target) = std::env::var_os("CARGO_TARGET_DIR") {
            cargo.env("CARGO_TARGET_DIR", target);
        }
        cargo
            .current_dir(folder)
            .args(["metadata", "--no-deps", "--format-version", "1"]);
        Self::read(&command::output(&mut cargo)?)
    }

    /// Finds the member whose manifest lies in `folder`.
    #[must_use]
    pub fn package_in(&self, folder: &Path) -> Option<&Package> {
        let folder = folder.canonicalize().ok()?;
        self.packages
            .iter()
            .find(|package| package.folder() == folder)
    }

    fn read(text: &str) -> Result<Self, BuildError> {
        let json = Json::parse(text).map_err(|error| unreadable(error.to_string()))?;
        let path = |key: &str| {
            let value = json.get(key).and_then(Json::as_str).map(PathBuf::from);
            value.ok_or_else(|| unreadable(format!("'{key}' expected")))
        };
        let packages = json.get("packages").map(Json::items).unwrap_or_default();
        let mut packages = packages
            .iter()
            .map(package)
            .collect::<Result<Vec<_>, _>>()?;
        packages.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self {
            root: path("workspace_root")?,
            target_directory: path("target_directory")?,
            packages,
        })
    }
}

impl Package {
    /// Returns the folder of the package.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.manifest.parent().unwrap_or(&self.manifest)
    }
}

fn package(json: &Json) -> Result<Package, BuildError> {
    let text = |key: &str| {
        let value = json.get(key).and_then(Json::as_str).map(str::to_owned);
        value.ok_or_else(|| unreadable(format!("a package's '{key}' expected")))
    };
    let targets = json.get("targets").map(Json::items).unwrap_or_default();
    let library = targets.iter().find(|target| {
        let kinds = target.get("kind").map(Json::items).unwrap_or_default();
        kinds
            .iter()
            .filter_map(Json::as_str)
            .any(|kind| matches!(kind, "lib" | "rlib" | "cdylib"))
    });
    let stack = json
        .get("metadata")
        .and_then(|m| m.get("celeriac"))
        .and_then(|m| m.get("stack"));
    let dependencies = json
        .get("dependencies")
        .map(Json::items)
        .unwrap_or_default();
    Ok(Package {
        name: text("name")?,
        manifest: PathBuf::from(text("manifest_path")?),
        library: library
            .and_then(|lib| lib.get("name"))
            .and_then(Json::as_str)
            .map(str::to_owned),
        dependencies: dependencies.iter().filter_map(dependency).collect(),
        stack: stack.and_then(Json::as_str).map(str::to_owned),
    })
}

fn dependency(json: &Json) -> Option<Dependency> {
    let name = json.get("name")?.as_str()?.to_owned();
    let dev = json.get("kind").and_then(Json::as_str) == Some("dev");
    Some(Dependency { name, dev })
}

fn unreadable(reason: String) -> BuildError {
    BuildError::Unreadable {
        command: "cargo metadata".to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_crate_finds_itself() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workspace = Workspace::load(here).unwrap();
        let package = workspace.package_in(here).unwrap();
        assert_eq!(package.library.as_deref(), Some("celeriac_build"));
        let expected = Dependency {
            name: "thiserror".to_owned(),
            dev: false,
        };
        assert!(package.dependencies.contains(&expected));
    }

    #[test]
    fn an_answer_without_its_folders_is_unreadable() {
        let error = Workspace::read(r#"{"packages":[]}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("'workspace_root' expected"), "{error}");
    }

    #[test]
    fn a_package_says_its_stack_and_what_only_tests_need() {
        let text = r#"{"workspace_root":"/w","target_directory":"/w/target","packages":[
            {"name":"b","manifest_path":"/w/b/Cargo.toml","targets":[{"kind":["bin"],"name":"b"}]},
            {"name":"a-b","manifest_path":"/w/a/Cargo.toml","metadata":{"celeriac":{"stack":"1MiB"}},
             "targets":[{"kind":["cdylib","rlib"],"name":"a_b"}],
             "dependencies":[{"name":"x","kind":"dev"}]}]}"#;
        let workspace = Workspace::read(text).unwrap();
        let [a, b] = &workspace.packages[..] else {
            panic!("{workspace:?}")
        };
        assert_eq!(
            (a.library.as_deref(), a.stack.as_deref()),
            (Some("a_b"), Some("1MiB"))
        );
        assert_eq!(
            a.dependencies,
            [Dependency {
                name: "x".to_owned(),
                dev: true
            }]
        );
        assert_eq!(b.library, None);
    }
}
