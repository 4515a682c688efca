//! Makes the bindings of a component in C: `bindings-for-c WIT FOLDER`.

use std::path::PathBuf;
use std::{env, fs};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let (Some(wit), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("bindings-for-c WIT FOLDER".into());
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], Some("task"))?;
    let mut files = Files::default();
    let mut bindings = wit_bindgen_c::Opts::default().build();
    bindings.generate(&mut resolve, world, &mut files)?;
    fs::create_dir_all(&folder)?;
    for (name, bytes) in files.iter() {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
