//! `cargo xtask demo`: the main job from nothing. Examples and a hostile module
//! are pushed to a running `celeriac dev`, the uploads of strangers are refused, tasks are
//! called on real input, and a table shows what became of each. Then two tenants share the
//! worker, one of which floods it. The guests of each module are in a process of their own.
//!
//! It uses the binary alone, as a newcomer would.

mod cast;
mod plane;
mod stage;
mod table;
mod tenants;
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

/// The tasks that were sent, and the worker's memory before that, MiB.
struct Called {
    ids: Vec<(&'static cast::Part, String)>,
    before: f64,
}

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
        .and_then(|called| steps.run("what became of them", || results(&stage, &called)))
        .and_then(|()| steps.run("two tenants", || tenants::side_by_side(&stage, &target)));
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
        if module == "hostile" {
            say("# a component like any other, as far as can be seen before it runs:");
        }
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

/// Sends the attacks first, so that the others have to work beside them; the one with
/// progress is watched meanwhile.
fn call(stage: &Stage) -> Result<Called> {
    let before = stage.memory()?;
    let mut ids = Vec::new();
    let unwatched = || CAST.iter().filter(|part| !part.watched);
    for hostile in [true, false] {
        for part in unwatched().filter(|part| part.attack.is_some() == hostile) {
            ids.push((part, send(stage, part)?));
        }
    }
    let attacks = unwatched().filter(|part| part.attack.is_some()).count();
    say(&format!(
        "{attacks} attacks are on their way, and {} honest tasks; meanwhile one more, live:",
        ids.len() - attacks
    ));
    for part in CAST.iter().filter(|part| part.watched) {
        let id = send(stage, part)?;
        stage.show(&["result", &id, "--wait"])?;
        ids.push((part, id));
    }
    Ok(Called { ids, before })
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

fn results(stage: &Stage, called: &Called) -> Result<()> {
    let (mut honest, mut attacks) = (Vec::new(), Vec::new());
    let mut wrong = Vec::new();
    for (part, id) in &called.ids {
        let answer = stage.ask(&["result", id, "--wait", "--timeout", "60s", "--json"])?;
        if !part.expected.fits(&answer) {
            wrong.push(format!("{}: {answer}", part.task));
        }
        if let Some(file) = picture(stage, &answer)? {
            say(&format!("wrote {}", file.display()));
        }
        let rows = match part.attack {
            Some(_) => &mut attacks,
            None => &mut honest,
        };
        rows.push(table::row(part, &answer));
    }
    say(&format!("\n{}", table::draw("honest task", &honest)));
    say(&format!("\n{}", table::draw("attack", &attacks)));
    let (before, after) = (called.before, stage.memory()?);
    say(&format!(
        "\neach attack ended in its own sandbox; the worker is the process that it was, \
         with {before:.1} MiB before them and {after:.1} MiB now"
    ));
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
