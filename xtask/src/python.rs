//! What the tests with real clients need: servers from Debian's packages, and
//! Python environments with one release of Celery each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::commands::say;
use crate::debian::{answers, install, is_root};
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

/// Programs that tests and the pages they play use, each a package of its own name.
const PROGRAMS: [&str; 3] = ["redis-server", "curl", "jq"];

/// Makes servers and Python environments available.
pub(crate) fn ensure() -> Result<()> {
    for program in PROGRAMS {
        if !answers(program, "--version") {
            install(program)?;
        }
    }
    if !Path::new(RABBITMQ).exists() {
        install("rabbitmq-server")?;
    }
    if !Path::new(POSTGRES).exists() && !answers("postgres", "--version") {
        keep_postgres_still()?;
        install("postgresql")?;
    }
    for release in RELEASES {
        environment(release)?;
    }
    Ok(())
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
    if !answers("python3", "--version") || !answers("python3", "-cimport ensurepip") {
        install("python3-venv")?;
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

/// Has Debian's package make no server of its own where there is none yet: tests start
/// theirs, and nobody else asked for one.
fn keep_postgres_still() -> Result<()> {
    let folder = Path::new("/etc/postgresql-common/createcluster.d");
    if !is_root() || folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let file = folder.join("no-main-cluster.conf");
    fs::write(&file, "create_main_cluster = false\n").with_context(|| file.display().to_string())
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
