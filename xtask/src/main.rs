//! The build tool: `cargo xtask COMMAND`.

mod bench;
mod check;
mod commands;
mod debian;
mod demo;
mod guests;
mod languages;
mod python;
mod rabbitmq;
mod setup;
mod steps;
mod test;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match commands::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            commands::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
