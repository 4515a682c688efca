//! The steps of a chain: nested chains in their place, a group and what follows it as a
//! chord.

use super::{CanvasError, DEPTH, MESSAGES};
use crate::task::{Json, Kind, Signature};

/// Most bytes of the task's signature in all chunks together (64 MiB): each has a copy.
const CHUNKS_BYTES: usize = 64 << 20;

/// Reads a list of signatures.
pub(super) fn read(list: &Json) -> Result<Vec<Signature>, CanvasError> {
    let items = list.items().ok_or(CanvasError::Shape("a list of tasks"))?;
    let read = items.iter().map(Signature::read);
    Ok(read.collect::<Result<_, _>>()?)
}

/// Returns the members of a group, of a list, or of one signature alone.
pub(super) fn members(signature: &Signature, depth: usize) -> Result<Vec<Signature>, CanvasError> {
    if depth > DEPTH {
        return Err(CanvasError::Deep);
    }
    let tasks = signature.part("tasks").ok_or(CanvasError::Shape("tasks"))?;
    let mut flat = Vec::new();
    for task in read(&tasks)? {
        match task.kind {
            Kind::Group => {
                for mut member in members(&task, depth + 1)? {
                    hand_down(&task, &mut member);
                    flat.push(member);
                }
            }
            Kind::Chain if chain(&task, depth + 1)?.is_empty() => {}
            Kind::Chunks => {
                // Each is a member of its own, so that it is counted and found as one.
                for mut member in parts(&task)? {
                    hand_down(&task, &mut member);
                    flat.push(member);
                }
            }
            Kind::Task | Kind::Chain | Kind::Chord => flat.push(task),
        }
    }
    Ok(flat)
}

/// A group's own arguments and options are its members'.
pub(super) fn hand_down(group: &Signature, member: &mut Signature) {
    const OF_THE_GROUP: [&str; 7] = [
        "task_id",
        "group_id",
        "group_index",
        "root_id",
        "parent_id",
        "link",
        "link_error",
    ];
    for (name, value) in &group.options {
        if !OF_THE_GROUP.contains(&name.as_str()) {
            member.options.insert(name.clone(), value.clone());
        }
    }
    member.extend("link_error", &group.listed("link_error"));
    if !member.immutable
        && let (Some(before), Some(own)) = (group.args.items(), member.args.items())
        && !before.is_empty()
    {
        member.args = Json::array(before.iter().chain(&own));
    }
}

/// Returns the steps of a chain, the first one first.
pub(super) fn chain(chain: &Signature, depth: usize) -> Result<Vec<Signature>, CanvasError> {
    let mut flat = Vec::new();
    splice(chain, depth, &mut flat)?;
    let is_empty = |step: &Signature| {
        step.kind == Kind::Group
            && step.part("tasks").and_then(|tasks| tasks.items()) == Some(vec![])
    };
    if flat.iter().any(|step| !is_empty(step)) {
        flat.retain(|step| !is_empty(step));
    } else {
        flat.truncate(1);
    }
    let mut steps: Vec<Signature> = Vec::with_capacity(flat.len());
    for step in flat.into_iter().rev() {
        let next = match step.kind {
            Kind::Group => steps.pop(),
            Kind::Task | Kind::Chain | Kind::Chord | Kind::Chunks => None,
        };
        steps.push(match next {
            Some(next) => Signature::chord(&step, &next),
            None => step,
        });
    }
    steps.reverse();
    Ok(steps)
}

fn splice(chain: &Signature, depth: usize, flat: &mut Vec<Signature>) -> Result<(), CanvasError> {
    if depth > DEPTH {
        return Err(CanvasError::Deep);
    }
    let first = flat.len();
    let tasks = chain.part("tasks").ok_or(CanvasError::Shape("tasks"))?;
    for task in read(&tasks)? {
        match task.kind {
            Kind::Chain => splice(&task, depth + 1, flat)?,
            Kind::Group => {
                let mut members = members(&task, depth + 1)?;
                match (members.len(), members.pop()) {
                    // A group of one is that one.
                    (1, Some(mut one)) => {
                        hand_down(&task, &mut one);
                        match one.kind {
                            Kind::Chain => splice(&one, depth + 1, flat)?,
                            Kind::Task | Kind::Group | Kind::Chord | Kind::Chunks => {
                                flat.push(one);
                            }
                        }
                    }
                    _ => flat.push(task),
                }
            }
            Kind::Task | Kind::Chord | Kind::Chunks => flat.push(task),
        }
    }
    if let Some(last) = flat.get_mut(first..).and_then(<[_]>::last_mut) {
        link(last, "link", &chain.listed("link"));
    }
    for step in flat.get_mut(first..).unwrap_or_default() {
        link(step, "link_error", &chain.listed("link_error"));
    }
    Ok(())
}

