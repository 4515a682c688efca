//! The messages of what follows.

use crate::broker::Outgoing;
use crate::celery::request::Sent;
use crate::clock::after;
use crate::policy::canvas::{Send, When};
use crate::policy::route;
use crate::task::TaskId;
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
    let options = &send.options;
    let at = |when: When| match when {
        When::At(at) => at,
        When::In(span) => after(now, span),
    };
    let id = TaskId::parse(&send.id).ok()?;
    let profile = crew.broker.profile();
    let priority = options.priority.map(|priority| match profile.zero_first {
        true => 9 - priority.min(9),
        false => priority,
    });
    let eta = options.eta.map(at);
    let sent = Sent {
        id: &id,
        task: &send.task,
        before: &send.before,
        args: &send.args,
        kwargs: &send.kwargs,
        root: &send.root,
        parent: &send.parent,
        group: send.group.as_deref(),
        group_index: send.group_index,
        eta,
        expires: options.expires.map(at),
        time_limit: options.time_limit,
        shadow: options.shadow.as_deref(),
        headers: &options.headers,
        stamps: &options.stamps,
        ignore_result: options.ignore_result,
        argsrepr: options.argsrepr.as_deref(),
        kwargsrepr: options.kwargsrepr.as_deref(),
        reply_to: options.reply_to.as_deref(),
        priority,
        replaced_task_nesting: options.replaced_task_nesting,
        retries: options.retries,
        callbacks: &send.callbacks,
        errbacks: &send.errbacks,
        chain: &send.chain,
        chord: send.chord.as_ref(),
    };
    let mut message = sent.message(&crew.settings.name);
    if let Some(budget) = &how.budget {
        message
            .headers
            .insert(SUBMITS_LEFT.to_owned(), budget.clone());
    }
    if how.again {
        record::mark(&mut message);
    }
    let queue = options.queue.clone();
    Some(Outgoing {
        queue: queue.unwrap_or_else(|| route::queue(&crew.settings.routes, &send.task).to_owned()),
        message,
        // Python workers never look where ours would park it; ours do that themselves.
        due: eta.filter(|eta| *eta > now && !profile.parks_apart),
        key: None,
    })
}
