//! `celeriac kill`.

use super::exit::{Exit, Problem};
use super::modules::{live_json, module_name};
use super::options::Options;
use super::place::Place;
use super::screen::Screen;
use super::show;
use crate::registry::{Aim, Digest, Kill, LiveReport};
use crate::task::{TaskName, TenantName};
use serde_json::{Value, json};

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "Attempts that run end at once as FAILURE celeriac.Killed, and calls from now on fail the same way; \
    nothing of it is tried again. It holds for every worker with this data folder, across restarts, until --undo.\n\n\
    JSON: {\"kill\": KILL, \"undone\", \"live\": {\"workers\", \"live\", \"after_ms\"}}, or with --list {\"kills\": [KILL]}, \
    where KILL is {\"tenant\", \"kind\", \"name\", \"reason\", \"hold\", \"killed_at\"}, \"kind\" is task, module, tenant or digest, \
    and \"tenant\" is null for a digest, which is killed for all; of one that is undone the last three are not told.";

/// Fewest digits that stand for a digest (4), as many as tables show.
const DIGITS: usize = 4;

#[derive(Debug, clap::Args)]
#[group(id = "aim", required = true, multiple = false)]
pub(crate) struct What {
    /// Kill one task, MODULE.TASK or an alias of it
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Kill all tasks of a module, whatever is pushed under its name
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    /// Kill all tasks of a component, under whichever name; the first digits are enough
    #[arg(long, value_name = "SHA256")]
    digest: Option<String>,
    /// Kill all tasks of the tenant that --tenant names
    #[arg(long)]
    all: bool,
    /// List what is killed, of all tenants; with --server of one
    #[arg(long, conflicts_with_all = ["undo", "reason", "hold"])]
    list: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    what: What,
    /// Why, for whoever calls it
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    /// Let calls wait until it is allowed again, instead of failing them
    #[arg(long)]
    hold: bool,
    /// Allow it again
    #[arg(long, conflicts_with_all = ["reason", "hold"])]
    undo: bool,
}

/// Kills something, allows it again, or lists what is killed.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let place = options.place().await?;
    let done = work((&place, &options.tenant()), &args, screen).await;
    place.close().await;
    done
}

/// Where, and of whom.
type Seat<'a> = (&'a Place, &'a TenantName);

async fn work(seat: Seat<'_>, args: &Args, screen: &mut Screen) -> anyhow::Result<Exit> {
    let (place, tenant) = seat;
    let kills = place.kills(tenant).await?;
    let Some(aim) = aim(seat, args, &kills).await? else {
        list(place, &kills, screen);
        return Ok(Exit::Done);
    };
    match args.undo {
        true => undo(seat, aim, screen).await,
        false => kill(seat, aim, args, screen).await,
    }
}

async fn kill(
    (place, tenant): Seat<'_>,
    aim: Aim,
    args: &Args,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let live = place.kill(tenant, &aim, (&args.reason, args.hold)).await?;
    let kills = place.kills(tenant).await?;
    let kill = kills.iter().find(|kill| kill.aim == aim);
    let told = kill.map_or_else(|| named_only(&aim), document);
    screen.document(&json!({"kill": told, "undone": false, "live": live_json(&live)}));
    let calls = match args.hold {
        true => "calls wait until it is allowed again",
        false => "calls fail from now on",
    };
    screen.line(format!("{aim} killed; {calls}"));
    screen.line(reached(&live, "stopped"));
    screen.line(format!("undo: {}", aim.undo()));
    Ok(Exit::Done)
}

async fn undo((place, tenant): Seat<'_>, aim: Aim, screen: &mut Screen) -> anyhow::Result<Exit> {
    let Some(live) = place.unkill(tenant, &aim).await? else {
        return Err(not_killed(&aim.to_string()).into());
    };
    let told = named_only(&aim);
    screen.document(&json!({"kill": told, "undone": true, "live": live_json(&live)}));
    screen.line(format!("{aim} may run again"));
    screen.line(reached(&live, "allowed"));
    Ok(Exit::Done)
}

fn not_killed(what: &str) -> Problem {
    let problem = Problem::new(Exit::NotFound, format!("{what} is not killed"));
    problem.hint("`celeriac kill --list` lists what is")
}

/// Says how many workers have heard.
fn reached(live: &LiveReport, done: &str) -> String {
    let after = live.after.as_millis();
    match (live.workers, live.live) {
        (0, _) => "no worker is running; those that start obey it".to_owned(),
        (1, 1) => format!("{done} on 1 worker after {after} ms"),
        (all, some) if all == some => format!("{done} on {all} workers after {after} ms"),
        (all, some) => {
            format!("{done} on {some} of {all} workers after {after} ms; look after the others")
        }
    }
}

fn list(place: &Place, kills: &[Kill], screen: &mut Screen) {
    let documents: Vec<Value> = kills.iter().map(document).collect();
    screen.document(&json!({"kills": documents}));
    if kills.is_empty() {
        screen.line("nothing is killed");
        return;
    }
    let now = place.now();
    let rows = kills.iter().map(|kill| {
        let calls = if kill.hold { "wait" } else { "fail" };
        let tenant = kill.aim.tenant().map_or("all", TenantName::as_str);
        vec![
            tenant.to_owned(),
            kill.aim.kind().to_owned(),
            kill.aim.name(),
            show::ago(now, kill.killed_at),
            calls.to_owned(),
            kill.reason.clone(),
        ]
    });
    let head = ["tenant", "", "killed", "since", "calls", "reason"];
    screen.table(&head, rows.collect());
}

