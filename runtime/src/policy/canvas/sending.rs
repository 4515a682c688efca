//! From a signature to the messages that are to be sent for it.

use super::freeze::{Ids, body, group, header, leaf, tuple};
use super::options::Options;
use super::steps::{self, link, members, parts, size};
use super::{CanvasError, DEPTH, Expected, MESSAGES, Plan, Send, Sender};
use crate::task::{Json, Kind, Signature};
use std::collections::BTreeMap;

/// Options that have a place of their own in a [`Send`], or none.
const PLACED: [&str; 9] = [
    "task_id",
    "group_id",
    "group_index",
    "root_id",
    "parent_id",
    "chord",
    "chain",
    "link",
    "link_error",
];

/// What a signature gets from where it stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// Arguments before its own.
    pub(super) before: Vec<Json>,
    /// What follows it, the next one last.
    pub(super) chain: Vec<Json>,
    /// The body of the chord it is a part of.
    pub(super) chord: Option<Json>,
    /// Its group, and its place there.
    pub(super) group: Option<(String, Option<Json>)>,
    /// Its id.
    pub(super) id: Option<String>,
    /// Options that win over its own.
    pub(super) options: BTreeMap<String, Json>,
}

/// Plans what is to be sent for a signature, with arguments before its own.
///
/// # Errors
/// [`CanvasError`]; then nothing of it should be sent.
pub fn sent(
    sender: &Sender,
    signature: &Signature,
    before: Vec<Json>,
) -> Result<Plan, CanvasError> {
    let mut planner = Planner::new(sender);
    let place = Place {
        before,
        ..Place::default()
    };
    planner.send(signature.clone(), place, 0)?;
    Ok(planner.plan)
}

/// Makes a plan, signature by signature.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    sender: &'a Sender,
    pub(super) ids: Ids,
    pub(super) plan: Plan,
}

impl<'a> Planner<'a> {
    pub(super) fn new(sender: &'a Sender) -> Self {
        Self {
            sender,
            ids: Ids::new(&sender.seed),
            plan: Plan::default(),
        }
    }

    /// Sends a signature and notes it as a child.
    pub(super) fn send(
        &mut self,
        signature: Signature,
        place: Place,
        depth: usize,
    ) -> Result<(), CanvasError> {
        let child = self.apply(signature, place, depth)?;
        self.plan.children.extend(child);
        Ok(())
    }

    fn apply(
        &mut self,
        mut signature: Signature,
        mut place: Place,
        depth: usize,
    ) -> Result<Option<Json>, CanvasError> {
        if depth > DEPTH {
            return Err(CanvasError::Deep);
        }
        signature.options.extend(std::mem::take(&mut place.options));
        // What follows inside comes before what follows outside.
        place.chain.extend(signature.listed("chain"));
        signature.options.remove("chain");
        if place.chord.is_none() {
            place.chord = signature.options.get("chord").cloned();
        }
        signature.options.remove("chord");
        if let Some(id) = signature.option("group_id") {
            let index = signature.options.get("group_index").cloned();
            place.group = Some((id, index));
        }
        match signature.kind {
            Kind::Task => self.task(signature, place).map(Some),
            Kind::Chain => self.chain(&signature, place, depth),
            Kind::Group => self.group(signature, place, depth),
            Kind::Chord => self.chord(signature, place, depth).map(Some),
            Kind::Chunks => {
                let mut group = Signature::group(&parts(&signature)?);
                group.options = signature.options;
                self.group(group, place, depth)
            }
        }
    }

