//! Step h, follow up: what the end of a task sets going. The plan is pure and lives in
//! `policy::canvas`; here it is carried out, each step insisted on.
//!
//! All of it can be done again: ids derive from the task, chords count a part once, and
//! the record of a task makes the second of two messages stale.

use super::Attempt;
use super::leave::Left;
use super::record;
use super::size;
use super::submitted::SUBMITS_LEFT;
use super::unlock;
use crate::broker::{Delivery, Outgoing};
use crate::celery::Request;
use crate::celery::request::Sent;
use crate::clock::after;
use crate::policy::canvas::{
    self, CanvasError, Embed, Ended, Expected, Failure, Part, Plan, Send, Sender, Unjoined, When,
};
use crate::policy::route;
use crate::policy::verdict::Verdict;
use crate::results::chord::{Ending, Expect, JOINED_BYTES, JoinPart, Joined};
use crate::results::{Exception, Record, Reply, RunUsage, Write};
use crate::task::{Fence, Json, State, TaskId};
use crate::worker::builtins::Unlocked;
use crate::worker::crew::Crew;
use crate::worker::patience::insist;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;

/// Messages that are written and published at a time: a large group is never in memory
/// as a whole.
const PAGE: usize = 100;
/// Most plans that one end leads to: each is a chord that is over within the one before.
const PLANS: usize = 10_000;
/// Longest and shortest wait for whoever claimed the body of a chord: as long as a claim
/// of the result backends lasts (30 s), and a pause that keeps the backend from harm.
const CLAIM: Duration = Duration::from_secs(30);
const CLAIM_PAUSE: Duration = Duration::from_millis(100);

/// A plan, and how its messages are to be sent.
#[derive(Debug)]
pub(super) struct FollowUp {
    plan: Plan,
    /// The root of the workflow: the sender of what chords lead to.
    root: String,
    /// Whether it may have been carried out before.
    again: bool,
    /// What those that are sent may send in turn, where that is bounded.
    budget: Option<Value>,
}

/// What all messages of a plan have in common.
#[derive(Debug)]
struct How {
    again: bool,
    budget: Option<Value>,
}

/// What is to be done next.
#[derive(Debug)]
enum Step {
    Plan(Plan),
    /// A part of a chord is over.
    Part(Part),
    /// The end of a chord was carried out.
    Close(String),
}

impl FollowUp {
    /// What a guest submitted: each of its tasks may send so many in turn. An attempt
    /// before this one may have sent the same.
    pub(super) fn submitted(attempt: &Attempt, plan: Plan, share: u32) -> Self {
        Self {
            budget: Some(Value::from(share)),
            ..follow(&attempt.request, plan, attempt.is_again())
        }
    }

    /// Returns the tasks that will be sent.
    pub(super) fn sends(&self) -> &[Send] {
        &self.plan.sends
    }

    /// Celery's tuples of the tasks that will be sent, a JSON array; empty for none.
    pub(super) fn children(&self) -> String {
        match self.plan.children.as_slice() {
            [] => String::new(),
            children => Json::array(children).to_string(),
        }
    }
}

/// Plans what follows a verdict. A success of which the rest cannot be sent is a failure.
/// `again` says that it may have been carried out before: not every end leaves a record.
pub(super) fn plan(
    crew: &Crew,
    request: &Request,
    verdict: Verdict,
    again: bool,
) -> (Verdict, FollowUp) {
    let succeeded = match &verdict {
        Verdict::Succeed(result) => {
            let result = Json::read(&String::from_utf8_lossy(result));
            Some(success(crew, request, &result.unwrap_or_else(Json::null)))
        }
        Verdict::Fail(_)
        | Verdict::Reject { .. }
        | Verdict::Revoke(_)
        | Verdict::RetryAt { .. }
        | Verdict::Ignore
        | Verdict::Return
        | Verdict::Defer => None,
    };
    let verdict = match succeeded {
        Some(Ok(plan)) => return (verdict, follow(request, plan, again)),
        Some(Err(error)) => Verdict::Fail(error.exception()),
        None => verdict,
    };
    let plan = match &verdict {
        Verdict::Fail(exception) | Verdict::Reject { exception, .. } => failure(request, exception),
        Verdict::Revoke(exception) => revoke(request, exception),
        Verdict::Succeed(_)
        | Verdict::RetryAt { .. }
        | Verdict::Ignore
        | Verdict::Return
        | Verdict::Defer => Plan::default(),
    };
    (verdict, follow(request, plan, again))
}

