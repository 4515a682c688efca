//! Step b, admit: what is expired, killed, early, lost too often or not ours is
//! refused before an attempt is spent.

use super::Attempt;
use super::batch::Batch;
use super::decode::decode;
use super::leave::Left;
use super::record;
use super::tell;
use crate::broker::{Delivery, Outgoing};
use crate::celery::{Malformed, Request};
use crate::clock::after;
use crate::defence::{Defence, stands};
use crate::policy::admission::{self, Admission, Facts, SHORT_WAIT};
use crate::policy::limits::outlasts;
use crate::registry::{Kill, Loaded, RegistryError, Resolution};
use crate::task::{Exception, TaskId, TaskName, Turn};
use crate::worker::builtins;
use crate::worker::crew::Crew;
use crate::worker::revocations::{Watched, revoked};
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Our header that counts how often a message was handed on.
const FORWARDED: &str = "x-celeriac-forwarded";
/// What a client sends where chunks are a part of something and no group.
const CHUNKS: &str = "celery.chunks";
/// How long a message waits when its code cannot be loaded just now.
const LOAD_PAUSE: Duration = Duration::from_secs(5);

/// Decides whether the request is run, and finds its code. Nothing goes back to wait, or
/// elsewhere, that was revoked meanwhile: its caller would hear of it as late as it is taken.
pub(super) async fn admit(
    crew: &Crew,
    delivery: Delivery,
    request: Request,
    watched: &Watched,
) -> Result<Attempt, Left> {
    let done = admitted(crew, delivery, request, watched).await;
    let goes_on = done.as_ref().is_err_and(Left::goes_on);
    match done {
        Err(Left::Settled { delivery, .. } | Left::Forwarded { delivery, .. })
            if goes_on && watched.lets_go() =>
        {
            let (delivery, request) = decode(crew, *delivery).await?;
            Err(Left::revoked(delivery, request, revoked()))
        }
        done => done,
    }
}

async fn admitted(
    crew: &Crew,
    delivery: Delivery,
    request: Request,
    watched: &Watched,
) -> Result<Attempt, Left> {
    let facts = Facts {
        now: crew.clock.now(),
        eta: request.eta,
        expires: request.expires,
        revoked: watched.is_revoked(),
        deliveries: delivery.deliveries,
        max_deliveries: crew.settings.max_deliveries,
    };
    match admission::admit(&facts) {
        Admission::Run => {}
        Admission::Expired(exception) => return Err(Left::revoked(delivery, request, exception)),
        Admission::Revoked => return Err(Left::revoked(delivery, request, revoked())),
        Admission::NotDue(due) => wait(crew, &delivery, due, facts.now).await?,
        Admission::Lost { exception, reason } => {
            return Err(Left::refused(delivery, request, exception, reason));
        }
    }
    if let Some(work) = builtins::find(crew, &request.task) {
        tell::received(crew, &delivery, &request);
        return Err(Left::BuiltIn {
            delivery: Box::new(delivery),
            request: Box::new(request),
            work,
        });
    }
    let batch = match batch(crew, &request) {
        Ok(batch) => batch,
        Err(exception) => {
            let reason = format!("{:?} cannot be read: {}", request.task, exception.message);
            return Err(Left::refused(delivery, request, exception, reason));
        }
    };
    let task = batch.as_ref().map_or(&request.task, |batch| &batch.task);
    if let Some(kill) = killed(crew, task) {
        return Err(stopped(crew, delivery, request, &kill).await);
    }
    let code = code(crew, task, Some(&request.id)).await;
    if !matches!(code, Ok(Some(_))) {
        over(crew, &delivery, &request).await?;
    }
    match code {
        Ok(Some(code)) => {
            let attempt = Attempt {
                batch: batch.map(Arc::new),
                ..Attempt::new(crew, delivery, request, code)
            };
            its_turn(crew, in_time(crew, attempt)?, watched).await
        }
        Ok(None) if let Some(onward) = forwarded(crew, &delivery) => {
            let (onward, delivery) = (Box::new(onward), Box::new(delivery));
            Err(Left::Forwarded { onward, delivery })
        }
        Ok(None) => {
            let exception = Exception::new(
                "celery.exceptions",
                "NotRegistered",
                not_registered(crew, task),
            );
            let reason = format!("no task {task:?} is registered here");
            Err(Left::refused(delivery, request, exception, reason))
        }
        Err(error) => {
            let task = task.clone();
            Err(unloaded(crew, delivery, request, &task, &error))
        }
    }
}

