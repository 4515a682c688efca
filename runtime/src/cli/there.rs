//! Tasks called, looked at, waited for and revoked through a control plane.
//!
//! What is told of a task is read into a [`Record`], so that it looks as it does on the
//! machine of a worker.

mod follow;
mod record;

use super::call::{self, When};
use super::exit::{Exit, Problem};
use super::screen::Screen;
use super::{result, revoke, show};
use crate::clock::Clock;
use crate::plane::{CallRequest, Called, RevokeRequest, TaskRevoked, TaskStatus};
use crate::remote::{Remote, RemoteError};
use crate::results::Record;
use crate::task::{TaskId, TenantName};
use follow::{Asked, follow};
use serde_json::json;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How often a call is sent again while the control plane is away: its key stands for one
/// call, however often it arrives.
const TRIES: u32 = 3;
/// The pause before each.
const PAUSE: Duration = Duration::from_secs(1);

/// Calls a task, and waits for it where that is wanted.
pub(crate) async fn call(
    (remote, tenant): (&Remote, &TenantName),
    args: &call::Args,
    timeout: Option<Duration>,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    if args.id.is_some() {
        let what = "--id names the task, and through a control plane that does";
        return Err(Problem::usage(what)
            .hint("leave --id out; the id is printed")
            .into());
    }
    let (positional, named) = call::arguments(args)?;
    let when = call::when(args, Clock::System.now())?;
    let When {
        countdown,
        eta,
        expires,
    } = when;
    let request = CallRequest {
        task: args.name.clone(),
        args: Some(RawValue::from_string(positional)?),
        kwargs: Some(RawValue::from_string(named)?),
        queue: args.queue.clone(),
        countdown_seconds: countdown.map(|span| span.as_secs_f64()),
        // The control plane counts by its own clock.
        eta: eta
            .filter(|_| countdown.is_none())
            .map(|eta| eta.to_string()),
        expires: expires.map(|end| end.to_string()),
        priority: args.priority,
        headers: None,
    };
    let called = send((remote, tenant), &request, screen).await?;
    let id = TaskId::parse(&called.id).map_err(|error| strange(&error))?;
    if args.wait {
        let waited = wait((remote, tenant), &id, (timeout, args.log), screen).await;
        // Whoever does not know that it was sent, sends it again.
        return waited.map_err(|error| {
            let text = format!("{error}; the task was sent as {id}");
            Problem::new(Exit::Unavailable, text)
                .hint(again(&id))
                .into()
        });
    }
    screen.document(&json!({
        "id": id.as_str(),
        "task": args.name,
        "queue": called.queue,
        "due": eta.map(|due| due.to_string()),
    }));
    screen.line(id.as_str());
    Ok(Exit::Done)
}

async fn send(
    (remote, tenant): (&Remote, &TenantName),
    request: &CallRequest,
    screen: &mut Screen,
) -> Result<Called, RemoteError> {
    let key = TaskId::random();
    let mut tries = 0;
    loop {
        let asked = remote.post(&["v1", "tenants", tenant.as_str(), "tasks"]);
        let asked = asked
            .header("idempotency-key", Some(key.as_str()))
            .json(request);
        match asked.document().await {
            Err(error) if error.passes() && tries < TRIES => {
                tries += 1;
                screen.note(&format!("{error}; trying again ({tries} of {TRIES})"));
                sleep(PAUSE).await;
            }
            called => return called,
        }
    }
}

/// Shows the state and result of a task.
pub(crate) async fn result(
    (remote, tenant): (&Remote, &TenantName),
    id: &TaskId,
    (log, wanted): (bool, Option<Option<Duration>>),
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    if let Some(timeout) = wanted {
        return wait((remote, tenant), id, (timeout, log), screen).await;
    }
    let record = status((remote, tenant), id).await?;
    Ok(result::shown(id, record.as_ref(), log, screen))
}

/// Waits until a task is over, showing how far it is.
async fn wait(
    whose: (&Remote, &TenantName),
    id: &TaskId,
    (timeout, log): (Option<Duration>, bool),
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let asked = Asked {
        remote: whose.0,
        tenant: whose.1,
        id,
    };
    let spinner = screen.spinner(format!("waiting for {id}"));
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let followed = async {
        match deadline {
            None => follow(&asked, &spinner).await.map(Some),
            Some(deadline) => match timeout_at(deadline, follow(&asked, &spinner)).await {
                Ok(ended) => ended.map(Some),
                Err(_) => Ok(None),
            },
        }
    };
    let ended = tokio::select! {
        ended = followed => ended,
        _ = tokio::signal::ctrl_c() => {
            drop(spinner);
            screen.note(&format!("the task goes on; {}", again(id)));
            return Ok(Exit::TimedOut);
        }
    };
    drop(spinner);
    let record = match ended? {
        Some(record) => Some(record),
        None => status(whose, id).await?,
    };
    match record {
        Some(record) if record.state.is_final() => {
            screen.document(&show::document(id.as_str(), Some(&record)));
            Ok(result::told(&record, log, screen))
        }
        record => Ok(result::unfinished(id, record.as_ref(), &again(id), screen)),
    }
}

fn again(id: &TaskId) -> String {
    format!("look again: celeriac result {id} --wait")
}

/// Asks what is known of a task; `None` is nothing yet.
async fn status(
    (remote, tenant): (&Remote, &TenantName),
    id: &TaskId,
) -> anyhow::Result<Option<Record>> {
    let asked = remote.get(&["v1", "tenants", tenant.as_str(), "tasks", id.as_str()]);
    let status: TaskStatus = asked.document().await?;
    Ok(record::of(status)?)
}

/// Revokes tasks.
pub(crate) async fn revoke(
    (remote, tenant): (&Remote, &TenantName),
    ids: &[TaskId],
    terminate: bool,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let mut documents = Vec::new();
    for id in ids {
        let tenant = tenant.as_str();
        let path = ["v1", "tenants", tenant, "tasks", id.as_str(), "revoke"];
        let asked = remote.post(&path).json(&RevokeRequest { terminate });
        let revoked: TaskRevoked = asked.document().await?;
        let words = revoke::words(&revoke::answer(revoked.state.as_deref()), terminate);
        screen.line(format!("{id}  {words}"));
        documents.push(json!({"id": id.as_str(), "state": revoked.state}));
    }
    screen.document(&json!({
        "revoked": documents,
        "stamps": [],
        "terminate": terminate,
        "told": true,
        "folder": null,
    }));
    Ok(Exit::Done)
}

fn strange(reason: &dyn std::fmt::Display) -> Problem {
    let text = format!("the control plane tells of a task what cannot be read: {reason}");
    Problem::new(Exit::Unavailable, text).hint("use a celeriac of the control plane's version")
}
