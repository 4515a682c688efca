//! The messages of what follows.

use crate::broker::Outgoing;
use crate::celery::Request;
use crate::celery::body::is_plain;
use crate::celery::request::Sent;
use crate::clock::after;
use crate::policy::canvas::{Send, When};
use crate::policy::route;
use crate::task::{Format, TaskId};
use crate::worker::crew::Crew;
use crate::worker::executor::leave::Left;
use crate::worker::executor::record;
use crate::worker::executor::submitted::SUBMITS_LEFT;
use jiff::Timestamp;
use serde_json::Value;

/// Messages that are written and published at a time: a large group is never in memory
/// as a whole.
const PAGE: usize = 100;

/// What all messages of a plan have in common.
#[derive(Debug)]
pub(super) struct How {
    pub(super) again: bool,
    pub(super) budget: Option<Value>,
}

/// Sends tasks, a page at a time.
pub(super) async fn publish(crew: &Crew, sends: &[Send], how: &How) -> Result<(), Left> {
    for page in sends.chunks(PAGE) {
        let now = crew.clock.now();
        let messages = page
            .iter()
            .filter_map(|send| outgoing(crew, send, now, how));
        let messages: Vec<Outgoing> = messages.collect();
        if !messages.is_empty() {
            record::publish(crew, messages).await?;
        }
    }
    Ok(())
}

/// Writes the message of a task; `None` where its id cannot be one.
fn outgoing(crew: &Crew, send: &Send, now: Timestamp, how: &How) -> Option<Outgoing> {
    let id = TaskId::parse(&send.id).ok()?;
    Some(how.write(crew, &sent(crew, send, &id, now), send, now))
}

/// Writes the message of a task, and returns it with what a worker would read from it;
/// `None` where it would refuse that.
pub(super) fn readable(
    crew: &Crew,
    send: &Send,
    now: Timestamp,
    how: &How,
) -> Option<(Outgoing, Request)> {
    let id = TaskId::parse(&send.id).ok()?;
    let sent = sent(crew, send, &id, now);
    let outgoing = how.write(crew, &sent, send, now);
    let accepted = crew.settings.accept.formats().contains(&Format::Json);
    let is_read = accepted && is_plain(&outgoing.message);
    let request = sent.request(&outgoing.message).ok().filter(|_| is_read)?;
    Some((outgoing, request))
}

/// Tells whether a task goes to a queue of which this worker takes messages.
pub(super) fn comes_here(crew: &Crew, send: &Send) -> bool {
    let queue = queue(crew, send);
    let queues = crew.steering.queues.follow();
    let queues = queues.borrow();
    queues.iter().any(|one| one == queue)
}

fn queue<'a>(crew: &'a Crew, send: &'a Send) -> &'a str {
    let routed = || route::queue(&crew.settings.routes, &send.task);
    send.options.queue.as_deref().unwrap_or_else(routed)
}

fn sent<'a>(crew: &Crew, send: &'a Send, id: &'a TaskId, now: Timestamp) -> Sent<'a> {
    let options = &send.options;
    let at = |when: When| match when {
        When::At(at) => at,
        When::In(span) => after(now, span),
    };
    let zero_first = crew.broker.profile().zero_first;
    Sent {
        id,
        task: &send.task,
        before: &send.before,
        args: &send.args,
        kwargs: &send.kwargs,
        root: &send.root,
        parent: &send.parent,
        group: send.group.as_deref(),
        group_index: send.group_index,
        eta: options.eta.map(at),
        expires: options.expires.map(at),
        time_limit: options.time_limit,
        shadow: options.shadow.as_deref(),
        headers: &options.headers,
        stamps: &options.stamps,
        ignore_result: options.ignore_result,
        argsrepr: options.argsrepr.as_deref(),
        kwargsrepr: options.kwargsrepr.as_deref(),
        reply_to: options.reply_to.as_deref(),
        priority: options.priority.map(|priority| match zero_first {
            true => 9 - priority.min(9),
            false => priority,
        }),
        replaced_task_nesting: options.replaced_task_nesting,
        retries: options.retries,
        callbacks: &send.callbacks,
        errbacks: &send.errbacks,
        chain: &send.chain,
        chord: send.chord.as_ref(),
    }
}

impl How {
    fn write(&self, crew: &Crew, sent: &Sent<'_>, send: &Send, now: Timestamp) -> Outgoing {
        let mut message = sent.message(&crew.settings.name);
        if let Some(budget) = &self.budget {
            let budget = budget.clone();
            message.headers.insert(SUBMITS_LEFT.to_owned(), budget);
        }
        if self.again {
            record::mark(&mut message);
        }
        let parks_apart = crew.broker.profile().parks_apart;
        Outgoing {
            queue: queue(crew, send).to_owned(),
            message,
            // Python workers never look where ours would park it; ours do that themselves.
            due: sent.eta.filter(|eta| *eta > now && !parks_apart),
            key: None,
        }
    }
}