/// Returns what programs are told of a kill.
pub(crate) fn document(kill: &Kill) -> Value {
    json!({
        "tenant": kill.aim.tenant(),
        "kind": kill.aim.kind(),
        "name": kill.aim.name(),
        "reason": kill.reason,
        "hold": kill.hold,
        "killed_at": kill.killed_at.to_string(),
    })
}

fn named_only(aim: &Aim) -> Value {
    json!({"tenant": aim.tenant(), "kind": aim.kind(), "name": aim.name()})
}

/// Reads what the flags name; `None` where a list is wanted.
async fn aim(
    (place, tenant): Seat<'_>,
    args: &Args,
    kills: &[Kill],
) -> anyhow::Result<Option<Aim>> {
    let usage = |error: &dyn std::fmt::Display| Problem::usage(error.to_string());
    if let Some(task) = &args.what.task {
        let name: TaskName = place
            .own_name(task)
            .parse()
            .map_err(|error| usage(&error))?;
        return Ok(Some(Aim::Task(tenant.clone(), name)));
    }
    if let Some(module) = &args.what.module {
        return Ok(Some(Aim::Module(tenant.clone(), module_name(module)?)));
    }
    if args.what.all {
        return Ok(Some(Aim::Tenant(tenant.clone())));
    }
    let Some(text) = &args.what.digest else {
        return Ok(None);
    };
    if let Ok(digest) = text.parse::<Digest>() {
        return Ok(Some(Aim::Digest(digest)));
    }
    let digits = digits(text)?;
    let found = match args.undo {
        true => killed(kills, &digits),
        false => place.digests(tenant, &digits).await?,
    };
    Ok(Some(Aim::Digest(only(&found, &digits, args.undo)?)))
}

/// Returns the one digest that was meant.
fn only(found: &[Digest], digits: &str, undo: bool) -> Result<Digest, Problem> {
    match found {
        [digest] => Ok(*digest),
        [] if undo => Err(not_killed(&format!("component {digits:?}"))),
        [] => {
            let what = format!("no component has a digest that begins with {digits:?}");
            let hint = "`celeriac modules --json` shows them whole; all 64 digits kill one that is not pushed yet";
            Err(Problem::new(Exit::NotFound, what).hint(hint))
        }
        [first, second, ..] => {
            let (first, second) = (first.hex(), second.hex());
            let what = format!("{digits:?} is ambiguous: {first} and {second}");
            Err(Problem::usage(what).hint("give more digits"))
        }
    }
}

/// Reads the first digits of a digest, as they stand in tables: `sha256:9c41…`.
fn digits(text: &str) -> Result<String, Problem> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let digits = digits.strip_suffix('…').unwrap_or(digits);
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && (DIGITS..=64).contains(&digits.len()) {
        return Ok(digits.to_ascii_lowercase());
    }
    let shown: String = text.chars().take(80).collect();
    let what = format!("{shown:?} is not a digest; it must be {DIGITS} to 64 hexadecimal digits");
    Err(Problem::usage(what))
}

/// The killed components whose digest begins so.
fn killed(kills: &[Kill], digits: &str) -> Vec<Digest> {
    let digests = kills.iter().filter_map(|kill| match kill.aim {
        Aim::Digest(digest) => Some(digest),
        Aim::Task(..) | Aim::Module(..) | Aim::Tenant(_) => None,
    });
    let begins = |digest: &Digest| digest.hex().starts_with(digits);
    digests.filter(begins).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_digits_of_a_digest_are_read_as_tables_show_them() {
        for (text, read) in [
            ("sha256:9C41…", "9c41"),
            ("9c41", "9c41"),
            ("sha256:9c41aa", "9c41aa"),
        ] {
            assert_eq!(digits(text).unwrap(), read);
        }
        for bad in ["", "9c4", "sha256:", "9c4z", "…", &"a".repeat(65)] {
            let error = digits(bad).unwrap_err().to_string();
            assert!(error.contains("4 to 64 hexadecimal digits"), "{error}");
        }
    }

    #[test]
    fn digits_must_mean_one_component() {
        let [one, other] = ["one", "other"].map(|text| Digest::of(text.as_bytes()));
        assert_eq!(only(&[one], "9c41", false).unwrap(), one);
        let said = |found: &[Digest], undo| only(found, "9c41", undo).unwrap_err().to_string();
        assert!(said(&[one, other], false).contains("\"9c41\" is ambiguous"));
        assert!(said(&[], false).contains("no component has a digest that begins with"));
        assert!(said(&[], true).contains("is not killed"));
    }

    #[test]
    fn it_is_told_how_many_workers_have_heard() {
        let said = |workers, live| {
            let after = Duration::from_millis(31);
            let live = LiveReport {
                workers,
                live,
                after,
            };
            reached(&live, "stopped")
        };
        assert_eq!(said(1, 1), "stopped on 1 worker after 31 ms");
        assert_eq!(said(2, 2), "stopped on 2 workers after 31 ms");
        assert!(said(3, 1).starts_with("stopped on 1 of 3 workers"));
        assert!(said(0, 0).starts_with("no worker is running"));
    }
}
