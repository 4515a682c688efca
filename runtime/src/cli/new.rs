//! `celeriac new`: a task crate that builds and passes its tests.

use super::exit::{Exit, Problem};
use super::screen::Screen;
use anyhow::{Context as _, bail};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"folder\", \"files\"}.";

/// Longest name of a crate, characters: as long as a module's name may be typed.
const NAME_LENGTH: usize = 64;
/// Names that mean something else to Cargo or Rust.
const TAKEN: [&str; 9] = [
    "test",
    "core",
    "std",
    "alloc",
    "proc_macro",
    "self",
    "crate",
    "super",
    "celeriac-sdk",
];

/// The checkout this binary was built from, where it still exists.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk");

/// The files of a new crate and their templates.
const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("template/manifest.toml.in")),
    ("src/lib.rs", include_str!("template/lib.rs.in")),
    (
        "cases/greets_as_often_as_asked.toml",
        include_str!("template/greets.toml.in"),
    ),
    (
        "cases/refuses_an_empty_name.toml",
        include_str!("template/refuses.toml.in"),
    ),
    ("README.md", include_str!("template/readme.md.in")),
    (".gitignore", "/target\n/.celeriac\n"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The new crate's folder; its last part is the crate's name
    name: PathBuf,
    /// The folder of celeriac-sdk [default: the one this program was built with, else the published one]
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

/// Creates a task crate and says what to do with it.
pub(crate) fn run(args: &Args, screen: &mut Screen) -> anyhow::Result<Exit> {
    create(&args.name, args.sdk.as_deref())
        .map_err(|error| Problem::usage(format!("{error:#}")))?;
    let files = FILES.map(|(file, _)| file);
    screen.document(&json!({ "folder": args.name, "files": files }));
    let folder = args.name.display();
    screen.line(format!(
        "created {folder}/: src/lib.rs (one task), cases/, Cargo.toml"
    ));
    screen.line(format!("next: cd {folder} && celeriac test"));
    Ok(Exit::Done)
}

/// Creates a task crate in `folder`, whose last part is its name.
///
/// # Errors
/// When the name is none a crate can have, the folder is not empty, `sdk` is
/// not the SDK's folder, or something cannot be written.
fn create(folder: &Path, sdk: Option<&Path>) -> anyhow::Result<()> {
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    check_name(&name)?;
    check_free(folder)?;
    let sdk = sdk_dependency(sdk)?;
    let workspace = own_workspace(folder);
    for (file, template) in FILES {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create '{}'", parent.display()))?;
        let text = template
            .replace("@NAME@", &name)
            .replace("@SDK@", &sdk)
            .replace("@WORKSPACE@", workspace);
        fs::write(&path, text.trim_end().to_owned() + "\n")
            .with_context(|| format!("cannot write '{}'", path.display()))?;
    }
    Ok(())
}

/// Checks that a name can be that of a crate and of a module.
fn check_name(name: &str) -> anyhow::Result<()> {
    let rules = "use lower-case letters, digits, '-' and '_', beginning with a letter";
    if name.is_empty() || name.len() > NAME_LENGTH {
        bail!(
            "'{name}' has {} characters; a name has 1 to {NAME_LENGTH}",
            name.len()
        );
    }
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_lowercase());
    let rest = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    if !first || !rest {
        bail!("'{name}' cannot be the name of a crate: {rules}");
    }
    if TAKEN.contains(&name) {
        bail!("'{name}' means something else to Rust: choose another name");
    }
    Ok(())
}

/// Refuses a folder that holds anything: nothing of anybody's is overwritten.
fn check_free(folder: &Path) -> anyhow::Result<()> {
    let Ok(mut entries) = fs::read_dir(folder) else {
        if folder.exists() {
            bail!("'{}' is a file: choose another name", folder.display());
        }
        return Ok(());
    };
    if entries.next().is_some() {
        bail!(
            "'{}' is not empty: choose another name, or empty it first",
            folder.display()
        );
    }
    Ok(())
}

/// Says where the SDK comes from: a given folder, the checkout this binary was
/// built from, else the published version.
fn sdk_dependency(given: Option<&Path>) -> anyhow::Result<String> {
    let checkout = PathBuf::from(CHECKOUT);
    let folder = match given {
        Some(folder) => folder,
        None if is_sdk(&checkout) => &checkout,
        None => return Ok("\"0.1\"".to_owned()),
    };
    if !is_sdk(folder) {
        bail!(
            "'{}' is not the folder of celeriac-sdk: give the one whose Cargo.toml names it",
            folder.display()
        );
    }
    let folder = folder
        .canonicalize()
        .with_context(|| format!("cannot find '{}'", folder.display()))?;
    let path = toml::Value::String(folder.to_string_lossy().into_owned());
    Ok(format!("{{ path = {path} }}"))
}

fn is_sdk(folder: &Path) -> bool {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    manifest
        .lines()
        .any(|line| line.trim() == "name = \"celeriac-sdk\"")
}

/// A crate below another one's workspace must say that it is not part of it.
fn own_workspace(folder: &Path) -> &'static str {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let below = absolute
        .ancestors()
        .skip(1)
        .any(|above| above.join("Cargo.toml").exists());
    if below {
        "\n# Not part of the workspace around it. Remove this to join it.\n[workspace]"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_a_crate_can_have() {
        for good in ["images", "a", "word-count", "v2_x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = "x".repeat(NAME_LENGTH + 1);
        for bad in [
            "",
            "Images",
            "2fast",
            "-a",
            "a b",
            "a.b",
            "..",
            "ä",
            "test",
            long.as_str(),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_new_crate_has_all_its_files_and_no_placeholder() {
        let folder = tempfile::tempdir().unwrap();
        let crate_folder = folder.path().join("images");
        create(&crate_folder, None).unwrap();
        for (file, _) in FILES {
            let text = fs::read_to_string(crate_folder.join(file)).unwrap();
            assert!(!text.contains('@'), "{file}: {text}");
        }
        let manifest = fs::read_to_string(crate_folder.join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("images"));
        assert!(manifest.get("workspace").is_none());
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let full = folder.path().join("full");
        fs::create_dir(&full).unwrap();
        fs::write(full.join("precious"), "x").unwrap();
        let error = create(&full, None).unwrap_err().to_string();
        assert!(error.contains("not empty"), "{error}");
        assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        create(&empty, None).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_the_sdk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = create(&folder.path().join("images"), Some(folder.path())).unwrap_err();
        assert!(error.to_string().contains("celeriac-sdk"), "{error}");
        assert!(!folder.path().join("images").exists());
    }

    #[test]
    fn a_crate_below_another_one_keeps_out_of_its_workspace() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Cargo.toml"), "[workspace]\n").unwrap();
        create(&folder.path().join("images"), None).unwrap();
        let manifest = fs::read_to_string(folder.path().join("images/Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"), "{manifest}");
    }
}
