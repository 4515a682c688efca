//! Files that are not a task component, however they came to be.

use crate::bystanders::Peak;
use crate::raw::Raw;
use celeriac_harness::{Module, mib};

fn refusal(bytes: &[u8]) -> String {
    match Module::from_bytes("upload", bytes) {
        Ok(_) => panic!("it was accepted"),
        Err(error) => error.to_string(),
    }
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the component parses")
}

#[test]
fn files_of_another_kind_are_named_for_what_they_are() {
    let rows: [(&[u8], &str); 6] = [
        (b"", "empty"),
        (b"(component)", "text"),
        (b"#!/bin/sh\nrm -rf /\n", "text"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", "native"),
        (b"\0asm\x01\0\0\0", "core"),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            "not a WebAssembly component",
        ),
    ];
    for (bytes, word) in rows {
        let text = refusal(bytes);
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn machine_code_is_never_taken_from_outside() {
    let artifact =
        celeriac_sandbox::compile(&Raw::default().component()).expect("a good component compiles");
    let text = refusal(&artifact);
    assert!(text.contains("native"), "{text}");
}

#[test]
fn a_component_cut_anywhere_is_refused() {
    let whole = Raw::default().component();
    let step = whole.len() / 40;
    for end in (0..whole.len() - 1).step_by(step) {
        refusal(&whole[..end]);
    }
}

#[test]
fn an_import_nobody_offers_is_named() {
    let text = refusal(&component(
        r#"(component (import "evil:host/shell@1.0.0" (instance (export "run" (func)))))"#,
    ));
    assert!(text.contains("evil:host/shell@1.0.0"), "{text}");
}

#[test]
fn a_component_without_our_exports_is_told_which_are_missing() {
    let text = refusal(&component("(component)"));
    assert!(
        text.contains("celeriac:task/handler") && text.contains("celeriac:task/manifest"),
        "{text}"
    );
}

/// The world of the contract with `body` in place of the handler's types and functions.
fn other_contract(version: &str, handler: &str, imports: &str) -> String {
    let contract = include_str!("../../wit/task.wit");
    let from = contract
        .find("interface handler")
        .expect("the contract has a handler");
    let start = contract[..from]
        .rfind("/// The way into")
        .expect("it is documented");
    let body =
        contract[..start].replace("celeriac:task@0.1.0", &format!("celeriac:task@{version}"));
    format!("{body}\n{handler}\n{imports}")
}

#[test]
fn a_handler_of_another_type_is_refused() {
    let wit = other_contract(
        "0.1.0",
        "interface handler { use types.{call, payload}; run: func(call: call) -> payload; }",
        "world task { export manifest; export handler; }",
    );
    // The payload lies at the start of the answer: 520, where the good one has it at 8.
    let text = refusal(
        &Raw {
            run: "i32.const 520",
            ..Raw::default()
        }
        .component_for(&wit),
    );
    assert!(
        text.contains("expected `result`") || text.contains("handler"),
        "{text}"
    );
}

#[test]
fn a_function_of_a_later_version_is_named() {
    let wit = other_contract(
        "0.1.0",
        "interface handler { use types.{call, payload, outcome-error};
            run: func(call: call) -> result<payload, outcome-error>; }",
        "interface log { shout: func(text: string); }
        world task { import log; export manifest; export handler; }",
    );
    let more =
        r#"(import "celeriac:task/log@0.1.0" "shout" (func $shout (param i32 i32)))"#.to_owned();
    let text = refusal(
        &Raw {
            imported: more,
            ..Raw::default()
        }
        .component_for(&wit),
    );
    assert!(text.contains("shout"), "{text}");
}

/// Uploads as large as they like, each with one part that a compiler would suffer from.
#[test]
fn what_would_exhaust_a_compiler_is_refused_before_it_in_little_memory() {
    let module = |inside: &str| component(&format!("(component (core module {inside}))"));
    let deep = format!("{}{}", "(component ".repeat(100), ")".repeat(100));
    let body = "(drop (i64.const -9223372036854775808))".repeat(600_000);
    let rows = [
        (module(&format!("(func {body})")), "bytes in one function"),
        (
            module(&format!("(func {})", "(local i64)".repeat(50_000))),
            "locals",
        ),
        (module(&"(type (func))".repeat(1_000_000)), "types"),
        (module(&"(func)".repeat(500_000)), "functions"),
        (module(&"(data \"\")".repeat(500_000)), "data segments"),
        (
            component(&format!("(component {})", "(core module)".repeat(1_000))),
            "core modules",
        ),
        (component(&deep), "levels of nesting"),
    ];
    for (bytes, words) in rows {
        let peak = Peak::begin();
        let text = celeriac_sandbox::inspect(&bytes)
            .expect_err(words)
            .to_string();
        assert!(text.contains(words), "{text}");
        let grown = peak.grown();
        assert!(grown < mib(4), "{words}: {grown} bytes");
    }
}

#[test]
fn data_far_apart_does_not_become_a_large_image() {
    let segments = [65_600, 16_777_000, 33_000_000];
    let more = segments.map(|at| format!("(data (i32.const {at}) \"x\")"));
    let raw = Raw {
        memory: "600".to_owned(),
        more: more.concat(),
        ..Raw::default()
    };
    let code = celeriac_sandbox::compile(&raw.component()).expect("it is sound");
    assert!(code.len() < 1 << 20, "{} bytes of code", code.len());
}

#[test]
fn an_instance_that_needs_more_than_its_slot_is_refused() {
    let raw = Raw {
        more: "(global i32 (i32.const 0))".repeat(40_000),
        ..Raw::default()
    };
    let text = refusal(&raw.component());
    assert!(text.contains("instance"), "{text}");
}