/// Plans what follows a task that is refused.
pub(super) fn of_refusal(
    delivery: &Delivery,
    request: &Request,
    state: &State,
    exception: &Exception,
) -> FollowUp {
    let plan = match state {
        State::Failure => failure(request, exception),
        State::Revoked => revoke(request, exception),
        State::Started | State::Success | State::Retry | State::Custom(_) => Plan::default(),
    };
    follow(request, plan, delivery.deliveries > 1)
}

/// Plans again what follows a task whose record is final.
pub(super) fn of_record(crew: &Crew, request: &Request, record: &Record) -> FollowUp {
    let plan = match &record.state {
        State::Success => {
            let result = record.result.as_deref().map(String::from_utf8_lossy);
            let result = result.and_then(|text| Json::read(&text));
            success(crew, request, &result.unwrap_or_else(Json::null)).unwrap_or_default()
        }
        State::Failure => failure(request, &record.failure()),
        State::Revoked => revoke(request, &record.failure()),
        State::Started | State::Retry | State::Custom(_) => Plan::default(),
    };
    follow(request, plan, true)
}

fn follow(request: &Request, plan: Plan, again: bool) -> FollowUp {
    FollowUp {
        plan,
        root: root(request),
        again: again || request.again,
        budget: None,
    }
}

fn success(crew: &Crew, request: &Request, result: &Json) -> Result<Plan, CanvasError> {
    let embed = embed(request)?;
    if embed.is_empty() {
        return Ok(Plan::default());
    }
    let plan = canvas::after_success(
        &Ended {
            embed,
            ..ended(request)
        },
        result,
    )?;
    unlock::check(crew, &plan)?;
    size::check(&plan)?;
    Ok(plan)
}

fn failure(request: &Request, exception: &Exception) -> Plan {
    match embed(request) {
        Ok(embed) if embed.is_empty() => Plan::default(),
        _ => fitting(canvas::after_failure(&ended(request), exception)),
    }
}

fn revoke(request: &Request, exception: &Exception) -> Plan {
    fitting(canvas::after_revoke(&ended(request), exception))
}

/// Of what follows a failure, there is nothing to fall back on: what fits is sent.
fn fitting(mut plan: Plan) -> Plan {
    size::cut(&mut plan);
    plan
}

fn embed(request: &Request) -> Result<Embed, CanvasError> {
    Embed::read(&String::from_utf8_lossy(&request.embed))
}

pub(super) fn ended(request: &Request) -> Ended {
    let group = request.group.clone();
    Ended {
        sender: Sender {
            id: request.id.to_string(),
            root: root(request),
            seed: format!("{}:{}", request.id, request.retries),
        },
        // What cannot be read was refused, or is passed over.
        embed: embed(request).unwrap_or_default(),
        group: group.map(|group| (group, request.group_index)),
    }
}

fn root(request: &Request) -> String {
    let root = request.root_id.clone();
    root.unwrap_or_else(|| request.id.to_string())
}

