//! `celeriac modules`, `rollback` and `remove`.

use super::canary;
use super::exit::{Exit, Problem};
use super::kill;
use super::options::Options;
use super::place::{Place, Whose};
use super::screen::Screen;
use super::show;
use crate::registry::{CanaryState, LiveReport, ModuleInfo, RegistryError};
use crate::task::{ModuleName, Release, TenantName, Wanted};
use crate::telemetry::human;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a change waits for running workers to have it (20 s): those that follow from
/// elsewhere compile it themselves.
pub(crate) const LIVE: Duration = Duration::from_secs(20);

/// The document of `--json`, for `--help`.
pub(crate) const LIST_JSON: &str = "JSON: {\"modules\": [{\"name\", \"version\", \"release\", \"pinned\", \"canary\", \"digest\", \"bytes\", \"pushed_at\", \"tasks\", \
    \"imports\"}], \"killed\": [KILL]} with KILL as `celeriac kill` has it, or {\"name\", \"versions\": [{\"version\", \"release\", \"breaks\", \"digest\", \"bytes\", \"pushed_at\", \
    \"tasks\", \"current\"}]}.";

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Show the versions of this module
    name: Option<String>,
}

/// The document of `--json`, for `--help`.
pub(crate) const ROLLBACK_JSON: &str = "JSON: {\"module\", \"from\", \"version\", \"digest\", \"live\": {\"workers\", \"live\", \"after_ms\"}}.";

#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// The module
    name: String,
    /// The version to run, by its number or its name, as in 3 or 1.4.0 [default: the one before the current]
    version: Option<Wanted>,
    /// The version to run, in other words
    #[arg(long, value_name = "VERSION", conflicts_with = "version")]
    to: Option<Wanted>,
}

/// The document of `--json`, for `--help`.
pub(crate) const REMOVE_JSON: &str =
    "JSON: {\"module\", \"live\": {\"workers\", \"live\", \"after_ms\"}}.";

#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// The module
    name: String,
}

/// Reads the name of a module.
pub(crate) fn module_name(text: &str) -> Result<ModuleName, Problem> {
    text.parse()
        .map_err(|error| Problem::usage(format!("{error}")))
}

/// Splits what is wrong with a module's name from what to do about it.
pub(crate) fn named(command: &str, error: RegistryError) -> anyhow::Error {
    let RegistryError::UnknownModule { module, similar } = error else {
        return error.into();
    };
    let hint = match similar {
        Some(name) => format!("did you mean `celeriac {command} {name}`?"),
        None => "`celeriac modules` lists those there are".to_owned(),
    };
    let what = format!("there is no module {:?}", module.as_str());
    Problem::new(Exit::NotFound, what).hint(hint).into()
}

pub(crate) fn live_json(live: &LiveReport) -> Value {
    let after = u64::try_from(live.after.as_millis()).unwrap_or(u64::MAX);
    json!({"workers": live.workers, "live": live.live, "after_ms": after})
}

/// Lists modules, or the versions of one.
pub(crate) async fn list(
    args: ListArgs,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let name = args.name.as_deref().map(module_name).transpose()?;
    let place = options.place().await?;
    let listed = match name {
        None => all(&place, &options.tenant(), screen).await,
        Some(name) => versions(&place, (&options.tenant(), &name), screen).await,
    };
    place.close().await;
    listed
}

async fn all(place: &Place, tenant: &TenantName, screen: &mut Screen) -> anyhow::Result<Exit> {
    let modules = place.modules(tenant).await?;
    let documents: Vec<_> = modules
        .iter()
        .map(|module| {
            json!({
                "name": module.name.as_str(),
                "version": module.version,
                "release": module.release.as_ref().map(ToString::to_string),
                "pinned": module.pinned,
                "canary": module.canary.as_ref().map(canary::document),
                "digest": format!("sha256:{}", module.digest.hex()),
                "bytes": module.bytes,
                "pushed_at": module.pushed_at.to_string(),
                "tasks": module.tasks,
                "imports": module.imports,
            })
        })
        .collect();
    let kills = place.kills_of(tenant).await?;
    let killed: Vec<_> = kills.iter().map(kill::document).collect();
    screen.document(&json!({"modules": documents, "killed": killed}));
    if modules.is_empty() {
        screen.line("no modules yet: celeriac push FILE --name NAME");
        return Ok(Exit::Done);
    }
    let now = place.now();
    let rows = modules.iter().map(|module| {
        vec![
            module.name.to_string(),
            running(module),
            show::digest(&module.digest),
            human::size(module.bytes),
            show::ago(now, module.pushed_at),
            show::task_names(&module.tasks),
        ]
    });
    screen.table(
        &["module", "version", "component", "size", "pushed", "tasks"],
        rows.collect(),
    );
    for (name, canary) in modules
        .iter()
        .filter_map(|module| Some((&module.name, module.canary.as_ref()?)))
    {
        if canary.state != CanaryState::Promoted {
            screen.line(format!("{name}: {}", canary::line(canary)));
        }
    }
    for kill in &kills {
        screen.line(format!("{kill} (undo: {})", kill.aim.undo()));
    }
    Ok(Exit::Done)
}

