//! `cargo xtask demo`: the main job from nothing. Examples and a hostile module
//! are pushed to a running `celeriac dev`, the uploads of strangers are refused, tasks are
//! called on real input, and a table shows what became of each. The guests of each module
//! are in a process of their own.
//!
//! It uses the binary alone, as a newcomer would.

mod cast;
mod stage;
mod table;
mod uploads;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use serde_json::Value;

use crate::commands::{Flags, say};
use crate::guests;
use crate::steps::{Steps, cargo, run as to_end};
use cast::{CAST, MODULES};
use stage::Stage;

/// Runs `cargo xtask demo`.
pub(crate) fn run(_: &Flags) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("guest toolchain", guests::toolchain)?;
    steps.run("examples and hostile guest", guests::build)?;
    steps.run("celeriac", || {
        to_end(cargo(&["build", "--package", "celeriac"]))
    })?;
    let workspace = guests::workspace()?;
    let target = workspace.target_directory;
    let stage = steps.run("celeriac dev", || Stage::open(&workspace.root, &target))?;
    let shown = steps
        .run("push", || push(&stage, &target))
        .and_then(|()| steps.run("refuse", || uploads::refused(&stage, &target)))
        .and_then(|()| steps.run("call", || call(&stage)))
        .and_then(|ids| steps.run("what became of them", || results(&stage, &ids)));
    let folder = stage.folder().to_owned();
    stage.close()?;
    shown?;
    steps.report();
    let program = Stage::program(&target);
    let program = program.display();
    say("\nkeep it running:");
    say(&format!("  cd {} && {program} dev", folder.display()));
    say("then, in another terminal in that folder:");
    say(&format!(
        "  {program} call text.word_count -a '[\"to be or not to be\"]' --wait"
    ));
    Ok(())
}

fn push(stage: &Stage, target: &Path) -> Result<()> {
    for module in MODULES {
        let file = target
            .join("guests/components")
            .join(format!("{module}.wasm"));
        let file = file
            .to_str()
            .context("the target folder's path is not text")?;
        stage.show(&["push", file, "--name", module])?;
    }
    Ok(())
}

/// Sends every task; the one with progress is watched while the others run.
fn call(stage: &Stage) -> Result<Vec<(&'static cast::Part, String)>> {
    let mut ids = Vec::new();
    for part in CAST.iter().filter(|part| !part.watched) {
        ids.push((part, send(stage, part)?));
    }
    say(&format!(
        "{} tasks are on their way; meanwhile, live:",
        ids.len()
    ));
    for part in CAST.iter().filter(|part| part.watched) {
        let id = send(stage, part)?;
        stage.show(&["result", &id, "--wait"])?;
        ids.push((part, id));
    }
    Ok(ids)
}

fn send(stage: &Stage, part: &cast::Part) -> Result<String> {
    let args = part.input.json(stage)?;
    let sent = stage.ask(&[
        "call",
        part.task,
        "-a",
        &format!("@{}", args.display()),
        "--json",
    ])?;
    let id = sent.get("id").and_then(Value::as_str);
    Ok(id.with_context(|| format!("no id in {sent}"))?.to_owned())
}

fn results(stage: &Stage, ids: &[(&cast::Part, String)]) -> Result<()> {
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    for (part, id) in ids {
        let answer = stage.ask(&["result", id, "--wait", "--timeout", "60s", "--json"])?;
        if !part.expected.fits(&answer) {
            wrong.push(format!("{}: {answer}", part.task));
        }
        if let Some(file) = picture(stage, &answer)? {
            say(&format!("wrote {}", file.display()));
        }
        rows.push(table::row(part, &answer));
    }
    say(&table::draw(&rows));
    ensure!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
    Ok(())
}

/// Writes the picture of a result, if it has one.
fn picture(stage: &Stage, answer: &Value) -> Result<Option<PathBuf>> {
    let Some(text) = answer
        .pointer("/result/png/__value__")
        .and_then(Value::as_str)
    else {
        return Ok(None);
    };
    let bytes = base64::engine::general_purpose::STANDARD.decode(text)?;
    let file = stage.folder().join("thumbnail.png");
    std::fs::write(&file, bytes)?;
    Ok(Some(file))
}
