//! Uploads that would exhaust a machine, pushed while a worker works.

use crate::{stage, success};
use std::path::PathBuf;
use support::Stage;

/// Allowed growth of the worker (24 MiB): caches and the allocator's slack; each of the
/// uploads is larger, or would be as soon as somebody took it apart.
const SLACK: u64 = 24 << 20;

/// What is wrong with each upload, and the upload.
fn uploads(stage: &Stage) -> Vec<(&'static str, PathBuf)> {
    let module = |inside: &str| format!("(component (core module {inside}))");
    let instances = "(core instance (instantiate 0))".repeat(1_000);
    let whole = std::fs::read(stage.component("text")).expect("it is built");
    let text = |text: String| wat::parse_str(text).expect("it parses");
    let body = "(drop (i64.const -9223372036854775808))".repeat(600_000);
    let rows = [
        (
            "bytes in one function",
            text(module(&format!("(func {body})"))),
        ),
        (
            "locals",
            text(module(&format!("(func {})", "(local i64)".repeat(50_000)))),
        ),
        ("types", text(module(&"(type (func))".repeat(1_000_000)))),
        (
            "data segments",
            text(module(&"(data \"\")".repeat(500_000))),
        ),
        (
            "core modules",
            text(format!("(component {})", "(core module)".repeat(1_000))),
        ),
        (
            "celeriac:task/handler",
            text(format!("(component (core module) {instances})")),
        ),
        (
            "levels of nesting",
            text(format!("{}{}", "(component ".repeat(100), ")".repeat(100))),
        ),
        ("text", b"(component)".to_vec()),
        ("native", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec()),
        ("broken or truncated", whole[..whole.len() / 2].to_vec()),
        (
            "evil:host/shell@1.0.0",
            text(r#"(component (import "evil:host/shell@1.0.0" (instance)))"#.to_owned()),
        ),
        (
            "celeriac:task/handler",
            text("(component (core module (memory 65536)))".to_owned()),
        ),
    ];
    let file = |(at, (words, bytes)): (usize, (&'static str, Vec<u8>))| {
        (words, stage.write(&format!("{at}.wasm"), bytes))
    };
    rows.into_iter().enumerate().map(file).collect()
}

#[test]
fn hostile_uploads_are_refused_while_tasks_run_beside_them() {
    let stage = stage();
    stage.push("text");
    let dev = stage.dev();
    let uploads = uploads(&stage);
    assert_eq!(*success(&stage.call("text.echo", "[0]")), 0);
    let before = dev.memory();
    let calls = std::thread::scope(|scope| {
        let pushes = scope.spawn(|| {
            for (words, file) in &uploads {
                let file = file.display().to_string();
                let ran = stage.run(&["push", &file, "--name", "evil"]);
                ran.refused(3, &[words]);
            }
        });
        let mut calls = 0;
        while !pushes.is_finished() {
            calls += 1;
            let ended = stage.call("text.echo", &format!("[{calls}]"));
            assert_eq!(*success(&ended), calls);
        }
        calls
    });
    assert!(calls > 0);
    let after = dev.memory();
    assert!(
        after < before + SLACK,
        "{} KiB before, {} KiB after",
        before >> 10,
        after >> 10
    );
    let known = stage.json(&["modules"]);
    assert_eq!(
        known["modules"].as_array().map(Vec::len),
        Some(1),
        "{known}"
    );
}
