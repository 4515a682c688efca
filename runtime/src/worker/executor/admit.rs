//! Step b, admit: what is expired, early, lost too often or not ours is
//! refused before an attempt is spent.

use super::Attempt;
use super::leave::Left;
use crate::broker::{Delivery, Outgoing};
use crate::celery::Request;
use crate::policy::admission::{self, Admission, Facts, SHORT_WAIT};
use crate::policy::limits::outlasts;
use crate::registry::{Loaded, Resolution};
use crate::task::{Exception, TaskName};
use crate::worker::crew::Crew;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Our header that counts how often a message was handed on.
const FORWARDED: &str = "x-celeriac-forwarded";
/// How long a message waits when its code cannot be loaded just now.
const LOAD_PAUSE: Duration = Duration::from_secs(5);

/// Decides whether the request is run, and finds its code.
pub(super) async fn admit(
    crew: &Crew,
    delivery: Delivery,
    request: Request,
) -> Result<Attempt, Left> {
    if crew.orders.is_revoked(request.id.as_str()) {
        return Err(Left::revoked(delivery, request, revoked("revoked")));
    }
    let facts = Facts {
        now: crew.clock.now(),
        eta: request.eta,
        expires: request.expires,
        deliveries: delivery.deliveries,
        max_deliveries: crew.settings.max_deliveries,
    };
    match admission::admit(&facts) {
        Admission::Run => {}
        Admission::Expired(exception) => return Err(Left::revoked(delivery, request, exception)),
        Admission::NotDue(due) => wait(crew, &delivery, due, facts.now).await?,
        Admission::Lost { exception, reason } => {
            return Err(Left::refused(delivery, request, exception, reason));
        }
    }
    match code(crew, &request.task).await {
        Ok(Some(code)) => in_time(crew, Attempt::new(crew, delivery, request, code)),
        Ok(None) if let Some(onward) = forwarded(crew, &delivery) => {
            let (onward, delivery) = (Box::new(onward), Box::new(delivery));
            Err(Left::Forwarded { onward, delivery })
        }
        Ok(None) => {
            let exception = Exception::new(
                "celery.exceptions",
                "NotRegistered",
                not_registered(crew, &request.task),
            );
            let reason = format!("no task {:?} is registered here", request.task);
            Err(Left::refused(delivery, request, exception, reason))
        }
        Err(error) => {
            tracing::warn!(%error, task = request.task, "the task's code cannot be loaded; its message waits");
            Err(Left::parked(
                delivery,
                crate::clock::after(facts.now, LOAD_PAUSE),
            ))
        }
    }
}

/// What the caller of a revoked task sees.
pub(super) fn revoked(how: &str) -> Exception {
    Exception::new("celery.exceptions", "TaskRevokedError", how)
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
    if times > u64::from(crew.settings.max_deliveries) {
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
        Ok(ours) => format!("'{name}': {alias}{}", crew.resolver.missing(&ours)),
        Err(_) => format!("'{name}': {alias}tasks here are named MODULE.TASK, or have an alias"),
    }
}

/// Returns our own name of a task.
fn ours<'a>(crew: &'a Crew, name: &'a str) -> &'a str {
    crew.settings.aliases.get(name).map_or(name, String::as_str)
}

/// Finds the code of a task by its name or an alias of it.
async fn code(
    crew: &Crew,
    name: &str,
) -> Result<Option<Arc<Loaded>>, crate::registry::RegistryError> {
    let Ok(name) = ours(crew, name).parse::<TaskName>() else {
        return Ok(None);
    };
    match crew.resolver.resolve(&name).await? {
        Resolution::Known(code) => Ok(Some(code)),
        Resolution::Unknown => Ok(None),
    }
}
