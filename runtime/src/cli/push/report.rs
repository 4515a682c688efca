//! What `celeriac push` says of a push.

use crate::cli::modules::{live_json, numbered};
use crate::cli::place::Taken;
use crate::cli::screen::Screen;
use crate::cli::show;
use crate::registry::{Before, Pushed, Wishes};
use crate::telemetry::human;
use celeriac_sandbox::Want;
use serde_json::{Value, json};

/// Says what a module exports, what it asks for and could reach, and what changed.
pub(super) fn print(taken: &Taken, wishes: &Wishes, screen: &mut Screen) {
    let Taken {
        pushed,
        live,
        reach,
        wants,
    } = taken;
    let new = !wishes.dry || pushed.unchanged;
    let canary = wishes.canary.filter(|_| !pushed.unchanged);
    screen.document(&json!({
        "module": pushed.module.as_str(),
        "version": new.then_some(pushed.version),
        "release": pushed.release.as_ref().map(ToString::to_string),
        "runs": pushed.runs,
        "canary": canary.map(|(share, _)| share.to_string()),
        "dry_run": wishes.dry,
        "digest": format!("sha256:{}", pushed.digest.hex()),
        "bytes": pushed.bytes,
        "tasks": pushed.tasks,
        "asks_for": pushed.asks_for,
        "wants": wants.iter().map(|(want, found)| want_json(want, found)).collect::<Vec<_>>(),
        "can_reach": reach,
        "imports": pushed.imports,
        "unchanged": pushed.unchanged,
        "before": pushed.before.as_ref().map(before_json),
        "changes": pushed.changes,
        "breaks": pushed.breaks,
        "live": live.as_ref().map(live_json),
    }));
    exports(pushed, new, screen);
    let listed = |all: &[String]| match all {
        [] => "nothing".to_owned(),
        all => all.join(", "),
    };
    let (asks_for, reach) = (listed(&pushed.asks_for), listed(reach));
    screen.line(format!("asks for: {asks_for}    can reach: {reach}"));
    for (want, found) in wants {
        screen.line(format!("  {}", want_line(want, found)));
    }
    if pushed.unchanged {
        screen.line("unchanged: this very component runs already");
    } else if let Some(before) = &pushed.before {
        changed(pushed, before, screen);
    }
    if let Some(place) = place(pushed, wishes) {
        screen.line(place);
    }
    if let Some(live) = live {
        screen.line(live.to_string());
    }
}

fn exports(pushed: &Pushed, new: bool, screen: &mut Screen) {
    let count = human::count(pushed.tasks.len() as u64, "task");
    let version = match new {
        true => numbered(pushed.version, pushed.release.as_ref()),
        false => pushed
            .release
            .as_ref()
            .map_or_else(String::new, |release| format!("({release})")),
    };
    let digest = show::digest(&pushed.digest);
    let head = format!("{} {version}  {digest}  {count}:", pushed.module);
    match pushed.tasks.as_slice() {
        [task] => screen.line(format!("{head} {}", show::signature(task))),
        tasks => {
            screen.line(head);
            for task in tasks.iter().take(show::MENTIONED) {
                screen.line(format!("  {}", show::signature(task)));
            }
            if let Some(more) = show::more(tasks) {
                screen.line(format!("  {more}: celeriac modules {}", pushed.module));
            }
        }
    }
}

/// Says what differs from the version before.
fn changed(pushed: &Pushed, before: &Before, screen: &mut Screen) {
    let changes = &pushed.changes;
    let of = [
        ("added", &changes.added),
        ("removed", &changes.removed),
        ("changed", &changes.changed),
    ];
    let told = of.iter().filter(|(_, tasks)| !tasks.is_empty());
    let mut told: Vec<_> = told
        .map(|(word, tasks)| format!("{word} {}", few(tasks)))
        .collect();
    told.push(size(before.bytes, pushed.bytes));
    let version = numbered(before.version, before.release.as_ref());
    screen.line(format!("compared with {version}: {}", told.join("; ")));
    for finding in &pushed.breaks {
        screen.line(format!("  breaks callers: {}", finding.seen));
    }
}

/// Names some tasks, and counts the rest.
fn few(tasks: &[String]) -> String {
    let shown = tasks.iter().take(show::MENTIONED);
    let shown = shown.map(String::as_str).collect::<Vec<_>>().join(", ");
    match tasks.len().saturating_sub(show::MENTIONED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn size(before: u64, now: u64) -> String {
    let size = human::size(now);
    match (now.checked_sub(before), before.checked_sub(now)) {
        (Some(0), _) => format!("{size}, as before"),
        (Some(more), _) => format!("{size}, {} more", human::size(more)),
        (None, Some(less)) => format!("{size}, {} less", human::size(less)),
        (None, None) => size,
    }
}

/// Says what runs now, where it is not simply this version.
fn place(pushed: &Pushed, wishes: &Wishes) -> Option<String> {
    if pushed.unchanged {
        return None;
    }
    let module = &pushed.module;
    match (wishes.dry, &wishes.canary, &pushed.before) {
        (true, ..) => Some("nothing was published: --dry-run".to_owned()),
        (false, Some((share, _)), _) => Some(format!(
            "canary: gets {share} of the tasks; celeriac canary {module}"
        )),
        (false, None, Some(before)) if !pushed.runs => Some(format!(
            "waits: {module} is pinned to version {}; celeriac unpin {module}",
            before.version
        )),
        (false, None, _) => None,
    }
}

fn before_json(before: &Before) -> Value {
    let release = before.release.as_ref().map(ToString::to_string);
    json!({"version": before.version, "release": release, "bytes": before.bytes})
}

fn want_json(want: &str, found: &Want) -> Value {
    let line = match found {
        Want::Missing(line) => Some(line),
        Want::Granted | Want::Unknown => None,
    };
    json!({"want": want, "granted": *found == Want::Granted, "line": line})
}

/// Says whether something that is wanted is granted, and by which line it would be.
fn want_line(want: &str, found: &Want) -> String {
    match found {
        Want::Granted => format!("{want}: granted"),
        Want::Missing(line) => format!("{want}: not granted; {line} would"),
        Want::Unknown => format!("{want}: this version knows no such grant"),
    }
}
