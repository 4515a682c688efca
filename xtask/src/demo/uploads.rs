//! Uploads of strangers that are refused before anything of them runs.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::stage::Stage;
use crate::commands::say;

/// A component's first bytes, and those of a core module.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
/// Modules of the component that is made of nothing else.
const MODULES: usize = 1_000;

/// Pushes each, and shows the words of its refusal.
pub(super) fn refused(stage: &Stage, target: &Path) -> Result<()> {
    let text = target.join("guests/components/text.wasm");
    let whole = std::fs::read(&text).with_context(|| text.display().to_string())?;
    let half = whole.get(..whole.len() / 2).unwrap_or_default().to_vec();
    say("uploads of strangers; nothing of them runs before it was looked at:");
    for (what, name, bytes, words) in [
        (
            "machine code",
            "machine.wasm",
            b"\x7fELF\x02\x01\x01".to_vec(),
            "native code",
        ),
        (
            "half of a component",
            "half.wasm",
            half,
            "broken or truncated",
        ),
        (
            "a thousand modules in one",
            "thousand.wasm",
            thousand(),
            "core modules",
        ),
        (
            "a shell script",
            "script.wasm",
            b"#!/bin/sh\nrm -rf /\n".to_vec(),
            "text",
        ),
    ] {
        let file = stage.folder().join(name);
        std::fs::write(&file, bytes)?;
        let file = file.to_str().context("the path is not text")?;
        say(&format!("{what}: $ celeriac push {name} --name stranger"));
        let said = stage.refusal(&["push", file, "--name", "stranger"])?;
        say(&format!("  {}", said.trim_end().replace('\n', "\n  ")));
        ensure!(said.contains(words), "not as expected: {said}");
    }
    Ok(())
}

/// A component that holds a thousand empty modules, in 10 KiB.
fn thousand() -> Vec<u8> {
    let section = [&[1, 8], MODULE].concat();
    [COMPONENT, &section.repeat(MODULES)].concat()
}
