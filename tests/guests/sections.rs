//! What an upload says about itself beside its code: names and debug information.

use crate::raw::Raw;
use celeriac_harness::Module;

/// A text that commands a terminal, as a name in WebAssembly text.
const NASTY: &str = r#"\1b[2J\1b]0;owned\07\c2\9b31m"#;

fn is_quiet(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
}

#[test]
fn names_of_functions_in_a_trap_are_short_and_command_no_terminal() {
    let raw = Raw {
        more: format!(
            "(func $inner (@name \"{NASTY}\") unreachable)
             (func $outer (@name \"{}\") call $inner)",
            "n".repeat(100_000)
        ),
        run: "call $outer  i32.const 512",
        ..Raw::default()
    };
    let module = Module::from_bytes("raw", &raw.component()).expect("it describes itself");
    let run = module.task("task").run();
    let frames = &run.trap().frames;
    assert!(frames[0].contains("owned"), "{frames:?}");
    assert!(
        frames
            .iter()
            .all(|frame| is_quiet(frame) && frame.len() <= 200),
        "{frames:?}"
    );
    assert!(is_quiet(&run.trap().message));
}

#[test]
fn the_words_of_a_refusal_command_no_terminal() {
    for text in [
        format!("(component (import \"{NASTY}\" (func)))"),
        format!(
            "(component (core module (import \"{NASTY}\" \"{NASTY}\" (func)) (func (call 9))))"
        ),
        format!(
            "(component (core module $m (import \"{NASTY}\" \"x\" (func)))
                (core instance (instantiate $m)))"
        ),
        format!(
            "(component (core module (export \"{NASTY}\" (func 0)) (func) (export \"{NASTY}\" (func 0))))"
        ),
    ] {
        let bytes = wat::parse_str(&text).expect("the component parses");
        let refusal = Module::from_bytes("raw", &bytes)
            .expect_err("no task")
            .to_string();
        assert!(is_quiet(&refusal), "{refusal:?}");
    }
}

#[test]
fn debug_information_is_neither_read_nor_kept() {
    let noise = "\\aa".repeat(4 << 20);
    let raw = Raw {
        more: [".debug_info", ".debug_line", ".debug_abbrev"]
            .map(|name| format!("(@custom \"{name}\" \"{noise}\")"))
            .concat(),
        run: "unreachable",
        ..Raw::default()
    };
    let component = raw.component();
    assert!(component.len() > 12 << 20);
    let artifact = celeriac_sandbox::compile(&component).expect("it is sound");
    assert!(artifact.len() < 1 << 20, "{} bytes", artifact.len());
    let module = Module::from_bytes("raw", &component).expect("it describes itself");
    assert_eq!(
        module.task("task").run().trap().code,
        "unreachable-code-reached"
    );
}

#[test]
fn more_names_than_a_mebibyte_are_refused() {
    let raw = Raw {
        more: format!("(@custom \"notes\" \"{}\")", "x".repeat(1 << 20)),
        ..Raw::default()
    };
    let refusal = Module::from_bytes("raw", &raw.component()).expect_err("too many");
    assert!(refusal.to_string().contains("custom sections"), "{refusal}");
}