/// Refuses or holds a task that must not run. What follows from a run that is over is not
/// held.
async fn stopped(crew: &Crew, delivery: Delivery, request: Request, kill: &Kill) -> Left {
    let over = match kill.hold {
        true => over(crew, &delivery, &request).await,
        false => Ok(()),
    };
    match over {
        Ok(()) => Left::killed(crew, delivery, request, kill),
        Err(over) => over,
    }
}

/// Tells whether a task must not run, before anything of it is loaded.
pub(super) fn killed(crew: &Crew, task: &str) -> Option<Arc<Kill>> {
    let name = ours(crew, task).parse::<TaskName>().ok()?;
    crew.resolver.killed(&crew.settings.tenant, &name)
}

/// Lets a message wait for code that cannot be loaded just now, while that may change.
fn unloaded(
    crew: &Crew,
    delivery: Delivery,
    request: Request,
    task: &str,
    error: &RegistryError,
) -> Left {
    let Err(given_up) = may_wait(crew, task, error) else {
        return waits(crew, delivery);
    };
    let Malformed {
        exception, reason, ..
    } = given_up;
    Left::refused(delivery, request, exception, reason)
}

/// Has a message wait whose code cannot be loaded just now.
pub(super) fn waits(crew: &Crew, delivery: Delivery) -> Left {
    Left::parked(delivery, after(crew.clock.now(), LOAD_PAUSE))
}

/// Says why a message waits no longer for code that cannot be loaded: only a push mends
/// some of it, and nobody came with one for so long.
pub(super) fn may_wait(crew: &Crew, task: &str, error: &RegistryError) -> Result<(), Malformed> {
    let (now, patience) = (crew.clock.now(), crew.settings.repair_time);
    let trouble = ours(crew, task).parse::<TaskName>().ok();
    let tenant = &crew.settings.tenant;
    let trouble = trouble.map(|name| crew.resolver.trouble(tenant, &name, error));
    if trouble.is_none_or(|trouble| trouble.is_news) {
        tracing::warn!(%error, task, "the task's code cannot be loaded; its messages wait");
    }
    let since = trouble.and_then(|trouble| trouble.since);
    if since.is_none_or(|since| now < after(since, patience)) {
        return Ok(());
    }
    let reason = format!(
        "the code of {task} cannot be loaded, and nobody mended it for {} s: {error}",
        patience.as_secs()
    );
    Err(Malformed {
        exception: Exception::new("celery.exceptions", "ImproperlyConfigured", reason.clone()),
        reason,
        caller: None,
    })
}

/// Leaves with the end of a run before, if there may be one: what follows it needs no code.
async fn over(crew: &Crew, delivery: &Delivery, request: &Request) -> Result<(), Left> {
    match request.again || !record::fence(delivery, request).is_first() {
        true => record::look(crew, delivery, request).await,
        false => Ok(()),
    }
}

/// Reads what `celery.map` and `celery.starmap` call, unless the configuration says that
/// they are other tasks.
fn batch(crew: &Crew, request: &Request) -> Result<Option<Batch>, Exception> {
    match crew.settings.aliases.contains_key(&request.task) {
        true => Ok(None),
        false => Batch::read(request).transpose(),
    }
}

/// Refuses what may run longer than the broker lets its message be held: it would
/// run again and again.
fn in_time(crew: &Crew, attempt: Attempt) -> Result<Attempt, Left> {
    let longest = crew.broker.profile().longest;
    let Some(reason) = outlasts(attempt.limits.wall, longest) else {
        return Ok(attempt);
    };
    let exception = Exception::new(
        "celery.exceptions",
        "ImproperlyConfigured",
        format!("{}: {reason}", attempt.whose),
    );
    let Attempt {
        delivery, request, ..
    } = attempt;
    Err(Left::refused(delivery, request, exception, reason))
}

