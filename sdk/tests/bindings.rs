//! Keeps `src/bindings.rs` equal to what wit-bindgen makes of the contract in `wit/`.
//!
//! The bindings are checked in because wit-bindgen's macro would cost every guest's clean build
//! half a minute. `UPDATE_BINDINGS=1 cargo nextest run -p celeriac-sdk bindings` rewrites them.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

use wit_bindgen_core::Files;
use wit_bindgen_core::WorldGenerator;
use wit_bindgen_core::wit_parser::Resolve;

const BINDINGS: &str = "src/bindings.rs";

fn generate(wit: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit).expect("the contract parses");
    let world = resolve
        .select_world(&[package], Some("everything"))
        .expect("the package has the world `everything`");
    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        // The types of `types` are used by both sides of the contract.
        pub_export_macro: true,
        export_macro_name: Some("export_component".to_owned()),
        ..Default::default()
    };
    let mut files = Files::default();
    options
        .build()
        .generate(&mut resolve, world, &mut files)
        .expect("wit-bindgen accepts the world");
    let (_, text) = files.iter().next().expect("wit-bindgen writes one file");
    String::from_utf8(text.to_vec()).expect("generated Rust is text")
}

#[test]
fn the_checked_in_bindings_are_those_of_the_contract() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let generated = generate(&here.join("../wit"));
    let path = here.join(BINDINGS);
    if std::env::var_os("UPDATE_BINDINGS").is_some() {
        std::fs::write(&path, &generated).expect("the bindings can be written");
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        checked_in == generated,
        "{BINDINGS} is not what wit-bindgen makes of wit/: run the tests once with UPDATE_BINDINGS=1"
    );
}
