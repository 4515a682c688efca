//! `celeriac tenant`.

mod shown;
mod terms;

use super::exit::{Exit, Problem};
use super::options::Options;
use super::place::Place;
use super::screen::Screen;
use crate::app;
use crate::platform::broker::{self, Command as Line, Plan};
use crate::platform::{Tenant, Terms};
use crate::task::TenantName;
use serde_json::{Value, json};
use shown::facts;
use terms::{Edits, TermArgs};

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "Bounds are numbers or values with a unit; \"none\" takes one away. \
    What a tenant may reach is written submit:PATTERN, http:HOST, config:NAME, secret:NAME, key_value:16MiB or scratch:64MiB; \
    without --may it is nothing.\n\n\
    JSON: {\"tenant\": TENANT} with TENANT as the HTTP API has it, or {\"tenants\": [TENANT]}; with --on also \
    {\"setup\": {\"commands\", \"applied\", \"prefix\", \"clients\": {\"broker\", \"result_backend\"}, \"workers\": {…}}}, \
    which has passwords that are told this once.";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a tenant.
    #[command(after_help = JSON)]
    Create(CreateArgs),
    /// List all tenants.
    #[command(after_help = JSON)]
    List,
    /// Show a tenant.
    #[command(after_help = JSON)]
    Show(NameArgs),
    /// Change what a tenant may use and reach; what is left out stays.
    #[command(after_help = JSON)]
    Change(ChangeArgs),
    /// Let all tasks of a tenant wait, until it is resumed.
    #[command(after_help = JSON)]
    Suspend(NameArgs),
    /// Let the tasks of a tenant go on.
    #[command(after_help = JSON)]
    Resume(NameArgs),
    /// Delete a suspended tenant, with its tokens.
    #[command(after_help = JSON)]
    Delete(DeleteArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct NameArgs {
    /// The tenant
    name: TenantName,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Its name: a lower-case letter, then lower-case letters, digits and -
    name: TenantName,
    #[command(flatten)]
    terms: TermArgs,
    /// Plan a virtual host and a user on this RabbitMQ, or users with a key prefix on this
    /// Redis, and print what to run there
    #[arg(long, value_name = "URL", conflicts_with_all = ["tenant_broker", "tenant_results"])]
    on: Option<String>,
    /// Run it there: Redis alone
    #[arg(long, requires = "on")]
    apply: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ChangeArgs {
    /// The tenant
    name: TenantName,
    #[command(flatten)]
    terms: TermArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    /// The tenant
    name: TenantName,
    /// Delete it though it is not suspended, or has modules
    #[arg(long)]
    force: bool,
}

/// Makes, shows, changes, stops or deletes tenants.
pub(crate) async fn run(
    command: Command,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    options.without_tenant()?;
    let place = options.place().await?;
    let done = work(&place, command, screen).await;
    place.close().await;
    done
}

async fn work(place: &Place, command: Command, screen: &mut Screen) -> anyhow::Result<Exit> {
    let (tenant, did) = match command {
        Command::Create(args) => return create(place, args, screen).await,
        Command::List => return list(place, screen).await,
        Command::Delete(args) => return delete(place, &args, screen).await,
        Command::Show(args) => {
            let tenant = place.tenant(&args.name).await?;
            screen.document(&json!({"tenant": tenant.document()}));
            facts(&tenant, place.now(), screen);
            return Ok(Exit::Done);
        }
        Command::Change(args) => {
            let edits = args.terms.read()?;
            let edit = |terms: &mut Terms| edits.apply(terms);
            (place.change_tenant(&args.name, edit).await?, "changed")
        }
        Command::Suspend(args) => {
            let tenant = place.suspend_tenant(&args.name).await?;
            (tenant, "suspended; its tasks wait")
        }
        Command::Resume(args) => {
            let tenant = place.resume_tenant(&args.name).await?;
            (tenant, "resumed; its tasks go on")
        }
    };
    screen.document(&json!({"tenant": tenant.document()}));
    screen.line(format!("tenant {} {did}", tenant.name));
    Ok(Exit::Done)
}

async fn create(place: &Place, args: CreateArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let CreateArgs {
        name,
        terms: edits,
        on,
        apply,
    } = args;
    let edits: Edits = edits.read()?;
    let mut terms = Terms::default();
    edits.apply(&mut terms);
    let plan = on.as_deref().map(|server| broker::plan(&name, server));
    let plan = plan.transpose()?;
    if let Some(plan) = &plan {
        terms.broker = Some(plan.workers.broker.clone());
        terms.result_backend = Some(plan.workers.result_backend.clone());
    }
    if apply && plan.as_ref().is_some_and(|plan| plan.prefix.is_none()) {
        let what = "--apply runs commands on Redis alone";
        return Err(Problem::usage(what)
            .hint("without it they are printed; run them on the machine of RabbitMQ")
            .into());
    }
    let tenant = place.create_tenant(&name, terms).await?;
    let mut document = json!({"tenant": tenant.document()});
    if let (Some(setup), Some(members)) = (plan.as_ref(), document.as_object_mut()) {
        members.insert("setup".to_owned(), shown_plan(setup, apply));
    }
    let applied = match (&plan, &on) {
        (Some(plan), Some(server)) if apply => app::tell_redis(server, &plan.commands).await,
        _ => Ok(()),
    };
    // What is printed once is printed whatever the server said.
    screen.document(&document);
    screen.line(format!("tenant {name} created"));
    if let Some(plan) = &plan {
        tell(plan, apply && applied.is_ok(), screen);
    }
    applied?;
    Ok(Exit::Done)
}

/// Says what to run, and the addresses that are good then.
fn tell(plan: &Plan, applied: bool, screen: &mut Screen) {
    if applied {
        screen
            .line("its users are made; ACL SAVE or the server's aclfile keeps them over a restart");
    } else {
        screen.line("run this where the broker is (passwords are shown this once):");
        for command in &plan.commands {
            screen.line(format!("  {command}"));
        }
    }
    screen.line(format!("its clients: {}", plan.clients.broker));
    screen.line(format!("  results: {}", plan.clients.result_backend));
    if let Some(prefix) = &plan.prefix {
        screen.line(format!(
            "  with {{\"global_keyprefix\": \"{prefix}\"}} as broker_transport_options and as result_backend_transport_options"
        ));
    }
    screen.line("workers have an address of their own, which is kept");
}

fn shown_plan(plan: &Plan, applied: bool) -> Value {
    let commands: Vec<String> = plan.commands.iter().map(ToString::to_string).collect();
    let addresses =
        |of: &broker::Addresses| json!({"broker": of.broker, "result_backend": of.result_backend});
    json!({
        "commands": commands,
        "applied": applied,
        "prefix": plan.prefix,
        "clients": addresses(&plan.clients),
        "workers": addresses(&plan.workers),
    })
}

async fn list(place: &Place, screen: &mut Screen) -> anyhow::Result<Exit> {
    let all = place.tenants().await?;
    let documents: Vec<Value> = all.iter().map(Tenant::document).collect();
    screen.document(&json!({"tenants": documents}));
    let rows = all.iter().map(shown::row).collect();
    screen.table(
        &["tenant", "", "weight", "quota", "at most", "may reach"],
        rows,
    );
    Ok(Exit::Done)
}

async fn delete(place: &Place, args: &DeleteArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let name = &args.name;
    let tenant = place.delete_tenant(name, args.force).await?;
    let left = tenant.broker.as_deref();
    let left = left.map_or_else(Vec::new, |address| broker::removal(name, address));
    let lines: Vec<String> = left.iter().map(Line::to_string).collect();
    screen.document(&json!({"tenant": tenant.document(), "deleted": true, "commands": lines}));
    screen.line(format!("tenant {name} deleted, with its tokens"));
    if !lines.is_empty() {
        screen.line("its users and messages are still on its broker; this removes them there:");
    }
    for line in lines {
        screen.line(format!("  {line}"));
    }
    Ok(Exit::Done)
}