/// Carries out a plan, and those that the ends of chords lead to.
pub(super) async fn carry_out(
    crew: &Crew,
    delivery: &Delivery,
    follow_up: FollowUp,
) -> Result<(), Left> {
    let FollowUp {
        plan,
        root,
        again,
        budget,
    } = follow_up;
    // What bounds a task bounds what follows from it.
    let told = || delivery.message.headers.get(SUBMITS_LEFT).cloned();
    let how = How {
        again,
        budget: budget.or_else(told),
    };
    // A stack: a chord is closed once all is done to which its end led, and not before.
    // Whoever comes after a death in between finds it open, and does it all again.
    let mut steps = vec![Step::Plan(plan)];
    let mut open = HashSet::new();
    let mut count = 0;
    while let Some(step) = steps.pop() {
        match step {
            Step::Plan(plan) => {
                count += 1;
                if count <= PLANS {
                    let parts = send(crew, plan, &how).await?.into_iter();
                    steps.extend(parts.rev().map(Step::Part));
                }
            }
            // What a chord leads to cannot be a part of it.
            Step::Part(part) if open.contains(&part.group) => {}
            Step::Part(part) => {
                let group = part.group.clone();
                if let Some(plan) = join(crew, delivery, part, &root, &how).await? {
                    open.insert(group.clone());
                    steps.extend([Step::Close(group), Step::Plan(plan)]);
                }
            }
            Step::Close(group) => {
                open.remove(&group);
                close(crew, delivery, &group).await?;
            }
        }
    }
    Ok(())
}

/// Does what a plan says, but for the parts of chords, which it returns.
async fn send(crew: &Crew, plan: Plan, how: &How) -> Result<Vec<Part>, Left> {
    let unlocks = unlock::sends(crew, &plan);
    for chord in plan.expected {
        expect(crew, chord, how.again).await?;
    }
    for failed in plan.failures {
        fail(crew, failed).await?;
    }
    publish(crew, &plan.sends, how).await?;
    publish(crew, &unlocks, how).await?;
    Ok(plan.parts)
}

/// Remembers that everything was done to which the end of a chord led.
async fn close(crew: &Crew, delivery: &Delivery, group: &str) -> Result<(), Left> {
    let closed = insist(&crew.shutdown, || crew.results.joined(group)).await;
    closed.map_err(|error| Left::unrecorded(delivery, &error))
}

async fn expect(crew: &Crew, chord: Expected, again: bool) -> Result<(), Left> {
    let expect = Expect {
        group: chord.group,
        size: chord.size,
        structure: chord.is_nested.then_some(chord.results),
        again,
        keep: crew.settings.result_keep,
    };
    let told = insist(&crew.shutdown, || crew.results.expect(expect.clone())).await;
    told.map_err(|error| Left::Away(error.to_string()))
}

/// Stores the failure of a task that will never run.
async fn fail(crew: &Crew, failed: Failure) -> Result<(), Left> {
    let Ok(id) = TaskId::parse(&failed.id) else {
        return Ok(());
    };
    let write = Write {
        id,
        task: failed.task,
        fence: Fence {
            retries: 0,
            deliveries: 0,
        },
        state: State::Failure,
        result: None,
        exception: Some(failed.exception),
        due: None,
        worker: String::new(),
        usage: RunUsage::default(),
        log: None,
        keep: crew.settings.result_keep,
        reply: Reply {
            to: failed.reply_to,
            correlation: Some(failed.id),
            group: failed.group,
            parent: None,
        },
        children: String::new(),
        extended: None,
    };
    super::leave::tell(crew, &write).await.map(|_| ())
}

