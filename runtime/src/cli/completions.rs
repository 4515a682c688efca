//! `celeriac completions`.

use super::Cli;
use super::exit::Exit;
use super::screen::Screen;
use clap::CommandFactory as _;
use clap_complete::Shell;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script for a shell.
pub(crate) fn run(args: &Args, screen: &mut Screen) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "celeriac", &mut script);
    screen.block(&String::from_utf8_lossy(&script));
    Exit::Done
}
