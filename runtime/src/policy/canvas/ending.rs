//! From the end of a task, or of all parts of a chord, to what follows.

use super::broken;
use super::freeze::body;
use super::sending::{Place, Planner};
use super::steps::members;
use super::{CanvasError, DEPTH, Failure, MESSAGES, Part, Plan, Sender, is_heavy};
use crate::task::{Exception, Items, Json, Kind, Signature};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// What a message says is to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Embed {
    /// Signatures to send with the result.
    pub callbacks: Vec<Json>,
    /// Signatures to send when the task fails.
    pub errbacks: Vec<Json>,
    /// The rest of the chain, the next one last.
    pub chain: Vec<Json>,
    /// The body of the chord the task is a part of.
    pub chord: Option<Json>,
}

/// `L` is how a list is read: as a list, or first as whatever it is.
#[derive(Deserialize)]
struct Wire<'a, L> {
    callbacks: Option<L>,
    errbacks: Option<L>,
    chain: Option<L>,
    #[serde(borrow)]
    chord: Option<&'a RawValue>,
}

impl Embed {
    /// Reads the third part of a message's body; empty is nothing.
    ///
    /// # Errors
    /// [`CanvasError`] where it is of another shape. The signatures are not read.
    pub fn read(embed: &str) -> Result<Self, CanvasError> {
        if embed.is_empty() {
            return Ok(Self::default());
        }
        // A list would be read as the members in their order.
        if !embed.starts_with('{') {
            return Err(shape());
        }
        if is_heavy(embed) {
            return Err(CanvasError::Heavy);
        }
        // A chain of a thousand is read once per link: as what it should be at the first look.
        let embed = Json::unread(embed);
        if let Some(wire) = embed.parse::<Wire<'_, Items<'_, MESSAGES>>>() {
            let parts = |Items(list): Items<'_, MESSAGES>| {
                Ok(list.into_iter().map(|one| embed.part(one)).collect())
            };
            return wire.of(&embed, parts);
        }
        let wire: Wire<'_, &RawValue> = embed.parse().ok_or_else(shape)?;
        // One signature is a list of one.
        let listed = |value: &RawValue| {
            let value = embed.part(value);
            if !value.as_str().starts_with('[') {
                return Ok(vec![value]);
            }
            let items = value.items().filter(|items| items.len() <= MESSAGES);
            items.ok_or(CanvasError::Many)
        };
        wire.of(&embed, listed)
    }

    /// Tells whether nothing is to follow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn shape() -> CanvasError {
    CanvasError::Shape("what is to follow (callbacks, errbacks, chain, chord)")
}

impl<L> Wire<'_, L> {
    fn of(
        self,
        embed: &Json,
        listed: impl Fn(L) -> Result<Vec<Json>, CanvasError>,
    ) -> Result<Embed, CanvasError> {
        let chord = self.chord.map(|chord| embed.part(chord));
        let list = |list: Option<L>| list.map_or_else(|| Ok(Vec::new()), &listed);
        Ok(Embed {
            callbacks: list(self.callbacks)?,
            errbacks: list(self.errbacks)?,
            chain: list(self.chain)?,
            chord: chord.filter(|chord| !chord.is_null()),
        })
    }
}

/// A task that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// It, as the sender of what follows.
    pub sender: Sender,
    /// What follows.
    pub embed: Embed,
    /// The group it belongs to, and its place there.
    pub group: Option<(String, Option<i64>)>,
}

