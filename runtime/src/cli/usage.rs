//! `celeriac usage`.

use super::exit::{Exit, Problem};
use super::options::Options;
use super::place::Place;
use super::screen::Screen;
use crate::plane::{UsageBy, UsageEntry, UsageSums, csv, usage_days};
use crate::platform::{USAGE_PAGE, UsageQuery};
use crate::task::{Day, TenantName};
use crate::telemetry::human;
use clap::ValueEnum;
use serde_json::json;
use std::time::Duration;

/// Most entries of one command (100,000).
const ENTRIES: usize = 100_000;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "Days are those of UTC on which runs ended. A run counts a few seconds after its end.\n\n\
    JSON: {\"from\", \"to\", \"usage\": [{\"day\", \"tenant\", \"module\", \"task\", \"used\": {\"attempts\", \"succeeded\", \
    \"failed\", \"retried\", \"revoked\", \"cpu_us\", \"run_us\", \"bytes_in\", \"bytes_out\", \"http_requests\", \
    \"http_bytes_in\", \"http_bytes_out\", \"host_calls\"}}]}; what is told together is null.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The first day, as in 2026-11-01 [default: 29 days before the last one]
    #[arg(long, value_name = "DAY")]
    from: Option<Day>,
    /// The last day [default: today]
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,
    /// How far it is told apart: tenant, day, module or task
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "day",
        hide_possible_values = true
    )]
    by: By,
    /// Print comma-separated values, for spreadsheets
    #[arg(long)]
    csv: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Tenant,
    Day,
    Module,
    Task,
}

impl From<By> for UsageBy {
    fn from(by: By) -> Self {
        match by {
            By::Tenant => Self::Tenant,
            By::Day => Self::Day,
            By::Module => Self::Module,
            By::Task => Self::Task,
        }
    }
}

/// Shows what tenants used; with --tenant what one of them did.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    if args.csv && options.json {
        let both = Problem::usage("--csv and --json are two forms of the same");
        return Err(both.hint("name one of them").into());
    }
    let place = options.place().await?;
    let done = work(&place, &args, options.named_tenant(), screen).await;
    place.close().await;
    done
}

async fn work(
    place: &Place,
    args: &Args,
    tenant: Option<TenantName>,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let days = usage_days(args.from, args.to, Day::of(place.now()));
    let (from, to) = days.map_err(|wrong| {
        Problem::usage(wrong).hint("name a year at most, its first day with --from")
    })?;
    let query = UsageQuery {
        tenant,
        from,
        to,
        by: args.by.into(),
        after: None,
        limit: USAGE_PAGE,
    };
    let is_of_one = query.tenant.is_some();
    let Some(entries) = place.usage(query, ENTRIES).await? else {
        let much = Problem::usage(format!("there are more than {ENTRIES} entries"));
        return Err(much.hint("ask for fewer days, or --by day").into());
    };
    if args.csv {
        screen.block(&csv(&entries).replace('\r', ""));
        return Ok(Exit::Done);
    }
    screen.document(&json!({"from": from, "to": to, "usage": entries}));
    match entries.is_empty() {
        true => screen.line(format!("nothing was used from {from} to {to}")),
        false => table(&entries, is_of_one, screen),
    }
    Ok(Exit::Done)
}

fn table(entries: &[UsageEntry], is_of_one: bool, screen: &mut Screen) {
    let first = entries.first();
    let has = |part: fn(&UsageEntry) -> bool| first.is_some_and(part);
    let (days, modules) = (
        has(|entry| entry.day.is_some()),
        has(|entry| entry.module.is_some()),
    );
    let tasks = has(|entry| entry.task.is_some());
    let shown = [days, !is_of_one, modules, tasks];
    let names = ["day (UTC)", "tenant", "module", "task"];
    let numbers = ["runs", "failed", "CPU", "time", "in", "out"];
    let names = names.into_iter().zip(shown).filter(|(_, is)| *is);
    let names: Vec<&str> = names.map(|(name, _)| name).chain(numbers).collect();
    let row = |entry: &UsageEntry| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let day = entry.day.map(|day| day.to_string()).unwrap_or_default();
        let tenant = entry.tenant.clone();
        let cells = [day, tenant, text(&entry.module), text(&entry.task)];
        let cells = cells.into_iter().zip(shown).filter(|(_, is)| *is);
        let cells = cells.map(|(cell, _)| cell);
        cells.chain(figures(&entry.used)).collect::<Vec<String>>()
    };
    screen.table(&names, entries.iter().map(row).collect());
    let mut sum = UsageSums::default();
    for entry in entries {
        sum.add(&entry.used);
    }
    let [runs, failed, cpu, run, bytes_in, bytes_out] = figures(&sum);
    screen.line(format!(
        "together: {runs} runs, {failed} failed, {cpu} of CPU time in {run}, {bytes_in} in, {bytes_out} out"
    ));
}

fn figures(used: &UsageSums) -> [String; 6] {
    let span = |micros| human::span(Duration::from_micros(micros));
    [
        used.attempts.to_string(),
        used.failed.to_string(),
        span(used.cpu_us),
        span(used.run_us),
        human::size(used.bytes_in),
        human::size(used.bytes_out),
    ]
}
