//! The command line.
//!
//! Flags that mean what Celery's mean have Celery's names. Every command prints
//! through [`screen`], as text for people or one JSON document for programs.

mod audit;
mod build;
mod call;
mod canary;
mod case;
mod compare;
mod completions;
mod config;
mod ending;
mod events;
mod exit;
mod gc;
mod inspect;
mod kill;
mod local;
mod modules;
mod moment;
mod new;
mod options;
mod pin;
mod place;
mod purge;
mod push;
mod queues;
mod result;
mod revoke;
mod run;
mod screen;
mod serve;
mod show;
mod tenant;
mod test;
#[cfg(test)]
mod tests;
mod there;
mod token;
mod usage;
mod why;
mod worker;

use crate::registry::compile_child;
use crate::telemetry::plain;
use crate::worker::cells::serve as cell;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use exit::Exit;
use options::Options;
use screen::Screen;
use std::ffi::OsString;
use std::process::ExitCode;

/// A task queue that speaks Celery's protocol and runs every task as a
/// WebAssembly component in a sandbox of its own.
#[derive(Debug, Parser)]
#[command(name = "celeriac", version, after_help = exit::TABLE, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new task crate.
    #[command(after_help = new::JSON)]
    New(new::Args),
    /// Build a task crate into a component.
    #[command(after_help = build::JSON)]
    Build(build::Args),
    /// Build a task crate and run its cases in the sandbox.
    #[command(after_help = test::JSON)]
    Test(test::Args),
    /// Run one task here, without a broker.
    #[command(after_help = run::JSON)]
    Run(run::Args),
    /// Run everything in one process on an embedded broker, for development.
    #[command(after_help = worker::JSON)]
    Dev(worker::Args),
    /// Run a worker.
    #[command(after_help = worker::JSON)]
    Worker(worker::Args),
    /// Serve the control plane: modules and tenants over HTTP.
    #[command(after_help = serve::JSON)]
    Serve(serve::Args),
    /// Push a component as the newest version of a module.
    #[command(after_help = push::JSON)]
    Push(push::Args),
    /// List modules, or the versions of one.
    #[command(after_help = modules::LIST_JSON)]
    Modules(modules::ListArgs),
    /// Make an earlier version of a module the current one.
    #[command(after_help = modules::ROLLBACK_JSON)]
    Rollback(modules::RollbackArgs),
    /// Take a module away with all its versions.
    #[command(after_help = modules::REMOVE_JSON)]
    Remove(modules::RemoveArgs),
    /// Keep a version of a module the current one, whatever is pushed.
    #[command(after_help = pin::JSON)]
    Pin(pin::Args),
    /// Let pushes of a module become its current version again.
    #[command(after_help = pin::JSON)]
    Unpin(pin::UnpinArgs),
    /// Show or change the version of a module that gets a share of its tasks.
    #[command(after_help = canary::JSON)]
    Canary(canary::Args),
    /// Send a task.
    #[command(after_help = call::JSON)]
    Call(call::Args),
    /// Show the state and result of a task.
    #[command(after_help = result::JSON)]
    Result(result::Args),
    /// Say where a task is, and why it does not run.
    #[command(after_help = why::JSON)]
    Why(why::Args),
    /// Revoke tasks: what waits is not run.
    #[command(after_help = revoke::JSON)]
    Revoke(revoke::Args),
    /// Stop a task, a module or a component on every worker, and refuse it from now on.
    #[command(after_help = kill::JSON)]
    Kill(kill::Args),
    /// Show how many messages the queues hold, or their dead letters.
    #[command(after_help = queues::JSON)]
    Queues(queues::Args),
    /// Remove the messages of queues.
    #[command(after_help = purge::JSON)]
    Purge(purge::Args),
    /// Ask workers what they do.
    #[command(after_help = inspect::JSON)]
    Inspect(inspect::Args),
    /// Show what workers tell, as it happens.
    #[command(after_help = events::JSON)]
    Events,
    /// Remove old results, old versions and files that nothing needs.
    #[command(after_help = gc::JSON)]
    Gc,
    /// Make, show, change or stop tenants.
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Make, list or end tokens for the control plane.
    #[command(subcommand)]
    Token(token::Command),
    /// Show what was changed, and by whom.
    #[command(after_help = audit::JSON)]
    Audit(audit::Args),
    /// Show what tenants used, by day, module and task.
    #[command(after_help = usage::JSON)]
    Usage(usage::Args),
    /// Check the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Compile a component from standard input to standard output.
    #[command(hide = true)]
    Compile {
        /// Print which walls are around it instead
        #[arg(long)]
        walls: bool,
    },
    /// Run tasks for the worker at the other end of standard input and output.
    #[command(hide = true)]
    Cell {
        /// Most attempts at once.
        attempts: u32,
        /// Threads that run them.
        threads: usize,
        /// Let them send by HTTP.
        #[arg(long)]
        network: bool,
    },
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match parse(&arguments) {
        Ok(Cli {
            command: Command::Compile { walls },
            ..
        }) => compile_child(walls),
        Ok(Cli {
            command:
                Command::Cell {
                    attempts,
                    threads,
                    network,
                },
            ..
        }) => cell(attempts, threads, network),
        Ok(cli) => {
            let mut screen = Screen::new(cli.options.json);
            let exit = run(cli, &mut screen).unwrap_or_else(|error| screen.error(&error));
            exit.code()
        }
        Err(error) => {
            // Help and version are errors to clap, too; it knows where each goes. What it
            // repeats of an argument may come from a stranger: ids are passed on by scripts.
            let text = error.render().to_string();
            match plain(&text) == text {
                true => drop(error.print()),
                false => Screen::new(false).note(&text),
            }
            if error.use_stderr() {
                Exit::Usage.code()
            } else {
                Exit::Done.code()
            }
        }
    }
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