/// Adds callbacks or errbacks to a signature: to the body of a chord, and errbacks to
/// each member of a group.
pub(super) fn link(signature: &mut Signature, name: &str, more: &[Json]) {
    if more.is_empty() {
        return;
    }
    if signature.kind == Kind::Chord
        && let Some(body) = signature.part("body")
        && let Ok(mut body) = Signature::read(&body)
    {
        link(&mut body, name, more);
        replace_body(signature, &body);
    } else {
        signature.extend(name, more);
    }
}

/// Gives a chord another body.
pub(super) fn replace_body(chord: &mut Signature, body: &Signature) {
    let header = chord.part("header").unwrap_or_else(|| Json::array([]));
    let kwargs = format!(
        r#"{{"kwargs": {{}}, "header": {header}, "body": {}}}"#,
        body.json()
    );
    chord.kwargs = Json::read(&kwargs).unwrap_or_else(|| chord.kwargs.clone());
}

/// Counts the parts that a member of a header will be.
pub(super) fn size(signature: &Signature, depth: usize) -> Result<u64, CanvasError> {
    if depth > DEPTH {
        return Err(CanvasError::Deep);
    }
    Ok(match signature.kind {
        Kind::Task => 1,
        Kind::Chunks => parts(signature)?.len() as u64,
        Kind::Group => {
            let members = members(signature, depth + 1)?;
            let sizes = members.iter().map(|member| size(member, depth + 1));
            sizes.sum::<Result<u64, _>>()?
        }
        Kind::Chain => {
            for step in chain(signature, depth + 1)?.iter().rev() {
                let size = size(step, depth + 1)?;
                if size > 0 {
                    return Ok(size);
                }
            }
            0
        }
        Kind::Chord => {
            let body = signature
                .part("body")
                .ok_or(CanvasError::Shape("the body"))?;
            size(&Signature::read(&body)?, depth + 1)?
        }
    })
}

/// Returns the tasks that chunks are: one for each part of the list.
pub(super) fn parts(chunks: &Signature) -> Result<Vec<Signature>, CanvasError> {
    let part = |name| chunks.part(name).ok_or(CanvasError::Shape("chunks"));
    let (task, it) = (part("task")?, part("it")?);
    let wrong = CanvasError::Shape("the size of chunks");
    let n: usize = part("n")?.parse().filter(|n| *n > 0).ok_or(wrong)?;
    let it = it.items().ok_or(CanvasError::Shape("the list of chunks"))?;
    let starmap = |some: &[Json]| {
        let kwargs = format!(r#"{{"task": {task}, "it": {}}}"#, Json::array(some));
        let document =
            format!(r#"{{"task": "celery.starmap", "kwargs": {kwargs}, "immutable": true}}"#);
        let json = Json::read(&document).ok_or(CanvasError::Shape("chunks"))?;
        Ok(Signature::read(&json)?)
    };
    let count = it.len().div_ceil(n);
    let bytes = task.as_str().len().saturating_mul(count);
    if count > MESSAGES || bytes > CHUNKS_BYTES {
        return Err(CanvasError::Many);
    }
    it.chunks(n).map(starmap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_no_more_than_may_follow_and_do_not_copy_without_end() {
        let chunks = |task: &str, count: usize| {
            let it = vec!["[]"; count].join(",");
            let kwargs = format!(r#"{{"task": {{"task": "{task}"}}, "it": [{it}], "n": 1}}"#);
            let text = format!(
                r#"{{"task": "celery.chunks", "subtask_type": "chunks", "kwargs": {kwargs}}}"#
            );
            parts(&Signature::read(&Json::read(&text).unwrap()).unwrap())
        };
        assert_eq!(chunks("a.b", MESSAGES).unwrap().len(), MESSAGES);
        assert_eq!(chunks("a.b", MESSAGES + 1), Err(CanvasError::Many));
        let large = "x".repeat(CHUNKS_BYTES / 64);
        assert_eq!(chunks(&large, 60).unwrap().len(), 60);
        assert_eq!(chunks(&large, 65), Err(CanvasError::Many));
    }
}
