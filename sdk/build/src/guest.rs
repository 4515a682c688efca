//! Builds one task crate into one component file.

mod folder;
mod settings;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::json::Json;
use crate::metadata::{Package, Workspace};
use crate::{BuildError, Target, Toolchain, command};

pub use settings::DEFAULT_STACK_BYTES;
use settings::{PROFILE, profile_settings, stack_bytes};

/// Describes a component to build from a task crate.
#[derive(Clone, Debug)]
pub struct Guest {
    folder: PathBuf,
    target: Target,
    package: Option<String>,
    target_dir: Option<PathBuf>,
    quiet: bool,
}

/// Names a component that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The component file, `<target dir>/components/<package>.wasm`.
    pub component: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// How long the build took, waiting for other builds included.
    pub elapsed: Duration,
}

impl Guest {
    /// Describes the crate whose `Cargo.toml` lies in `manifest_dir`.
    #[must_use]
    pub fn new(manifest_dir: impl Into<PathBuf>) -> Self {
        Self {
            folder: manifest_dir.into(),
            target: Target::default(),
            package: None,
            target_dir: None,
            quiet: false,
        }
    }

    /// Chooses the target; [`Target::Wasip2`] where nothing is said.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Chooses a member by name where the folder is a whole workspace.
    #[must_use]
    pub fn package(mut self, name: impl Into<String>) -> Self {
        self.package = Some(name.into());
        self
    }

    /// Chooses the target folder; `guests` in the workspace's own where nothing
    /// is said, since an outer Cargo holds the lock of that one.
    #[must_use]
    pub fn target_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.target_dir = Some(folder.into());
        self
    }

    /// Chooses whether Cargo's progress stays unprinted; errors keep its end.
    #[must_use]
    pub fn quiet(mut self, quiet: bool) -> Self {
        self.quiet = quiet;
        self
    }

    /// Builds the component and returns where it lies.
    ///
    /// # Errors
    /// Where no toolchain has the target, the crate does not compile or has no
    /// library, or its module does not form a component.
    pub fn build(&self) -> Result<Built, BuildError> {
        let start = Instant::now();
        let workspace = Workspace::load(&self.folder)?;
        let package = self.choose(&workspace)?;
        let stack = stack_bytes(package)?;
        let toolchain = Toolchain::find(self.target)?;
        let target_dir = self
            .target_dir
            .clone()
            .unwrap_or_else(|| workspace.target_directory.join("guests"));
        let module = {
            let _lock = folder::lock(&target_dir)?;
            folder::forget_other_toolchains(&target_dir, self.target, &toolchain)?;
            self.compile(&workspace, package, &toolchain, &target_dir, stack)?
        };
        let component = self.finish(package, &module, &target_dir)?;
        let bytes = fs::metadata(&component)
            .map_err(BuildError::io("read", &component))?
            .len();
        Ok(Built {
            component,
            bytes,
            elapsed: start.elapsed(),
        })
    }

    fn choose<'a>(&self, workspace: &'a Workspace) -> Result<&'a Package, BuildError> {
        let manifest = self.folder.join("Cargo.toml");
        let package = match &self.package {
            Some(name) => workspace
                .packages
                .iter()
                .find(|package| package.name == *name),
            None => workspace.package_in(&self.folder),
        };
        let reason = match (package, &self.package) {
            (Some(package), _) if package.library.is_some() => return Ok(package),
            (Some(_), _) => "it has no library; write src/lib.rs and give it \
                `[lib] crate-type = [\"cdylib\", \"rlib\"]`"
                .to_owned(),
            (None, Some(name)) => format!("the workspace has no package '{name}'"),
            (None, None) => "it is a workspace; name one of its packages".to_owned(),
        };
        Err(BuildError::NotATask { manifest, reason })
    }

    fn compile(
        &self,
        workspace: &Workspace,
        package: &Package,
        toolchain: &Toolchain,
        target_dir: &Path,
        stack: u32,
    ) -> Result<PathBuf, BuildError> {
        let mut cargo = command::cargo();
        if let Some(rustc) = toolchain.rustc() {
            cargo.env("RUSTC", rustc);
        }
        cargo
            .current_dir(package.folder())
            .args(["rustc", "--lib", "--crate-type", "cdylib"]);
        cargo.args(["--package", &package.name, "--profile", PROFILE]);
        cargo
            .args(["--target", self.target.triple(), "--target-dir"])
            .arg(target_dir);
        cargo.arg("--message-format=json-render-diagnostics");
        for setting in profile_settings(&workspace.root.join("Cargo.toml")) {
            cargo.args([OsString::from("--config"), setting.into()]);
        }
        // Only the last link gets the flag, so that crates with different stacks
        // share everything they depend on.
        cargo.args(["--", "-C", &format!("link-arg=-zstack-size={stack}")]);
        let mut module = None;
        command::stream(&mut cargo, self.quiet, |line| {
            module = artifact(line, &package.manifest).or_else(|| module.take());
        })?;
        module.ok_or_else(|| BuildError::Unreadable {
            command: format!("cargo rustc --package {}", package.name),
            reason: "a .wasm file expected among the artifacts".to_owned(),
        })
    }

    fn finish(&self, package: &Package, module: &Path, dir: &Path) -> Result<PathBuf, BuildError> {
        let folder = dir.join("components");
        fs::create_dir_all(&folder).map_err(BuildError::io("create", &folder))?;
        let (name, bytes) = match self.target {
            Target::Wasip2 => {
                let bytes = fs::read(module).map_err(BuildError::io("read", module))?;
                (format!("{}.wasm", package.name), bytes)
            }
            Target::Unknown => (format!("{}.unknown.wasm", package.name), encode(module)?),
        };
        let aside = folder.join(format!(".{name}.{}", std::process::id()));
        let component = folder.join(name);
        fs::write(&aside, bytes).map_err(BuildError::io("write", &aside))?;
        fs::rename(&aside, &component).map_err(BuildError::io("write", &component))?;
        Ok(component)
    }
}

