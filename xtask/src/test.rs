//! All tests, as CI runs them: checks and what the tests need, every test, doctests.

use anyhow::{Result, bail, ensure};

use crate::commands::{Flags, say};
use crate::compiler::Compiler;
use crate::steps::{Steps, Stream, cargo, colour, watch};
use crate::{check, debian, guests, languages, python, rabbitmq, setup, support};

/// How many tests ran, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// Runs `cargo xtask test`.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let mut steps = Steps::default();
    let done = all(flags, &mut steps);
    steps.report();
    let tally = done?;
    say(&format!("{} passed, {} failed", tally.passed, tally.failed));
    if tally.failed > 0 {
        bail!("{} tests failed", tally.failed);
    }
    Ok(())
}

fn all(flags: &Flags, steps: &mut Steps) -> Result<Tally> {
    // At once, not after a quarter of an hour of building.
    debian::is_allowed(&[&python::NEEDS[..], &languages::NEEDS].concat())?;
    steps.run("tools", || setup::ensure(setup::NEXTEST))?;
    let checks = !flags.has("--no-check");
    let compiler = if checks {
        Compiler::checking()?
    } else {
        Compiler::Plain
    };
    steps.beside(
        |steps| {
            if checks {
                check::uncompiled(flags, steps)?;
                steps.run("build, clippy, rustdoc", || support::build(&compiler))
            } else {
                steps.run("build", || support::build(&compiler))
            }
        },
        surroundings,
    )?;
    steps.run("C", languages::build_c)?;
    let rabbitmq = steps.run("RabbitMQ", rabbitmq::Server::start)?;
    let tests = steps.run("tests", || tests(&rabbitmq, &compiler))?;
    drop(rabbitmq);
    let doctests = steps.run("doctests", || doctests(&compiler))?;
    Ok(Tally {
        passed: tests.passed + doctests.passed,
        failed: tests.failed + doctests.failed,
    })
}

/// What the tests play against. It waits for servers of packages and keeps one core busy, so
/// it is made beside the compiler's work.
fn surroundings(steps: &mut Steps) -> Result<()> {
    steps.run("packages", || {
        debian::ensure(&[&python::NEEDS[..], &languages::NEEDS].concat())
    })?;
    steps.run("toolchain", guests::toolchain)?;
    steps.run("languages", languages::build_scripts)?;
    steps.run("guests", guests::build)?;
    steps.run("Python", python::ensure)
}

fn tests(rabbitmq: &rabbitmq::Server, compiler: &Compiler) -> Result<Tally> {
    let mut summary = None;
    let nextest = cargo(&["nextest", "run", "--workspace", "--color", colour()]);
    let mut nextest = compiler.of(nextest);
    nextest.env(rabbitmq::VARIABLE, &rabbitmq.ports);
    let well = watch(nextest, Stream::Error, |line| {
        summary = nextest_summary(line).or(summary);
    })?;
    let Some(tally) = summary else {
        bail!("no test ran: the build failed, or there is none")
    };
    ensure!(
        well || tally.failed > 0,
        "nextest failed although every test passed"
    );
    Ok(tally)
}

fn doctests(compiler: &Compiler) -> Result<Tally> {
    // The same selection as the tests', so that the same features are built.
    let arguments = ["test", "--doc", "--workspace", "--no-fail-fast"];
    let mut tally = Tally::default();
    let well = watch(compiler.of(cargo(&arguments)), Stream::Output, |line| {
        if let Some(crates) = doctest_summary(line) {
            tally.passed += crates.passed;
            tally.failed += crates.failed;
        }
    })?;
    ensure!(well || tally.failed > 0, "the doctests did not compile");
    Ok(tally)
}

/// Reads `Summary [ 1.2s] 54 tests run: 52 passed (1 slow), 1 failed, 1 timed out, 0 skipped`.
fn nextest_summary(line: &str) -> Option<Tally> {
    let (_, counts) = line
        .trim_start()
        .strip_prefix("Summary [")?
        .split_once(" run: ")?;
    let mut tally = Tally::default();
    for part in counts.split(", ") {
        let (number, word) = part.trim().split_once(' ')?;
        let number: usize = number.parse().ok()?;
        match word.split(' ').next()? {
            "passed" => tally.passed += number,
            "skipped" => {}
            // Failed, timed out, exec failed: whatever is not passed has failed.
            _ => tally.failed += number,
        }
    }
    Some(tally)
}

/// Reads `test result: ok. 3 passed; 0 failed; …` of one crate.
fn doctest_summary(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let count = |word: &str| {
        let part = counts
            .split("; ")
            .find(|part| part.trim().ends_with(word))?;
        part.trim().split(' ').next()?.parse().ok()
    };
    Some(Tally {
        passed: count("passed")?,
        failed: count("failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_nextest_is_read_with_every_way_to_fail() {
        let line = "     Summary [   0.380s] 54 tests run: 54 passed, 0 skipped\n";
        assert_eq!(
            nextest_summary(line),
            Some(Tally {
                passed: 54,
                failed: 0
            })
        );
        let line = "     Summary [ 120.0s] 9/10 tests run: 5 passed (1 slow), 2 failed, 1 timed out, 1 exec failed, 3 skipped";
        assert_eq!(
            nextest_summary(line),
            Some(Tally {
                passed: 5,
                failed: 4
            })
        );
        assert_eq!(
            nextest_summary("        PASS [ 0.1s] a run: 1 passed"),
            None
        );
    }

    #[test]
    fn the_summary_of_doctests_is_read() {
        let line = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            doctest_summary(line),
            Some(Tally {
                passed: 3,
                failed: 1
            })
        );
        assert_eq!(doctest_summary("running 3 tests"), None);
    }
}
