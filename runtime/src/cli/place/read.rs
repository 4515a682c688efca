//! The words of a control plane, read into the types that commands work with.

use crate::cli::exit::{Exit, Problem};
use crate::plane::{
    BeforeView, CanaryView, KillKind, KillView, Live, ModuleView, TenantView, TokenView,
    VersionView,
};
use crate::platform::{Tenant, Token};
use crate::registry::{
    Aim, Before, CanaryInfo, CanaryState, Ends, Kill, LiveReport, ModuleInfo, Rule, VersionInfo,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// Reads a text; `what` is what it should be.
pub(super) fn parsed<T: FromStr>(what: &'static str, text: &str) -> Result<T, Problem>
where
    T::Err: Display,
{
    text.parse()
        .map_err(|error: T::Err| strange(what, &error.to_string()))
}

/// Reads a text that may be missing.
pub(super) fn maybe<T: FromStr>(
    what: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, Problem>
where
    T::Err: Display,
{
    text.map(|text| parsed(what, text)).transpose()
}

/// Reads what is written the same in both.
pub(super) fn same<T: DeserializeOwned>(
    what: &'static str,
    view: &(impl Serialize + ?Sized),
) -> Result<T, Problem> {
    let text = serde_json::to_value(view);
    let read = text.and_then(serde_json::from_value);
    read.map_err(|error| strange(what, &error.to_string()))
}

fn strange(what: &'static str, reason: &str) -> Problem {
    let text = format!("the control plane tells a {what} that cannot be read: {reason}");
    Problem::new(Exit::Unavailable, text).hint("use a celeriac of the control plane's version")
}

pub(super) fn live(live: Live) -> LiveReport {
    LiveReport {
        workers: live.workers,
        live: live.live,
        after: Duration::from_millis(live.after_ms),
    }
}

pub(super) fn module(view: ModuleView) -> Result<ModuleInfo, Problem> {
    Ok(ModuleInfo {
        name: parsed("module", &view.name)?,
        version: view.version,
        release: maybe("version", view.release.as_deref())?,
        pinned: view.pinned,
        canary: view.canary.map(canary).transpose()?,
        digest: parsed("digest", &view.digest)?,
        bytes: view.bytes,
        pushed_at: parsed("moment", &view.pushed_at)?,
        tasks: same("task", &view.tasks)?,
        imports: view.imports,
    })
}

pub(super) fn version(view: VersionView) -> Result<VersionInfo, Problem> {
    Ok(VersionInfo {
        version: view.version,
        release: maybe("version", view.release.as_deref())?,
        breaks: same("break", &view.breaks)?,
        digest: parsed("digest", &view.digest)?,
        bytes: view.bytes,
        pushed_at: parsed("moment", &view.pushed_at)?,
        tasks: same("task", &view.tasks)?,
        current: view.current,
    })
}

pub(super) fn before(view: BeforeView) -> Result<Before, Problem> {
    Ok(Before {
        version: view.version,
        release: maybe("version", view.release.as_deref())?,
        bytes: view.bytes,
    })
}

pub(super) fn canary(view: CanaryView) -> Result<CanaryInfo, Problem> {
    let state = CanaryState::read(&view.state);
    Ok(CanaryInfo {
        version: view.version,
        share: parsed("share", &view.share)?,
        state: state.ok_or_else(|| strange("state of a canary", &view.state))?,
        reason: view.reason,
        began_at: parsed("moment", &view.began_at)?,
        // Nobody is told when it is judged.
        rule: Rule::default(),
        canary: Ends {
            ended: view.canary.ended,
            failed: view.canary.failed,
        },
        current: Ends {
            ended: view.current.ended,
            failed: view.current.failed,
        },
    })
}

pub(super) fn kill(view: KillView) -> Result<Kill, Problem> {
    let whose = || strange("kill", "it does not say whose");
    let name = view.name.as_str();
    let aim = match (view.kind, view.tenant) {
        (KillKind::Digest, _) => Aim::Digest(parsed("digest", name)?),
        (_, None) => return Err(whose()),
        (KillKind::Task, Some(tenant)) => Aim::Task(tenant, parsed("task", name)?),
        (KillKind::Module, Some(tenant)) => Aim::Module(tenant, parsed("module", name)?),
        (KillKind::Tenant, Some(tenant)) => Aim::Tenant(tenant),
    };
    Ok(Kill {
        aim,
        reason: view.reason,
        hold: view.hold,
        killed_at: parsed("moment", &view.killed_at)?,
    })
}

pub(super) fn tenant(view: TenantView) -> Result<Tenant, Problem> {
    Ok(Tenant {
        name: view.name,
        created_at: parsed("moment", &view.created_at)?,
        suspended: view.suspended,
        weight: view.weight,
        quota: view.quota,
        ceiling: view.ceiling,
        may: view.may,
        broker: view.broker,
        result_backend: view.result_backend,
    })
}

pub(super) fn token(view: TokenView) -> Result<Token, Problem> {
    Ok(Token {
        id: parsed("id of a token", &view.id)?,
        name: view.name,
        scope: view.scope,
        tenant: view.tenant,
        created_at: parsed("moment", &view.created_at)?,
        expires_at: maybe("moment", view.expires_at.as_deref())?,
        used_at: maybe("moment", view.used_at.as_deref())?,
    })
}
