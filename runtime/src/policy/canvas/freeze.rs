//! Giving ids to signatures before they are sent, so that whoever waits for them, or
//! fails them, knows how they are called.

use super::steps::{members, replace_body};
use super::{CanvasError, DEPTH};
use crate::task::{Json, Kind, Signature};

/// Where the ids come from.
const NAMESPACE: uuid::Uuid = uuid::Uuid::from_bytes(*b"celeriac.canvas.");

/// Makes ids, the same ones each time.
#[derive(Debug)]
pub(super) struct Ids {
    seed: String,
    count: u64,
}

impl Ids {
    pub(super) fn new(seed: &str) -> Self {
        Self {
            seed: seed.to_owned(),
            count: 0,
        }
    }

    pub(super) fn next(&mut self) -> String {
        self.count += 1;
        let name = format!("{}:{}", self.seed, self.count);
        uuid::Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
    }

    /// Gives an id to a signature and to all in it that have none.
    pub(super) fn freeze(
        &mut self,
        signature: &mut Signature,
        depth: usize,
    ) -> Result<(), CanvasError> {
        if depth > DEPTH {
            return Err(CanvasError::Deep);
        }
        match signature.kind {
            Kind::Task => {
                signature.option_or("task_id", || self.next());
            }
            // They are made anew when they are sent.
            Kind::Chunks => {}
            Kind::Chain => {
                let mut steps = super::steps::chain(signature, depth)?;
                for step in &mut steps {
                    self.freeze(step, depth + 1)?;
                }
                set_tasks(signature, &steps);
            }
            Kind::Group => {
                signature.option_or("task_id", || self.next());
                let mut members = members(signature, depth)?;
                for (index, member) in (0_u64..).zip(&mut members) {
                    self.freeze(member, depth + 1)?;
                    let index = Json::from(index);
                    let options = &mut member.options;
                    options.entry("group_index".to_owned()).or_insert(index);
                }
                set_tasks(signature, &members);
            }
            Kind::Chord => {
                let mut header = header(signature)?;
                let gid = signature.option("task_id");
                if let Some(gid) = gid {
                    header.option_or("task_id", || gid);
                }
                self.freeze(&mut header, depth + 1)?;
                let mut body = body(signature)?;
                self.freeze(&mut body, depth + 1)?;
                let gid = header.option("task_id").unwrap_or_default();
                signature.option_or("task_id", || gid);
                let kwargs = format!(
                    r#"{{"kwargs": {{}}, "header": {}, "body": null}}"#,
                    header.json()
                );
                signature.kwargs = Json::read(&kwargs).unwrap_or_else(|| signature.kwargs.clone());
                replace_body(signature, &body);
            }
        }
        Ok(())
    }
}

/// Returns the header of a chord as a group.
pub(super) fn header(chord: &Signature) -> Result<Signature, CanvasError> {
    let header = chord
        .part("header")
        .ok_or(CanvasError::Shape("the header"))?;
    if header.as_str().starts_with('[') {
        return Ok(Signature::group(&super::steps::read(&header)?));
    }
    let header = Signature::read(&header)?;
    Ok(match header.kind {
        Kind::Group => header,
        Kind::Task | Kind::Chain | Kind::Chord | Kind::Chunks => Signature::group(&[header]),
    })
}

/// Returns the body of a chord.
pub(super) fn body(chord: &Signature) -> Result<Signature, CanvasError> {
    let body = chord.part("body").ok_or(CanvasError::Shape("the body"))?;
    Ok(Signature::read(&body)?)
}

/// Gives a chain or a group other tasks.
pub(super) fn set_tasks(signature: &mut Signature, tasks: &[Signature]) {
    let tasks = Json::array(&tasks.iter().map(Signature::json).collect::<Vec<_>>());
    let kwargs = Json::read(&format!(r#"{{"tasks": {tasks}}}"#));
    signature.kwargs = kwargs.unwrap_or_else(|| signature.kwargs.clone());
}

/// Returns Celery's tuple of the results of a frozen signature, and whether it is that
/// of a group.
pub(super) fn tuple(
    signature: &Signature,
    depth: usize,
) -> Result<Option<(Json, bool)>, CanvasError> {
    if depth > DEPTH {
        return Err(CanvasError::Deep);
    }
    Ok(match signature.kind {
        Kind::Task => signature.option("task_id").map(|id| (leaf(&id), false)),
        Kind::Chunks => None,
        Kind::Chord => tuple(&body(signature)?, depth + 1)?,
        Kind::Chain => match super::steps::chain(signature, depth)?.last() {
            Some(last) => tuple(last, depth + 1)?,
            None => None,
        },
        Kind::Group => {
            let mut children = Vec::new();
            for member in members(signature, depth)? {
                children.extend(tuple(&member, depth + 1)?.map(|(tuple, _)| tuple));
            }
            let id = signature.option("task_id").unwrap_or_default();
            Some((group(&id, &children), true))
        }
    })
}

/// Celery's tuple of the result of a task.
#[must_use]
pub fn leaf(id: &str) -> Json {
    nested(id, None)
}

/// Celery's tuple of the results of a group.
pub(super) fn group(id: &str, children: &[Json]) -> Json {
    nested(id, Some(children))
}

fn nested(id: &str, children: Option<&[Json]>) -> Json {
    let null = Json::null();
    let name = Json::array([&Json::text(id), &null]);
    let children = children.map_or(null, Json::array);
    Json::array([&name, &children])
}