impl Ended {
    fn part(&self, end: Result<Json, (&'static str, Exception)>) -> Option<Part> {
        let body = self.embed.chord.clone()?;
        let (group, index) = self.group.clone()?;
        Some(Part {
            group,
            index,
            id: self.sender.id.clone(),
            end,
            body,
        })
    }
}

/// Plans what follows a success.
///
/// # Errors
/// [`CanvasError`]; then the task has failed.
pub fn after_success(mut ended: Ended, result: &Json) -> Result<Plan, CanvasError> {
    let mut rest = std::mem::take(&mut ended.embed.chain);
    let mut planner = Planner::new(&ended.sender);
    let place = |chain: Vec<Json>| Place {
        before: vec![result.clone()],
        chain,
        ..Place::default()
    };
    let callbacks = ended.embed.callbacks.iter().map(Signature::read);
    let mut callbacks: Vec<Signature> = callbacks.collect::<Result<_, _>>()?;
    if callbacks.len() > 1 {
        // As Celery sends them: groups each, and all others together as one.
        let is_group = |callback: &Signature| callback.kind == Kind::Group;
        let (groups, others): (Vec<_>, Vec<_>) = callbacks.into_iter().partition(is_group);
        callbacks = groups;
        if !others.is_empty() {
            callbacks.push(Signature::group(&others));
        }
    }
    for callback in callbacks {
        planner.send(callback, place(Vec::new()), 0)?;
    }
    if let Some(next) = rest.pop() {
        planner.send(Signature::read(&next)?, place(rest), 0)?;
    }
    planner.plan.parts.extend(ended.part(Ok(result.clone())));
    Ok(planner.plan)
}

/// Plans what follows a failure. What cannot be read is passed over: there is nobody left
/// to tell.
#[must_use]
pub fn after_failure(ended: &Ended, exception: &Exception) -> Plan {
    let mut planner = Planner::new(&ended.sender);
    let failed = || Err(("FAILURE", exception.clone()));
    planner.plan.parts.extend(ended.part(failed()));
    planner.fail_chain(&ended.embed.chain, exception, 0);
    planner.errbacks(&ended.sender.id, &ended.embed.errbacks);
    planner.plan
}

/// Plans what follows a revocation: as in Celery the rest of a chain stays where it is.
#[must_use]
pub fn after_revoke(ended: &Ended, exception: &Exception) -> Plan {
    let part = ended.part(Err(("REVOKED", exception.clone())));
    Plan {
        parts: part.into_iter().collect(),
        ..Plan::default()
    }
}

/// A part of a chord that failed, or why the parts could not be brought together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unjoined {
    /// A part failed.
    Part {
        /// The task.
        id: String,
        /// What it failed with.
        exception: Exception,
    },
    /// The parts do not come together.
    Join(String),
}

/// Plans what follows when all parts of a chord are over: its body gets the results, or
/// fails.
#[must_use]
pub fn after_chord(sender: &Sender, body: &Json, results: Result<Json, Unjoined>) -> Plan {
    let mut planner = Planner::new(sender);
    let signature = match Signature::read(body) {
        Ok(signature) => signature,
        Err(error) => {
            let failed = chord_error(&format!("Callback error: {error}"));
            return Plan {
                failures: broken::failure(body, &failed).into_iter().collect(),
                ..Plan::default()
            };
        }
    };
    let failed = match results {
        Ok(results) => {
            let place = Place {
                before: vec![results],
                ..Place::default()
            };
            match planner.send(signature.clone(), place, 0) {
                Ok(()) => {
                    // It is a child of its chord's header, not of the last part.
                    planner.plan.children.clear();
                    return planner.plan;
                }
                Err(error) => chord_error(&format!("Callback error: {error}")),
            }
        }
        Err(Unjoined::Join(reason)) => chord_error(&format!("Join error: {reason}")),
        // As in Celery the members of a group see what happened itself.
        Err(Unjoined::Part { exception, .. }) if signature.kind == Kind::Group => exception,
        Err(Unjoined::Part { id, exception }) => {
            let Exception { class, message, .. } = exception;
            let message = message.replace('\\', "\\\\").replace('\'', "\\'");
            chord_error(&format!("Dependency {id} raised {class}('{message}')"))
        }
    };
    // Its errbacks are its own, not the last part's.
    let sender = Sender {
        id: signature
            .option("task_id")
            .unwrap_or_else(|| sender.id.clone()),
        ..sender.clone()
    };
    let mut planner = Planner::new(&sender);
    planner.fail(&signature, &failed, 0);
    planner.plan
}

/// The exception of a chord that fails.
fn chord_error(text: &str) -> Exception {
    Exception::new("celery.exceptions", "ChordError", text)
}

