//! Changes that stand in the audit: each and its row are one transaction, so that none is
//! there without the other.

use super::digest::Digest;
use super::kills::Aim;
use super::rows::{Order, Pin, Pinned, Point, Pointed, Publish, Published, Put, Steer, Steered};
use super::store::Work;
use super::{Registry, RegistryError};
use crate::platform::audit::{self, Actor, Entry};
use crate::sql::Line;
use crate::task::{ModuleName, TenantName};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the audit is told of a change.
#[derive(Debug)]
pub(super) struct Change {
    /// What was done, such as `module.push`.
    action: &'static str,
    /// Whose it was; `None` where it is about all.
    tenant: Option<TenantName>,
    /// What was changed.
    subject: String,
    /// What it became.
    became: Option<Value>,
}

/// A change by somebody.
struct Noted<W> {
    work: W,
    actor: Arc<Actor>,
    now_ms: i64,
}

impl<W: Work> Work for Noted<W> {
    type Output = W::Output;

    async fn work(&self, line: &mut Line<'_>) -> Result<W::Output, sqlx::Error> {
        let output = self.work.work(line).await?;
        if let Some(change) = self.work.change(&output) {
            let entry = Entry {
                actor: &self.actor,
                action: change.action,
                tenant: change.tenant.as_ref(),
                subject: &change.subject,
                was: None,
                became: change.became,
            };
            for (sql, values) in audit::statements(self.now_ms, &entry) {
                line.execute(sql, values).await?;
            }
        }
        Ok(output)
    }

    fn wakes(&self) -> bool {
        self.work.wakes()
    }

    fn is_alone(&self) -> bool {
        self.work.is_alone()
    }
}

impl Registry {
    /// Returns the same registry for somebody whose changes stand in the audit.
    #[must_use]
    pub fn changed_by(&self, actor: Actor) -> Self {
        Self(Arc::clone(&self.0), Some(Arc::new(actor)))
    }

    /// Changes something, and writes it into the audit where it is known who does it.
    pub(super) async fn change<W: Work>(&self, work: W) -> Result<W::Output, RegistryError> {
        match &self.1 {
            None => self.store().write(work).await,
            Some(actor) => {
                let noted = Noted {
                    work,
                    actor: Arc::clone(actor),
                    now_ms: self.clock().now_ms(),
                };
                self.store().write(noted).await
            }
        }
    }
}

fn of(
    action: &'static str,
    (tenant, module): (&TenantName, &ModuleName),
    became: Option<Value>,
) -> Option<Change> {
    Some(Change {
        action,
        tenant: Some(tenant.clone()),
        subject: module.to_string(),
        became,
    })
}

/// A version that was published; one that was there, or only looked at, is no change.
pub(super) fn pushed(push: &Publish, published: &Published) -> Option<Change> {
    let Published::New { version, .. } = published else {
        return None;
    };
    let share = push.canary.map(|canary| canary.share.to_string());
    let breaks = push
        .breaks
        .as_deref()
        .map(serde_json::from_str::<Vec<Value>>);
    let breaks = breaks.and_then(Result::ok).map_or(0, |breaks| breaks.len());
    let became = json!({
        "version": version,
        "digest": shown(&push.digest),
        "release": push.release.as_ref().map(ToString::to_string),
        "canary": share,
        "breaks": breaks,
    });
    of("module.push", (&push.tenant, &push.module), Some(became))
}

pub(super) fn pointed(point: &Point, pointed: &Pointed) -> Option<Change> {
    let Pointed::To(moved) = pointed else {
        return None;
    };
    let became = json!({"from": moved.from, "version": moved.version});
    let module = (&point.tenant, &point.module);
    of("module.rollback", module, Some(became))
}

pub(super) fn removed(
    module: (&TenantName, &ModuleName),
    generation: Option<u64>,
) -> Option<Change> {
    generation.and_then(|_| of("module.remove", module, None))
}

pub(super) fn pinned(pin: &Pin, pinned: Pinned) -> Option<Change> {
    let Pinned::Current { version, .. } = pinned else {
        return None;
    };
    let became = json!({"version": version, "pinned": pin.version.is_some()});
    of("module.pin", (&pin.tenant, &pin.module), Some(became))
}

pub(super) fn steered(steer: &Steer, steered: Option<Steered>) -> Option<Change> {
    let (order, share) = match &steer.order {
        Order::To(share) => ("to", Some(share.to_string())),
        Order::Promote => ("promote", None),
        Order::Abort(_) => ("abort", None),
    };
    let version = steered?.version;
    let became = json!({"version": version, "order": order, "share": share});
    of(
        "module.canary",
        (&steer.tenant, &steer.module),
        Some(became),
    )
}

pub(super) fn killed(put: &Put, number: Option<u64>) -> Option<Change> {
    let kind = put.aim.kind();
    let became = json!({"kind": kind, "reason": put.reason, "hold": put.hold});
    number.map(|_| kill("kill.create", &put.aim, became))
}

pub(super) fn allowed(aim: &Aim, number: Option<u64>) -> Option<Change> {
    number.map(|_| kill("kill.end", aim, json!({"kind": aim.kind()})))
}

fn kill(action: &'static str, aim: &Aim, became: Value) -> Change {
    Change {
        action,
        tenant: aim.tenant().cloned(),
        subject: aim.name(),
        became: Some(became),
    }
}

fn shown(digest: &Digest) -> String {
    format!("sha256:{}", digest.hex())
}