async fn publish(crew: &Crew, sends: &[Send], how: &How) -> Result<(), Left> {
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

/// Counts a part of a chord, and plans what follows when it was the last: the chord is to
/// be closed after that.
async fn join(
    crew: &Crew,
    delivery: &Delivery,
    part: Part,
    root: &str,
    how: &How,
) -> Result<Option<Plan>, Left> {
    let counted = JoinPart {
        group: part.group.clone(),
        index: part.index,
        id: part.id.clone(),
        end: match part.end {
            Ok(result) => Ending::Returned(result),
            Err((state, exception)) => Ending::Failed {
                state: state.to_owned(),
                exception,
            },
        },
        keep: crew.settings.result_keep,
    };
    let joined = loop {
        let joined = insist(&crew.shutdown, || crew.results.join(counted.clone())).await;
        match joined.map_err(|error| Left::unrecorded(delivery, &error))? {
            // In place: the task has run, and may have no message to come back.
            Joined::Held { until } => claim_lapses(crew, until).await?,
            joined @ (Joined::Waiting | Joined::TooLarge | Joined::Complete { .. }) => {
                break joined;
            }
        }
    };
    let results = match joined {
        Joined::Waiting | Joined::Held { .. } => return Ok(None),
        Joined::TooLarge => Err(too_large()),
        Joined::Complete { parts, structure } => canvas::joined(parts_of(parts), structure),
    };
    let sender = Sender {
        id: part.id,
        root: root.to_owned(),
        seed: format!("chord:{}", part.group),
    };
    send_body(crew, &sender, &part.body, results, how)
        .await
        .map(Some)
}

/// Waits until whoever claimed the body of a chord had the time to send it.
async fn claim_lapses(crew: &Crew, until: Timestamp) -> Result<(), Left> {
    let now = crew.clock.now();
    // Clocks differ: neither for ever, nor without a pause.
    let until = until.clamp(after(now, CLAIM_PAUSE), after(now, CLAIM));
    tokio::select! {
        () = crew.clock.sleep_until(until) => Ok(()),
        () = crew.shutdown.cancelled() => Err(Left::Away(
            "the worker stopped while another part of a chord was to send its body".to_owned(),
        )),
    }
}

/// Sends the body of a chord with the results, or fails it, and returns what is left to do.
async fn send_body(
    crew: &Crew,
    sender: &Sender,
    body: &Json,
    results: Result<Json, Unjoined>,
    how: &How,
) -> Result<Plan, Left> {
    let mut plan = canvas::after_chord(sender, body, results);
    if let Err(error) = size::check(&plan) {
        let unjoined = Unjoined::Join(error.to_string());
        plan = fitting(canvas::after_chord(sender, body, Err(unjoined)));
    }
    let unlocks = unlock::sends(crew, &plan);
    // The body first, and only then the chord is closed.
    let sends = std::mem::take(&mut plan.sends);
    for chord in std::mem::take(&mut plan.expected) {
        expect(crew, chord, true).await?;
    }
    let how = How {
        again: true,
        budget: how.budget.clone(),
    };
    publish(crew, &sends, &how).await?;
    publish(crew, &unlocks, &how).await?;
    for failed in std::mem::take(&mut plan.failures) {
        fail(crew, failed).await?;
    }
    Ok(plan)
}

/// Does what follows when somebody looked and all parts of a chord are over.
pub(super) async fn unlocked(
    crew: &Crew,
    delivery: &Delivery,
    request: &Request,
    chord: Unlocked,
) -> Result<(), Left> {
    let sender = Sender {
        id: request.id.to_string(),
        root: root(request),
        // As when its parts are counted: the same ids, whoever looks, and however often.
        seed: format!("chord:{}", chord.group),
    };
    let how = How {
        again: true,
        budget: delivery.message.headers.get(SUBMITS_LEFT).cloned(),
    };
    let plan = send_body(crew, &sender, &chord.body, chord.results, &how).await?;
    carry_out(crew, delivery, follow(request, plan, true)).await
}

/// Why the results of a chord are not brought together.
pub(in crate::worker) fn too_large() -> Unjoined {
    Unjoined::Join(format!(
        "the results have more than {JOINED_BYTES} bytes; let the tasks return references"
    ))
}

fn parts_of(parts: Vec<(String, Ending)>) -> Vec<(String, Result<Json, Exception>)> {
    let end = |end| match end {
        Ending::Returned(result) => Ok(result),
        Ending::Failed { exception, .. } => Err(exception),
    };
    parts
        .into_iter()
        .map(|(id, part)| (id, end(part)))
        .collect()
}
