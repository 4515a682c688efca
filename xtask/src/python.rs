//! What the tests with real clients need: servers from Debian's packages, and
//! Python environments with one release of Celery each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::commands::say;
use crate::debian::{self, Need, VENV, answers};
use crate::steps::run;

/// Celery's oldest and newest releases that are tested; the newest with every
/// serializer and compression, with web frameworks, with what tests the HTTP API, and with a
/// server that speaks S3; and the newest that an exporter of metrics can be installed beside,
/// with which it also has Redis.
const RELEASES: [&str; 7] = [
    "5.4",
    "5.7",
    "5.7-formats",
    "5.7-apps",
    "5.7-plane",
    "5.7-s3",
    "5.5-exporter",
];
/// RabbitMQ itself; what is in the search path changes the user and answers slowly.
const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Where Debian puts the releases of Postgres, outside the search path.
const POSTGRES: &str = "/usr/lib/postgresql";
/// Written last, so that half an environment is never taken for a whole one.
const STAMP: &str = "celeriac-requirements.txt";

/// The servers of the tests, and the programs that they and the pages they play use.
pub(crate) const NEEDS: [Need; 6] = [
    Need {
        packages: "redis-server",
        is_there: || answers("redis-server", "--version"),
    },
    Need {
        packages: "rabbitmq-server",
        is_there: || Path::new(RABBITMQ).exists(),
    },
    Need {
        packages: "postgresql",
        is_there: || Path::new(POSTGRES).exists() || answers("postgres", "--version"),
    },
    Need {
        packages: "curl",
        is_there: || answers("curl", "--version"),
    },
    Need {
        packages: "jq",
        is_there: || answers("jq", "--version"),
    },
    VENV,
];

/// Makes servers and Python environments available.
pub(crate) fn ensure() -> Result<()> {
    debian::ensure(&NEEDS)?;
    RELEASES.iter().try_for_each(|release| environment(release))
}

/// Makes the environment of a release, anew when its requirements changed.
fn environment(release: &str) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let wanted = root.join(format!("tests/python/requirements-{release}.txt"));
    let folder = folder(&root, release);
    let text = fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|made| made == text) {
        return Ok(());
    }
    say(&format!("Celery {release} in {}", folder.display()));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&folder);
    run(make)?;
    let mut fill = Command::new(folder.join("bin/python"));
    fill.args(["-m", "pip", "install", "--quiet", "--no-deps"]);
    // The exporter refuses Python 3.13, which its author had not tried; it runs there.
    fill.arg("--ignore-requires-python");
    fill.arg("--disable-pip-version-check")
        .arg("-r")
        .arg(&wanted);
    run(fill)?;
    fs::write(folder.join(STAMP), text).with_context(|| folder.display().to_string())
}

fn folder(root: &Path, release: &str) -> PathBuf {
    target(root).join(format!("python/celery-{release}"))
}

/// Returns where Cargo builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| root.join("target"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_pinned_and_names_its_release_of_celery() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for release in RELEASES {
            let path = root.join(format!("tests/python/requirements-{release}.txt"));
            let text = fs::read_to_string(path).unwrap();
            assert!(text.lines().all(|line| line.contains("==")), "{text}");
            let version = release.split('-').next().unwrap();
            assert!(
                text.contains(&format!("celery=={version}.")),
                "{release}: {text}"
            );
        }
    }
}