/// Waits until the rate of the task lets it start, in the broker where that takes long;
/// who was revoked meanwhile does not.
async fn its_turn(crew: &Crew, attempt: Attempt, watched: &Watched) -> Result<Attempt, Left> {
    let parked = |until| Left::parked(attempt.delivery.clone(), until);
    let task = ours(crew, &attempt.request.task);
    let at = match crew.steering.rates.turn(task, &attempt.request.id).await {
        Ok(Some(Turn::Start(at))) => Some(at),
        Ok(Some(Turn::Return(until))) => return Err(parked(until)),
        Ok(None) => None,
        Err(error) => {
            tracing::warn!(%error, task, "the rate of the task is not known; its message waits");
            return Err(parked(after(crew.clock.now(), LOAD_PAUSE)));
        }
    };
    if let Some(at) = at {
        tokio::select! {
            () = crew.clock.sleep_until(at) => {}
            () = crew.shutdown.stopping() => return Err(parked(at)),
        }
    }
    let attempt = Attempt {
        started: crew.clock.now(),
        ..attempt
    };
    if watched.is_revoked() {
        return Err(Left::revoked(attempt.delivery, attempt.request, revoked()));
    }
    if let Some(kill) = attempt.guard.killed() {
        let Attempt {
            delivery, request, ..
        } = attempt;
        return Err(Left::killed(crew, delivery, request, &kill));
    }
    Ok(attempt)
}

/// Waits a moment here, or longer in the broker, where it costs nothing.
async fn wait(
    crew: &Crew,
    delivery: &Delivery,
    due: Timestamp,
    now: Timestamp,
) -> Result<(), Left> {
    let span = Duration::try_from(due.duration_since(now)).unwrap_or(Duration::ZERO);
    if span >= SHORT_WAIT {
        return Err(Left::parked(delivery.clone(), due));
    }
    tokio::select! {
        () = tokio::time::sleep(span) => Ok(()),
        () = crew.shutdown.stopping() => Err(Left::parked(delivery.clone(), due)),
    }
}

/// The message for the queue of those who may know the task, unless it was
/// handed on so often that nobody does. Only the count is added to it.
fn forwarded(crew: &Crew, delivery: &Delivery) -> Option<Outgoing> {
    let queue = crew.settings.forward.clone()?;
    let mut message = delivery.message.clone();
    let times = message.headers.get(FORWARDED).and_then(Value::as_u64);
    let times = times.unwrap_or(0).saturating_add(1);
    if times > u64::from(crew.settings.max_deliveries) && stands(Defence::Forwarding) {
        return None;
    }
    message.headers.insert(FORWARDED.to_owned(), times.into());
    Some(Outgoing {
        queue,
        message,
        due: None,
        key: None,
    })
}

/// Says as Celery does which task is not there, and then what there is.
fn not_registered(crew: &Crew, name: &str) -> String {
    let ours = ours(crew, name);
    let alias = match ours == name {
        true => String::new(),
        false => format!("an alias of {ours}: "),
    };
    match ours.parse::<TaskName>() {
        // In Celery it answers with the ids of its parts, and nothing can follow it.
        _ if ours == CHUNKS => format!("'{name}': send what chunks(...).group() returns"),
        Ok(ours) => {
            let missing = crew.resolver.missing(&crew.settings.tenant, &ours);
            format!("'{name}': {alias}{missing}")
        }
        Err(_) => format!("'{name}': {alias}tasks here are named MODULE.TASK, or have an alias"),
    }
}

/// Returns our own name of a task.
fn ours<'a>(crew: &'a Crew, name: &'a str) -> &'a str {
    crew.settings.aliases.get(name).map_or(name, String::as_str)
}

/// Finds the code of a task of the crew's tenant by its name or an alias of it.
pub(super) async fn code(
    crew: &Crew,
    name: &str,
    id: Option<&TaskId>,
) -> Result<Option<Arc<Loaded>>, RegistryError> {
    let Ok(name) = ours(crew, name).parse::<TaskName>() else {
        return Ok(None);
    };
    let (resolver, tenant) = (&crew.resolver, &crew.settings.tenant);
    let found = match id {
        Some(id) => resolver.resolve_for(tenant, &name, id).await?,
        None => resolver.resolve(tenant, &name).await?,
    };
    match found {
        Resolution::Known(code) => Ok(Some(code)),
        Resolution::Unknown => Ok(None),
    }
}