/// Shows the version of a module that runs.
fn running(module: &ModuleInfo) -> String {
    let version = numbered(module.version, module.release.as_ref());
    match module.pinned {
        true => format!("{version} pinned"),
        false => version,
    }
}

/// Shows a version by its number and its name.
pub(crate) fn numbered(version: u32, release: Option<&Release>) -> String {
    match release {
        Some(release) => format!("{version} ({release})"),
        None => version.to_string(),
    }
}

async fn versions(
    place: &Place,
    (tenant, name): Whose<'_>,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let versions = place.versions((tenant, name)).await?;
    let documents: Vec<_> = versions
        .iter()
        .map(|version| {
            json!({
                "version": version.version,
                "release": version.release.as_ref().map(ToString::to_string),
                "breaks": version.breaks,
                "digest": format!("sha256:{}", version.digest.hex()),
                "bytes": version.bytes,
                "pushed_at": version.pushed_at.to_string(),
                "tasks": version.tasks,
                "current": version.current,
            })
        })
        .collect();
    screen.document(&json!({"name": name.as_str(), "versions": documents}));
    let now = place.now();
    let rows = versions.iter().map(|version| {
        vec![
            numbered(version.version, version.release.as_ref()),
            if version.current {
                "runs".to_owned()
            } else {
                String::new()
            },
            show::digest(&version.digest),
            human::size(version.bytes),
            show::ago(now, version.pushed_at),
            show::task_names(&version.tasks),
        ]
    });
    screen.table(
        &["version", "", "component", "size", "pushed", "tasks"],
        rows.collect(),
    );
    if let Some(current) = versions.iter().find(|version| version.current) {
        show::tasks(screen, name, &current.tasks);
    }
    Ok(Exit::Done)
}

/// Makes an earlier version the current one.
pub(crate) async fn rollback(
    args: RollbackArgs,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let name = module_name(&args.name)?;
    let place = options.place().await?;
    let (tenant, version) = (options.tenant(), args.version.or(args.to));
    let moved = place.rollback((&tenant, &name), version.as_ref()).await;
    place.close().await;
    let moved = moved?;
    screen.document(&json!({
        "module": name.as_str(),
        "from": moved.from,
        "version": moved.version,
        "digest": format!("sha256:{}", moved.digest.hex()),
        "live": live_json(&moved.live),
    }));
    screen.line(format!(
        "{name} {}  {}  was {}",
        moved.version,
        show::digest(&moved.digest),
        moved.from
    ));
    screen.line(moved.live.to_string());
    Ok(Exit::Done)
}

/// Takes a module away.
pub(crate) async fn remove(
    args: RemoveArgs,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let name = module_name(&args.name)?;
    let place = options.place().await?;
    let removed = place.remove((&options.tenant(), &name)).await;
    place.close().await;
    let live = removed?;
    screen.document(&json!({"module": name.as_str(), "live": live_json(&live)}));
    screen.line(format!(
        "{name} removed; calls of its tasks fail from now on"
    ));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::classify;

    #[test]
    fn a_name_that_is_nearly_right_is_put_into_the_command() {
        let error = RegistryError::UnknownModule {
            module: "imagse".parse().unwrap(),
            similar: Some("images".to_owned()),
        };
        let error = named("rollback", error);
        assert_eq!(error.to_string(), "there is no module \"imagse\"");
        let hint = "did you mean `celeriac rollback images`?".to_owned();
        assert_eq!(classify(&error), (Exit::NotFound, Some(hint)));
    }
}