fn run(cli: Cli, screen: &mut Screen) -> anyhow::Result<Exit> {
    let options = cli.options;
    if !cli.command.goes_through_a_server() {
        options.without_server()?;
    }
    if cli.command.is_about_tasks() {
        options.known_tenant()?;
    } else if !cli.command.is_for_a_tenant() {
        options.without_tenant()?;
    }
    match cli.command {
        Command::Completions(args) => Ok(completions::run(&args, screen)),
        Command::New(args) => new::run(&args, screen),
        Command::Build(args) => wait_for(build::run(args, &options, screen)),
        Command::Test(args) => wait_for(test::run(args, &options, screen)),
        Command::Run(args) => wait_for(run::run(args, &options, screen)),
        Command::Config(config::Command::Check) => config::check(&options, screen),
        Command::Dev(args) => worker::run(worker::Role::Dev, args, &options, screen),
        Command::Worker(args) => worker::run(worker::Role::Worker, args, &options, screen),
        Command::Serve(args) => wait_for(serve::run(args, &options, screen)),
        Command::Push(args) => wait_for(push::run(args, &options, screen)),
        Command::Modules(args) => wait_for(modules::list(args, &options, screen)),
        Command::Rollback(args) => wait_for(modules::rollback(args, &options, screen)),
        Command::Remove(args) => wait_for(modules::remove(args, &options, screen)),
        Command::Pin(args) => wait_for(pin::pin(args, &options, screen)),
        Command::Unpin(args) => wait_for(pin::unpin(args, &options, screen)),
        Command::Canary(args) => wait_for(canary::run(args, &options, screen)),
        Command::Call(args) => wait_for(call::run(args, &options, screen)),
        Command::Result(args) => wait_for(result::run(args, &options, screen)),
        Command::Why(args) => wait_for(why::run(args, &options, screen)),
        Command::Revoke(args) => wait_for(revoke::run(args, &options, screen)),
        Command::Kill(args) => wait_for(kill::run(args, &options, screen)),
        Command::Queues(args) => wait_for(queues::run(args, &options, screen)),
        Command::Purge(args) => wait_for(purge::run(args, &options, screen)),
        Command::Inspect(args) => wait_for(inspect::run(args, &options, screen)),
        Command::Events => wait_for(events::run(&options, screen)),
        Command::Tenant(command) => wait_for(tenant::run(command, &options, screen)),
        Command::Token(command) => wait_for(token::run(command, &options, screen)),
        Command::Audit(args) => wait_for(audit::run(args, &options, screen)),
        Command::Usage(args) => wait_for(usage::run(args, &options, screen)),
        Command::Gc => wait_for(gc::run(&options, screen)),
        // Handled before there is a screen: its output is not text.
        Command::Compile { .. } | Command::Cell { .. } => Ok(Exit::Usage),
    }
}

impl Command {
    /// Tells whether it is about tasks, whose messages and results are a tenant's.
    fn is_about_tasks(&self) -> bool {
        matches!(
            self,
            Self::Call(_)
                | Self::Result(_)
                | Self::Why(_)
                | Self::Revoke(_)
                | Self::Queues(_)
                | Self::Purge(_)
                | Self::Inspect(_)
                | Self::Events
        )
    }

    /// Tells whether it is about modules or kills, which are a tenant's.
    fn is_for_a_tenant(&self) -> bool {
        matches!(
            self,
            Self::Push(_)
                | Self::Modules(_)
                | Self::Rollback(_)
                | Self::Remove(_)
                | Self::Pin(_)
                | Self::Unpin(_)
                | Self::Canary(_)
                | Self::Token(_)
                | Self::Audit(_)
                | Self::Usage(_)
                | Self::Kill(_)
        )
    }

    /// Tells whether it can be done through a control plane. What is left out is about this
    /// machine, or about the broker of the configuration.
    fn goes_through_a_server(&self) -> bool {
        matches!(
            self,
            Self::Push(_)
                | Self::Modules(_)
                | Self::Rollback(_)
                | Self::Remove(_)
                | Self::Pin(_)
                | Self::Unpin(_)
                | Self::Canary(_)
                | Self::Call(_)
                | Self::Result(_)
                | Self::Revoke(_)
                | Self::Kill(_)
                | Self::Tenant(_)
                | Self::Token(_)
                | Self::Audit(_)
                | Self::Usage(_)
                | Self::Worker(_)
                | Self::Config(_)
        )
    }
}

/// Runs a command to its end on a runtime of its own.
fn wait_for(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(Box::pin(command))
}
