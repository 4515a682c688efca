//! Builds a task crate into a component and prints the component's path:
//! `component FOLDER TARGET`. With the feature `encode` it can build for every
//! target, which the workspace's own light build tool cannot.

#![expect(clippy::print_stdout, reason = "the path is its answer")]

use celeriac_build::{Guest, Target};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of a task crate")?;
    let target: Target = arguments.next().ok_or("name a target")?.parse()?;
    let built = Guest::new(folder).target(target).quiet(true).build()?;
    println!("{}", built.component.display());
    Ok(())
}
