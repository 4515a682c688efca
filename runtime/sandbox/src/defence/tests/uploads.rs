//! The walls before the compiler.

use super::raw::{Raw, with_modules};
use super::{Defence, without};
use crate::{Engine, EngineSettings, Refusal, compile, inspect};

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {text})")).unwrap()
}

fn refused(bytes: &[u8]) -> Refusal {
    compile(bytes).unwrap_err()
}

/// What the engine says of a component that was compiled, if it does not take it.
fn loads(bytes: &[u8]) -> Result<(), String> {
    let artifact = compile(bytes).unwrap();
    let engine = Engine::new(&EngineSettings::default()).unwrap();
    let loaded = engine.load(&artifact);
    loaded.map(drop).map_err(|error| error.to_string())
}

#[test]
fn without_a_look_at_its_kind_a_file_is_refused_in_worse_words_by_the_reader() {
    let native = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0";
    assert!(matches!(inspect(native), Err(Refusal::Native { .. })));
    let _away = without(&[Defence::Kind]);
    for bytes in [native.as_slice(), b"(component)", b"\0asm\x01\0\0\0"] {
        let error = inspect(bytes).unwrap_err();
        let next = matches!(error, Refusal::Invalid { .. } | Refusal::World(_));
        assert!(next, "{error}");
    }
}

#[test]
fn without_bounds_a_hostile_upload_is_left_to_the_limits_of_the_compiler() {
    let locals = Raw {
        more: format!("(func {})", "(local i64)".repeat(6_000)),
        ..Raw::default()
    };
    let types = Raw {
        more: "(type (func))".repeat(10_001),
        ..Raw::default()
    };
    for raw in [locals, types] {
        let component = raw.component();
        assert!(matches!(refused(&component), Refusal::TooMuch { .. }));
        let _away = without(&[Defence::Bounds]);
        compile(&component).expect("nothing else refuses it: the compiler has to do it");
    }
}

#[test]
fn without_bounds_too_many_instances_are_left_to_the_pool() {
    // 41 of one module: the bounds count modules, the pool counts instances.
    let instances = with_modules(Raw::default().component(), &["(module)"], 41);
    let error = loads(&instances).unwrap_err();
    assert!(error.contains("42 core module instances"), "{error}");
    let modules = with_modules(Raw::default().component(), &["(module)"; 41], 1);
    assert!(matches!(refused(&modules), Refusal::TooMuch { .. }));
    let _away = without(&[Defence::Bounds]);
    let error = loads(&modules).unwrap_err();
    assert!(error.contains("42 core module instances"), "{error}");
}

#[test]
fn without_features_off_for_the_validator_the_engine_has_them_off() {
    for feature in [
        "(module (memory i64 1))",
        "(module (memory 1 1 shared))",
        "(module (tag))",
    ] {
        let bytes = with_modules(Raw::default().component(), &[feature], 1);
        assert!(
            matches!(refused(&bytes), Refusal::Invalid { .. }),
            "{feature}"
        );
        let _away = without(&[Defence::Features]);
        assert!(
            matches!(refused(&bytes), Refusal::Compile { .. }),
            "{feature}"
        );
    }
}

/// The one feature that the engine has on and guests have not: it needs it itself.
#[test]
fn without_features_off_for_the_validator_a_guest_may_have_memories_beside_each_other() {
    let module = "(module (memory 1) (memory 1))";
    let bytes = with_modules(Raw::default().component(), &[module], 1);
    assert!(matches!(refused(&bytes), Refusal::Invalid { .. }));
    let _away = without(&[Defence::Features]);
    // One memory a module is what a slot of the pool has.
    let error = loads(&bytes).unwrap_err();
    assert!(error.contains("memories"), "{error}");
}

#[test]
fn without_the_world_an_import_nobody_offers_is_found_when_it_is_linked() {
    let unknown = component(r#"(import "evil:host/shell@1.0.0" (instance (export "run" (func))))"#);
    assert!(matches!(refused(&unknown), Refusal::World(_)));
    let _away = without(&[Defence::World]);
    let error = loads(&unknown).unwrap_err();
    assert!(error.contains("evil:host/shell"), "{error}");
}

#[test]
fn without_a_bound_on_images_a_few_bytes_become_many_mebibytes() {
    let raw = Raw {
        memory: "600".to_owned(),
        more: [65_600, 16_700_000]
            .map(|at| format!("(data (i32.const {at}) \"x\")"))
            .concat(),
        ..Raw::default()
    };
    let component = raw.component();
    assert!(component.len() < 10_000);
    assert!(compile(&component).unwrap().len() < 1 << 20);
    let _away = without(&[Defence::Images]);
    // 16 MiB is the engine's own bound; the size of an artifact is bounded by the child.
    assert!(compile(&component).unwrap().len() > 16_000_000);
}
