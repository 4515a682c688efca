//! Pushes, here or there.

use super::modules::path;
use super::{Place, Whose, read};
use crate::cli::exit::Problem;
use crate::cli::modules::LIVE;
use crate::cli::screen::{Screen, Spinner};
use crate::plane;
use crate::registry::{LiveReport, PushStep, Pushed, Wishes};
use crate::remote::Remote;
use crate::telemetry::human;
use bytes::Bytes;
use celeriac_sandbox::Want;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest time for a push through a control plane (15 min): the upload itself, and the
/// compiler, which others may keep busy.
const PUSH: Duration = Duration::from_secs(15 * 60);

/// A component that was taken in.
pub(crate) struct Taken {
    /// What it is.
    pub(crate) pushed: Pushed,
    /// Where it runs already; `None` after a dry run.
    pub(crate) live: Option<LiveReport>,
    /// All that is granted to its tasks.
    pub(crate) reach: Vec<String>,
    /// What its tasks want, and whether they have it.
    pub(crate) wants: BTreeMap<String, Want>,
}

impl Place {
    /// Takes a component in as the newest version of a module.
    pub(crate) async fn push(
        &self,
        whose: Whose<'_>,
        (component, wishes): (Bytes, &Wishes),
        screen: &Screen,
    ) -> anyhow::Result<Taken> {
        let app = match self {
            Self::Here(app) => app,
            Self::There(remote) => return sent(remote, whose, (component, wishes), screen).await,
        };
        let (tenant, name) = whose;
        let spinner = screen.spinner("opening the registry");
        let registry = app.registry().await?;
        let mut tell = |step| told(&spinner, &step);
        let pushed = registry
            .push_as(tenant, name, component, wishes, &mut tell)
            .await?;
        let live = match wishes.dry {
            true => None,
            false => Some(registry.wait_live(pushed.generation, LIVE).await?),
        };
        let module = pushed.module.as_str();
        Ok(Taken {
            reach: app.reach(tenant, module, &pushed.tasks),
            wants: app.wants(tenant, module, &pushed.tasks),
            pushed,
            live,
        })
    }
}

async fn sent(
    remote: &Remote,
    whose: Whose<'_>,
    (component, wishes): (Bytes, &Wishes),
    screen: &Screen,
) -> anyhow::Result<Taken> {
    let size = human::size(component.len() as u64);
    let _spinner = screen.spinner(format!("pushing {size} to {}", remote.url()));
    let canary = wishes.canary.as_ref();
    let asked = remote
        .put(&path(whose, &[]))
        .query("version", wishes.release.as_ref())
        .switch("allow_older", wishes.older)
        .switch("breaking", wishes.breaking)
        .query("canary", canary.map(|(share, _)| share))
        .query("canary_runs", canary.map(|(_, rule)| rule.runs))
        .query("canary_points", canary.map(|(_, rule)| rule.points))
        .switch("dry_run", wishes.dry)
        .component(component)
        .within(PUSH);
    let told: plane::Pushed = asked.document().await?;
    Ok(taken(told, wishes.dry)?)
}

fn taken(told: plane::Pushed, dry: bool) -> Result<Taken, Problem> {
    let wants = told.wants.into_iter().map(|view| {
        let found = match (view.granted, view.line) {
            (true, _) => Want::Granted,
            (false, Some(line)) => Want::Missing(line),
            (false, None) => Want::Unknown,
        };
        (view.want, found)
    });
    Ok(Taken {
        live: (!dry).then(|| read::live(told.live)),
        reach: told.can_reach,
        wants: wants.collect(),
        pushed: Pushed {
            module: read::parsed("module", &told.module)?,
            version: told.version,
            release: read::maybe("version", told.release.as_deref())?,
            runs: told.runs,
            before: told.before.map(read::before).transpose()?,
            changes: read::same("change", &told.changes)?,
            breaks: read::same("break", &told.breaks)?,
            digest: read::parsed("digest", &told.digest)?,
            bytes: told.bytes,
            tasks: read::same("task", &told.tasks)?,
            asks_for: told.asks_for,
            imports: told.imports,
            unchanged: told.unchanged,
            // It was waited for there.
            generation: 0,
        },
    })
}

fn told(spinner: &Spinner, step: &PushStep) {
    match step {
        PushStep::Checked { bytes, .. } => spinner.say(format!("checked {}", human::size(*bytes))),
        PushStep::Compiling => spinner.say("compiling"),
        PushStep::Compiled { bytes, .. } => {
            spinner.say(format!("compiled, {} of native code", human::size(*bytes)));
        }
        PushStep::Described { tasks } => spinner.say(human::count(*tasks as u64, "task")),
        PushStep::Published => spinner.say("waiting for running workers"),
    }
}
