//! Uploads that are no task component: refused, explained, and not stored.

use crate::{stage, success};
use support::Stage;

/// Checks that a file is refused with these words.
fn refused(stage: &Stage, file: &str, content: &[u8], words: &[&str]) {
    let path = stage.write(file, content).display().to_string();
    stage
        .run(&["push", &path, "--name", "evil"])
        .refused(3, words);
}

fn core_module() -> Vec<u8> {
    wat::parse_str("(module (func (export \"run\")))").expect("it parses")
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("it parses")
}

#[test]
fn what_is_no_task_component_is_refused_and_leaves_nothing() {
    let stage = stage();
    stage.push("text");
    let _dev = stage.dev();
    let before = files(&stage);
    let whole = std::fs::read(stage.component("text")).expect("it is built");
    refused(&stage, "empty.wasm", b"", &["empty"]);
    refused(&stage, "text.wasm", b"#!/bin/sh\necho hello\n", &["text"]);
    refused(&stage, "text.wat", b"(component)", &["text"]);
    refused(
        &stage,
        "elf.wasm",
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
        &["native"],
    );
    refused(&stage, "core.wasm", &core_module(), &["core"]);
    refused(&stage, "cut.wasm", &whole[..whole.len() / 2], &["refused"]);
    refused(&stage, "cut_head.wasm", &whole[..9], &["refused"]);
    refused(
        &stage,
        "bare.wasm",
        &component("(component)"),
        &["celeriac:task/handler", "celeriac:task/manifest"],
    );
    let shell = component(
        r#"(component (import "evil:host/shell@1.0.0" (instance (export "run" (func)))))"#,
    );
    refused(&stage, "shell.wasm", &shell, &["evil:host/shell@1.0.0"]);
    let http = component(
        r#"(component (import "wasi:http/incoming-handler@0.2.0" (instance (export "handle" (func)))))"#,
    );
    refused(&stage, "http.wasm", &http, &["wasi:http/incoming-handler"]);
    let mut flipped = whole;
    let middle = flipped.len() / 3;
    flipped[middle..middle + 64].fill(0xff);
    refused(&stage, "flipped.wasm", &flipped, &["refused"]);

    assert_eq!(
        stage.json(&["modules"])["modules"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(files(&stage), before);
    assert_eq!(*success(&stage.call("text.echo", "[1]")), 1);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_looked_at() {
    let stage = stage();
    let mut large = core_module();
    large.resize((32 << 20) + 1, 0);
    refused(
        &stage,
        "large.wasm",
        &large,
        &["33554433 bytes", "33554432"],
    );
    assert_eq!(stage.json(&["modules"])["modules"], serde_json::json!([]));
}

#[test]
fn a_refusal_is_a_document_for_programs() {
    let stage = stage();
    let path = stage
        .write("core.wasm", core_module())
        .display()
        .to_string();
    let ran = stage.run(&["push", &path, "--name", "evil", "--json"]);
    ran.refused(3, &["core"]);
    let document: serde_json::Value = serde_json::from_str(if ran.out.is_empty() {
        &ran.err
    } else {
        &ran.out
    })
    .unwrap_or_else(|error| panic!("{error}: {ran}"));
    assert_eq!(document["error"]["code"], "refused", "{document}");
}

#[test]
fn wrong_names_and_missing_files_are_explained() {
    let stage = stage();
    let file = stage.component("text").display().to_string();
    for name in ["", "1a", "a b", "../x", "a..b", ".a", "ä"] {
        stage
            .run(&["push", &file, "--name", name])
            .refused(2, &["name"]);
    }
    let ran = stage.run(&["push", "missing.wasm", "--name", "a"]);
    ran.refused(ran.code, &["missing.wasm", "No such file"]);
    assert_ne!(ran.code, 0);
    stage
        .run(&["push", "--name", "a"])
        .refused(2, &["celeriac push FILE --name NAME"]);
}

/// Lists the files of the data folder that outlive a process.
fn files(stage: &Stage) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![stage.data()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() {
                open.push(entry);
            } else if !entry.display().to_string().contains("celeriac.db") {
                found.push(entry.display().to_string());
            }
        }
    }
    found.sort();
    found
}
