//! What the command line says: its help, and its errors.

use super::screen::tests::screen;
use super::*;

fn help(arguments: &[&str]) -> String {
    let arguments: Vec<OsString> = ["celeriac"]
        .iter()
        .chain(arguments)
        .chain(&["--help"])
        .map(OsString::from)
        .collect();
    let command = Cli::command().term_width(100);
    command
        .try_get_matches_from(arguments)
        .expect_err("help")
        .to_string()
}

fn refusal(arguments: &[&str]) -> String {
    let arguments: Vec<OsString> = ["celeriac"]
        .iter()
        .chain(arguments)
        .map(OsString::from)
        .collect();
    parse(&arguments).expect_err("refused").to_string()
}

/// Runs a command in memory: exit, standard output, standard error.
fn run_in_memory(arguments: &[&str]) -> (Exit, String, String) {
    let arguments: Vec<OsString> = ["celeriac"]
        .iter()
        .chain(arguments)
        .map(OsString::from)
        .collect();
    let cli = parse(&arguments).expect("usage");
    let (mut screen, printed) = screen(cli.options.json);
    let exit = run(cli, &mut screen).unwrap_or_else(|error| screen.error(&error));
    (exit, printed.out(), printed.err())
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_says_what_there_is() {
    insta::assert_snapshot!("help", help(&[]));
}

#[test]
fn help_of_a_command_says_what_it_takes() {
    for command in [
        "new", "build", "test", "run", "dev", "worker", "push", "modules", "rollback", "remove",
        "call", "result", "why", "revoke", "kill", "queues", "purge", "inspect", "events", "gc",
    ] {
        insta::assert_snapshot!(format!("help_{command}"), help(&[command]));
    }
    for command in [
        &["tenant"][..],
        &["tenant", "create"],
        &["tenant", "delete"],
        &["token"],
        &["token", "create"],
        &["token", "rotate"],
        &["audit"],
        &["usage"],
    ] {
        insta::assert_snapshot!(format!("help_{}", command.join("_")), help(command));
    }
    insta::assert_snapshot!("help_config_check", help(&["config", "check"]));
}

#[test]
fn wrong_usage_is_answered_with_the_right_one() {
    insta::assert_snapshot!("no_such_command", refusal(&["wroker"]));
    insta::assert_snapshot!("no_such_level", refusal(&["worker", "-l", "loud"]));
    insta::assert_snapshot!(
        "no_such_priority",
        refusal(&["call", "m.t", "--priority", "10"])
    );
    insta::assert_snapshot!(
        "a_timeout_without_wait",
        refusal(&["result", "x", "--timeout", "5"])
    );
}

#[test]
fn a_wrong_value_names_its_flag_and_what_is_accepted() {
    let (exit, out, err) = run_in_memory(&["config", "check", "--broker", "kafka://me:secret@h"]);
    assert_eq!(exit, Exit::Usage);
    assert_eq!(out, "");
    insta::assert_snapshot!("unknown_broker", err);
}

#[test]
fn a_wrong_name_of_a_module_is_a_usage_error_without_a_trace_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("state");
    let (exit, _, err) = run_in_memory(&[
        "push",
        "x.wasm",
        "--name",
        "../x",
        "--data",
        &data.to_string_lossy(),
    ]);
    assert_eq!(exit, Exit::Usage);
    assert!(
        err.starts_with("error: \"../x\" is not a module name"),
        "{err}"
    );
    assert!(!data.exists());
}

#[test]
fn a_module_that_is_not_there_is_answered_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_string_lossy().into_owned();
    let (exit, out, err) = run_in_memory(&["remove", "nope", "--data", &data]);
    assert_eq!((exit, out.as_str()), (Exit::NotFound, ""), "{err}");
    assert_eq!(
        err,
        "error: there is no module \"nope\"\nhint: `celeriac modules` lists those there are\n"
    );
}

#[test]
fn the_configuration_is_shown_with_its_sources() {
    let (exit, out, _) = run_in_memory(&["config", "check", "--data", "elsewhere", "--json"]);
    assert_eq!(exit, Exit::Done);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let keys = document["keys"].as_array().unwrap();
    let data = keys.iter().find(|key| key["key"] == "data").unwrap();
    assert_eq!(data["value"], "\"elsewhere\"");
    assert_eq!(data["source"], "flag --data");
    let (_, text, _) = run_in_memory(&["config", "check", "--data", "elsewhere"]);
    assert!(
        text.contains("limits.memory") && text.contains("\"64MiB\"") && text.contains("default"),
        "{text}"
    );
}

#[test]
fn a_completion_script_is_printed_for_a_shell() {
    let (exit, out, _) = run_in_memory(&["completions", "bash"]);
    assert_eq!(exit, Exit::Done);
    assert!(
        out.contains("_celeriac()") && out.contains("rollback"),
        "no completions"
    );
}