#[cfg(feature = "encode")]
use crate::encode::encode;

#[cfg(not(feature = "encode"))]
fn encode(module: &Path) -> Result<Vec<u8>, BuildError> {
    Err(BuildError::Encode {
        module: module.to_path_buf(),
        reason: "this program was built without the encoder; use wasm32-wasip2 or the feature \
            'encode' of celeriac-build"
            .to_owned(),
    })
}

/// Reads one line of Cargo's messages: the `.wasm` file of our own crate.
fn artifact(line: &str, manifest: &Path) -> Option<PathBuf> {
    if !line.contains("\"compiler-artifact\"") {
        return None;
    }
    let message = Json::parse(line).ok()?;
    if Path::new(message.get("manifest_path")?.as_str()?) != manifest {
        return None;
    }
    let files = message
        .get("filenames")?
        .items()
        .iter()
        .filter_map(Json::as_str)
        .map(PathBuf::from);
    files.into_iter().find(|file| {
        file.extension()
            .is_some_and(|extension| extension == "wasm")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> Package {
        Package {
            name: "a".to_owned(),
            manifest: PathBuf::from("/w/a/Cargo.toml"),
            library: None,
            dependencies: Vec::new(),
            stack: None,
        }
    }

    #[test]
    fn only_the_module_of_the_crate_itself_is_its_artifact() {
        let manifest = Path::new("/w/a/Cargo.toml");
        let line = |manifest: &str, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","filenames":["{file}"]}}"#
            )
        };
        let module = artifact(&line("/w/a/Cargo.toml", "/t/a.wasm"), manifest);
        assert_eq!(module, Some(PathBuf::from("/t/a.wasm")));
        assert_eq!(
            artifact(&line("/w/b/Cargo.toml", "/t/b.wasm"), manifest),
            None
        );
        assert_eq!(
            artifact(&line("/w/a/Cargo.toml", "/t/liba.rlib"), manifest),
            None
        );
        assert_eq!(artifact("{\"reason\":\"build-finished\"}", manifest), None);
    }

    #[test]
    fn a_crate_without_a_library_is_told_what_to_write() {
        let workspace = Workspace {
            root: PathBuf::from("/w"),
            target_directory: PathBuf::from("/w/target"),
            packages: vec![package()],
        };
        let error = Guest::new("/w")
            .package("a")
            .choose(&workspace)
            .unwrap_err()
            .to_string();
        assert!(error.contains("crate-type = [\"cdylib\""), "{error}");
        let error = Guest::new("/w")
            .package("b")
            .choose(&workspace)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no package 'b'"), "{error}");
        let error = Guest::new("/w").choose(&workspace).unwrap_err().to_string();
        assert!(error.contains("name one of its packages"), "{error}");
    }
}
