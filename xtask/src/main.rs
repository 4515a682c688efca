//! The build tool: `cargo xtask COMMAND`.

mod bench;
mod check;
mod commands;
mod compiler;
mod debian;
mod demo;
mod guests;
mod languages;
mod python;
mod rabbitmq;
mod setup;
mod steps;
mod support;
mod test;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = if compiler::is_called(&arguments) {
        compiler::run(&arguments)
    } else {
        commands::run(&arguments).map(|()| true)
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        // The compiler told why.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            commands::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