    fn task(&mut self, signature: Signature, place: Place) -> Result<Json, CanvasError> {
        if self.plan.sends.len() >= MESSAGES {
            return Err(CanvasError::Many);
        }
        let own = signature.option("task_id");
        let id = place.id.or(own).unwrap_or_else(|| self.ids.next());
        let child = leaf(&id);
        let (group, group_index) = place.group.unzip();
        let options = Options::read(&signature.options)?;
        self.plan.sends.push(Send {
            id,
            before: match signature.immutable {
                true => Vec::new(),
                false => place.before,
            },
            root: self.sender.root.clone(),
            parent: self.sender.id.clone(),
            group,
            group_index: group_index.flatten().and_then(|index| index.parse()),
            callbacks: signature.listed("link"),
            errbacks: signature.listed("link_error"),
            chain: place.chain,
            chord: place.chord,
            options,
            task: signature.task,
            args: signature.args,
            kwargs: signature.kwargs,
        });
        Ok(child)
    }

    fn chain(
        &mut self,
        chain: &Signature,
        mut place: Place,
        depth: usize,
    ) -> Result<Option<Json>, CanvasError> {
        let mut steps = steps::chain(chain, depth)?;
        let Some(last) = steps.last_mut() else {
            return Ok(None);
        };
        seat(
            last,
            place.id.take(),
            place.group.take(),
            place.chord.take(),
        );
        if let Some(own) = chain.option("task_id") {
            name_end(last, own);
        }
        for step in &mut steps {
            self.ids.freeze(step, depth + 1)?;
        }
        let before = std::mem::take(&mut place.before);
        place.before = match chain.immutable {
            true => Vec::new(),
            false => before,
        };
        place.before.extend(chain.args.items().unwrap_or_default());
        let options = chain.options.iter();
        place.options = options
            .filter(|(name, _)| !PLACED.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let first = steps.remove(0);
        place.chain.extend(steps.iter().rev().map(Signature::json));
        self.apply(first, place, depth + 1)
    }

    fn group(
        &mut self,
        mut signature: Signature,
        mut place: Place,
        depth: usize,
    ) -> Result<Option<Json>, CanvasError> {
        if let Some(next) = place.chain.pop() {
            // What follows a group waits for all of it.
            let chord = Signature::chord(&signature, &Signature::read(&next)?);
            return self.apply(chord, place, depth + 1);
        }
        let gid = match place.id.take() {
            Some(id) => id,
            None => signature.option_or("task_id", || self.ids.next()),
        };
        let seat = place.group.as_ref().map(|(group, _)| group.clone());
        let is_header = place.chord.is_some() && seat.is_none();
        if is_header {
            // Whoever looks whether its members are over must know their ids.
            self.ids.freeze(&mut signature, depth)?;
        }
        let members = members(&signature, depth)?;
        if let Some(body) = place.chord.as_ref().filter(|_| is_header) {
            self.expect(&gid, &members, &signature, body, depth)?;
        }
        let mut children = Vec::with_capacity(members.len());
        for (index, mut member) in (0_u64..).zip(members) {
            steps::hand_down(&signature, &mut member);
            let place = Place {
                before: place.before.clone(),
                chord: place.chord.clone(),
                group: Some((
                    seat.clone().unwrap_or_else(|| gid.clone()),
                    Some(Json::from(index)),
                )),
                ..Place::default()
            };
            children.extend(self.apply(member, place, depth + 1)?);
        }
        Ok(Some(group(&gid, &children)))
    }

    fn chord(
        &mut self,
        mut signature: Signature,
        place: Place,
        depth: usize,
    ) -> Result<Json, CanvasError> {
        let mut body = body(&signature)?;
        link(&mut body, "link", &signature.listed("link"));
        link(&mut body, "link_error", &signature.listed("link_error"));
        let options = signature.options.iter();
        for (name, value) in options.filter(|(name, _)| !PLACED.contains(&name.as_str())) {
            // When the header is to start is nothing to the body.
            if !["countdown", "eta"].contains(&name.as_str()) {
                body.options.insert(name.clone(), value.clone());
            }
        }
        seat(&mut body, place.id, place.group, place.chord);
        if !place.chain.is_empty() {
            let mut chain = place.chain;
            chain.extend(body.listed("chain"));
            body.options.insert("chain".to_owned(), Json::array(&chain));
        }
        let mut header = header(&signature)?;
        if let Some(gid) = signature.option("task_id") {
            header.option_or("task_id", || gid);
        }
        self.ids.freeze(&mut header, depth + 1)?;
        self.ids.freeze(&mut body, depth + 1)?;
        let gid = header.option_or("task_id", || self.ids.next());
        // Not a member, and yet of the group: as Celery writes it.
        seat(&mut body, None, Some((gid.clone(), None)), None);
        let members = members(&header, depth)?;
        let own = signature.args.items().unwrap_or_default();
        let before: Vec<Json> = match signature.immutable {
            true => own,
            false => place.before.into_iter().chain(own).collect(),
        };
        let sizes = members.iter().map(|member| size(member, depth + 1));
        if sizes.sum::<Result<u64, _>>()? == 0 {
            // Nothing of the header would ever tell that it is over.
            for member in members {
                let place = Place {
                    before: before.clone(),
                    ..Place::default()
                };
                self.apply(member, place, depth + 1)?;
            }
            let place = Place {
                before: vec![Json::array([])],
                ..Place::default()
            };
            let child = self.apply(body, place, depth + 1)?;
            return Ok(child.unwrap_or_else(Json::null));
        }
        let body = body.json();
        self.expect(&gid, &members, &header, &body, depth)?;
        let delay = ["countdown", "eta"];
        let delay = delay.map(|name| signature.options.remove_entry(name));
        let mut children = Vec::with_capacity(members.len());
        for (index, member) in (0_u64..).zip(members) {
            let place = Place {
                before: before.clone(),
                chord: Some(body.clone()),
                group: Some((gid.clone(), Some(Json::from(index)))),
                options: delay.iter().flatten().cloned().collect(),
                ..Place::default()
            };
            children.extend(self.apply(member, place, depth + 1)?);
        }
        Ok(group(&gid, &children))
    }

    /// Announces a chord.
    fn expect(
        &mut self,
        gid: &str,
        members: &[Signature],
        header: &Signature,
        body: &Json,
        depth: usize,
    ) -> Result<(), CanvasError> {
        let sizes = members.iter().map(|member| size(member, depth + 1));
        let size = sizes.sum::<Result<u64, _>>()?;
        if size > MESSAGES as u64 {
            return Err(CanvasError::Many);
        }
        let mut is_nested = false;
        for member in members {
            is_nested |= tuple(member, depth + 1)?.is_some_and(|(_, is_group)| is_group);
        }
        let results = tuple(header, depth)?.map(|(tuple, _)| tuple);
        self.plan.expected.push(Expected {
            group: gid.to_owned(),
            size,
            results: results.unwrap_or_else(Json::null),
            is_nested,
            body: body.clone(),
        });
        Ok(())
    }
}

/// Gives the end of a chain the id of the chain, unless it has one: a client of Celery 5.4
/// gives a chain that is the body of a chord the id of the header.
fn name_end(last: &mut Signature, id: String) {
    if last.kind == Kind::Chord
        && let Ok(mut body) = body(last)
    {
        name_end(&mut body, id);
        steps::replace_body(last, &body);
        return;
    }
    last.option_or("task_id", || id);
}

/// Gives a signature the id, the group and the chord that its results are to be known by:
/// those of a chord are its body's.
fn seat(
    signature: &mut Signature,
    id: Option<String>,
    group: Option<(String, Option<Json>)>,
    chord: Option<Json>,
) {
    if signature.kind == Kind::Chord
        && let Ok(mut body) = body(signature)
    {
        seat(&mut body, id, group, chord);
        steps::replace_body(signature, &body);
        return;
    }
    let options = &mut signature.options;
    if let Some(id) = id {
        options.insert("task_id".to_owned(), Json::text(&id));
    }
    // What it was given before is of the workflow it stands in.
    if let Some((group, index)) = group
        && !options.contains_key("group_id")
    {
        options.insert("group_id".to_owned(), Json::text(&group));
        options.extend(index.map(|index| ("group_index".to_owned(), index)));
    }
    if let Some(chord) = chord {
        options.entry("chord".to_owned()).or_insert(chord);
    }
}
