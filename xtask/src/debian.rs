//! Programs that come from Debian's packages.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::commands::say;
use crate::steps::run;

/// Tells whether a program is there and answers.
pub(crate) fn answers(program: &str, argument: &str) -> bool {
    let output = Command::new(program).arg(argument).output();
    output.is_ok_and(|output| output.status.success())
}

/// Tells whether packages may be installed.
pub(crate) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Installs packages where that is ours to do; else says how.
pub(crate) fn install(package: &str) -> Result<()> {
    let commands = match plan(
        package,
        is_root(),
        Path::new("/etc/debian_version").exists(),
    ) {
        Ok(commands) => commands,
        Err(advice) => bail!(advice),
    };
    for words in commands {
        say(&words.join(" "));
        let mut command = Command::new("apt-get");
        command.args(words.iter().skip(1));
        // A package whose server would start by itself leaves that be in run level 1.
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1");
        run(command)?;
    }
    Ok(())
}

/// Works out the commands that install a package, or what to tell a person.
fn plan(package: &str, is_root: bool, is_debian: bool) -> Result<Vec<Vec<String>>, String> {
    let command = |words: &str| words.split(' ').map(str::to_owned).collect();
    match (is_debian, is_root) {
        (true, true) => Ok(vec![
            command("apt-get update"),
            command(&format!(
                "apt-get install --yes --no-install-recommends {package}"
            )),
        ]),
        (true, false) => Err(format!(
            "{package} is missing; install it: sudo apt-get install {package}"
        )),
        (false, _) => Err(format!(
            "{package} is missing; install it with your system's package manager"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_by_root_on_debian_and_by_nobody_else() {
        let commands = plan("redis-server", true, true).unwrap();
        assert_eq!(
            commands[1].join(" "),
            "apt-get install --yes --no-install-recommends redis-server"
        );
        let advice = plan("redis-server", false, true).unwrap_err();
        assert!(advice.contains("sudo apt-get install redis-server"));
        assert!(plan("redis-server", true, false).is_err());
    }
}