impl Planner<'_> {
    /// Fails each element of a chain that will not be reached.
    fn fail_chain(&mut self, chain: &[Json], exception: &Exception, depth: usize) {
        for element in chain {
            match Signature::read(element) {
                Ok(element) => self.fail_element(&element, exception, depth),
                Err(_) => {
                    let failed = broken::failure(element, exception);
                    self.plan.failures.extend(failed);
                }
            }
        }
    }

    fn fail_element(&mut self, element: &Signature, exception: &Exception, depth: usize) {
        if depth > DEPTH {
            return;
        }
        let group = element.option("group_id");
        if element.kind == Kind::Chord {
            // It completes when its body does.
            if let Ok(body) = body(element) {
                self.fail_element(&body, exception, depth + 1);
            }
            return;
        }
        let Some(id) = element.option("task_id") else {
            return;
        };
        if element.kind == Kind::Group {
            for member in members(element, depth).unwrap_or_default() {
                self.fail_element(&member, exception, depth + 1);
            }
            return;
        }
        self.plan.failures.push(Failure {
            id: id.clone(),
            task: element.task.clone(),
            exception: exception.clone(),
            group: group.clone(),
            reply_to: element.option("reply_to"),
        });
        if let (Some(chord), Some(group)) = (element.options.get("chord"), group) {
            let index = element.options.get("group_index");
            self.plan.parts.push(Part {
                group,
                index: index.and_then(Json::parse),
                id,
                end: Err(("FAILURE", exception.clone())),
                body: chord.clone(),
            });
        }
    }

    /// Fails the body of a chord, what follows it, and tells its errbacks.
    fn fail(&mut self, signature: &Signature, exception: &Exception, depth: usize) {
        if depth > DEPTH {
            return;
        }
        match signature.kind {
            Kind::Chord => {
                if let Ok(body) = body(signature) {
                    self.fail(&body, exception, depth + 1);
                }
            }
            Kind::Group => {
                for member in members(signature, depth).unwrap_or_default() {
                    self.fail(&member, exception, depth + 1);
                }
            }
            Kind::Chain => {
                let steps = super::steps::chain(signature, depth).unwrap_or_default();
                for step in steps {
                    self.fail(&step, exception, depth + 1);
                }
            }
            Kind::Task | Kind::Chunks => {
                self.fail_element(signature, exception, depth);
                if let Some(id) = signature.option("task_id") {
                    self.errbacks(&id, &signature.listed("link_error"));
                }
            }
        }
        self.fail_chain(&signature.listed("chain"), exception, depth + 1);
    }

    /// Sends errbacks as a worker of Celery sends those it does not know: as one group,
    /// with the id of what failed.
    fn errbacks(&mut self, failed: &str, errbacks: &[Json]) {
        let read = errbacks
            .iter()
            .filter_map(|errback| Signature::read(errback).ok());
        let read: Vec<Signature> = read.collect();
        if read.is_empty() {
            return;
        }
        let place = Place {
            before: vec![Json::text(failed)],
            ..Place::default()
        };
        let children = self.plan.children.len();
        // Those of which one cannot be sent are told one by one.
        if self
            .send(Signature::group(&read), place.clone(), 0)
            .is_err()
        {
            for errback in read {
                let _unsendable = self.send(errback, place.clone(), 0);
            }
        }
        self.plan.children.truncate(children);
    }
}

/// Brings the results of a chord's parts together: a list of them or, where some are
/// groups, lists in it as Celery's tuple says.
///
/// # Errors
/// [`Unjoined`] when a part failed, the first in the order of the group.
pub fn joined(
    parts: Vec<(String, Result<Json, Exception>)>,
    structure: Option<Json>,
) -> Result<Json, Unjoined> {
    let mut results = Vec::with_capacity(parts.len());
    for (id, end) in parts {
        match end {
            Ok(result) => results.push((id, result)),
            Err(exception) => return Err(Unjoined::Part { id, exception }),
        }
    }
    match structure {
        Some(structure) => {
            let results = results.iter().map(|(id, result)| (id.as_str(), result));
            let results: HashMap<&str, &Json> = results.collect();
            nested(&structure, &results, 0)
        }
        None => Ok(Json::array(results.iter().map(|(_, result)| result))),
    }
}

/// Reads a tuple: `[[id, parent], null]` of a task, `[[id, parent], [tuples]]` of a group.
fn nested(tuple: &Json, results: &HashMap<&str, &Json>, depth: usize) -> Result<Json, Unjoined> {
    let wrong = || Unjoined::Join("the structure of the results cannot be read".to_owned());
    if depth > DEPTH {
        return Err(wrong());
    }
    let parts = tuple.items().ok_or_else(wrong)?;
    let [name, children] = parts.as_slice() else {
        return Err(wrong());
    };
    if let Some(children) = children.items() {
        let children = children
            .iter()
            .map(|child| nested(child, results, depth + 1));
        return Ok(Json::array(&children.collect::<Result<Vec<_>, _>>()?));
    }
    let id = name
        .items()
        .and_then(|name| name.first()?.parse::<String>());
    let id = id.ok_or_else(wrong)?;
    let result = results.get(id.as_str()).copied().cloned();
    result.ok_or_else(|| Unjoined::Join(format!("the result of {id} is missing")))
}
