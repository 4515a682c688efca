//! Programs that come from Debian's packages.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::commands::say;
use crate::steps::run;

/// Something that is on the machine, or comes with packages of Debian.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// The names of the packages, between spaces.
    pub(crate) packages: &'static str,
    /// Whether it is there already.
    pub(crate) is_there: fn() -> bool,
}

/// `python3 -m venv`, which Debian gives a package of its own.
pub(crate) const VENV: Need = Need {
    packages: "python3-venv",
    is_there: || answers("python3", "-cimport ensurepip"),
};

/// Tells whether a program is there and answers.
pub(crate) fn answers(program: &str, argument: &str) -> bool {
    let output = Command::new(program).arg(argument).output();
    output.is_ok_and(|output| output.status.success())
}

/// Installs what is missing, all at once.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    for words in commands(needs)? {
        say(&words.join(" "));
        let mut command = Command::new("apt-get");
        command.args(words.iter().skip(1));
        // A package whose server would start by itself leaves that be in run level 1.
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1");
        if words.iter().any(|word| word == "postgresql") {
            keep_postgres_still()?;
        }
        run(command)?;
    }
    Ok(())
}

/// Fails with the command for a person to type where something is missing that
/// [`ensure`] may not install.
pub(crate) fn is_allowed(needs: &[Need]) -> Result<()> {
    commands(needs).map(drop)
}

fn commands(needs: &[Need]) -> Result<Vec<Vec<String>>> {
    let missing = needs.iter().filter(|need| !(need.is_there)());
    let packages: BTreeSet<&str> = missing.map(|need| need.packages).collect();
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let packages: Vec<&str> = packages.into_iter().collect();
    let is_debian = Path::new("/etc/debian_version").exists();
    match plan(&packages.join(" "), is_root(), is_debian) {
        Ok(commands) => Ok(commands),
        Err(advice) => bail!(advice),
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Works out the commands that install packages, or what to tell a person.
fn plan(packages: &str, is_root: bool, is_debian: bool) -> Result<Vec<Vec<String>>, String> {
    let command = |words: &str| words.split(' ').map(str::to_owned).collect();
    match (is_debian, is_root) {
        (true, true) => Ok(vec![
            command("apt-get update"),
            command(&format!(
                "apt-get install --yes --no-install-recommends {packages}"
            )),
        ]),
        (true, false) => Err(format!(
            "missing: {packages}; install with: sudo apt-get install {packages}"
        )),
        (false, _) => Err(format!(
            "missing: {packages} (Debian's names); install with your system's package manager"
        )),
    }
}

/// Has Debian's package make no server of its own where there is none yet: tests start
/// theirs, and nobody else asked for one.
fn keep_postgres_still() -> Result<()> {
    let folder = Path::new("/etc/postgresql-common/createcluster.d");
    if folder.exists() {
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
    fn packages_are_installed_by_root_on_debian_and_by_nobody_else() {
        let commands = plan("redis-server jq", true, true).unwrap();
        assert_eq!(
            commands[1].join(" "),
            "apt-get install --yes --no-install-recommends redis-server jq"
        );
        let advice = plan("redis-server jq", false, true).unwrap_err();
        assert!(advice.contains("sudo apt-get install redis-server jq"));
        assert!(plan("redis-server jq", true, false).is_err());
    }

    #[test]
    fn what_is_there_is_not_installed_again() {
        let there = Need {
            packages: "no-such-package",
            is_there: || true,
        };
        assert!(commands(&[there, there]).unwrap().is_empty());
    }
}
