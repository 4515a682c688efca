//! Signatures that guests made: what they may not say is taken out of them.

use super::freeze::{body, header, set_tasks};
use super::sending::{Place, Planner};
use super::steps::{self, link};
use super::{CanvasError, DEPTH, Ended, Plan, Sender};
use crate::task::{Json, Kind, Signature};

/// Options that say who a task is and where it belongs: a guest could take the place of a
/// task of somebody else with them.
const NOT_A_GUESTS: [&str; 9] = [
    "task_id",
    "group_id",
    "group_index",
    "root_id",
    "parent_id",
    "reply_to",
    "retries",
    "replaced_task_nesting",
    "chord_size",
];

/// Returns the id that the result of a guest's signature will have, and what is to be
/// sent for it.
///
/// # Errors
/// [`CanvasError`]; then nothing of it should be sent.
pub fn submitted(sender: &Sender, signature: &Signature) -> Result<(String, Plan), CanvasError> {
    let mut signature = clean(signature, 0)?;
    let mut planner = Planner::new(sender);
    planner.ids.freeze(&mut signature, 0)?;
    let id = super::freeze::tuple(&signature, 0)?.and_then(|(tuple, _)| first(&tuple));
    planner.send(signature, Place::default(), 0)?;
    Ok((id.unwrap_or_default(), planner.plan))
}

/// Plans what takes over the work of a task, under its id: what was to follow the task
/// follows that.
///
/// # Errors
/// [`CanvasError`]; then nothing of it should be sent.
pub fn replacing(
    ended: &Ended,
    signature: &Signature,
    nesting: u64,
    retries: u32,
) -> Result<Plan, CanvasError> {
    let mut signature = uplifted(clean(signature, 0)?);
    let embed = &ended.embed;
    if signature.kind == Kind::Chain {
        // What is linked to a chain is linked to its end.
        signature.extend("link", &embed.callbacks);
        signature.extend("link_error", &embed.errbacks);
    } else {
        link(&mut signature, "link", &embed.callbacks);
        link(&mut signature, "link_error", &embed.errbacks);
    }
    let mut planner = Planner::new(&ended.sender);
    let group = ended.group.clone();
    let group = group.map(|(group, index)| (group, index.map(Json::from)));
    let options = [
        ("replaced_task_nesting".to_owned(), Json::from(nesting)),
        ("retries".to_owned(), Json::from(u64::from(retries))),
    ];
    outrank(&mut signature, &options, 0)?;
    let place = Place {
        chain: embed.chain.clone(),
        chord: embed.chord.clone(),
        group,
        id: Some(ended.sender.id.clone()),
        ..Place::default()
    };
    planner.send(signature, place, 0)?;
    Ok(planner.plan)
}

/// Gives options to whichever task gets the id.
fn outrank(
    signature: &mut Signature,
    options: &[(String, Json)],
    depth: usize,
) -> Result<(), CanvasError> {
    if depth > DEPTH {
        return Err(CanvasError::Deep);
    }
    match signature.kind {
        Kind::Task | Kind::Group | Kind::Chunks => {
            signature.options.extend(options.iter().cloned());
        }
        Kind::Chain => {
            let mut steps = steps::chain(signature, depth)?;
            if let Some(last) = steps.last_mut() {
                outrank(last, options, depth + 1)?;
            }
            set_tasks(signature, &steps);
            // They stand in the steps now.
            signature.options.remove("link");
            signature.options.remove("link_error");
        }
        Kind::Chord => {
            let mut body = body(signature)?;
            outrank(&mut body, options, depth + 1)?;
            steps::replace_body(signature, &body);
        }
    }
    Ok(())
}

/// A group has no result of its own: `celery.accumulate` makes one of its members'.
fn uplifted(signature: Signature) -> Signature {
    let accumulate = || {
        let document = r#"{"task": "celery.accumulate", "kwargs": {"index": 0}}"#;
        Json::read(document).and_then(|json| Signature::read(&json).ok())
    };
    match (signature.kind, accumulate()) {
        (Kind::Group, Some(accumulate)) => Signature::chord(&signature, &accumulate),
        _ => signature,
    }
}

/// Takes out what a guest may not say, however deep it stands.
fn clean(signature: &Signature, depth: usize) -> Result<Signature, CanvasError> {
    if depth > DEPTH {
        return Err(CanvasError::Deep);
    }
    let mut signature = signature.clone();
    signature
        .options
        .retain(|name, _| !NOT_A_GUESTS.contains(&name.as_str()));
    for name in ["link", "link_error", "chain"] {
        let some = signature.listed(name);
        let some = some.iter().map(|one| cleaned(one, depth));
        let some: Vec<Json> = some.collect::<Result<_, _>>()?;
        if !some.is_empty() {
            signature
                .options
                .insert(name.to_owned(), Json::array(&some));
        }
    }
    signature.options.remove("chord");
    match signature.kind {
        Kind::Group | Kind::Chain => {
            let tasks = signature.part("tasks").ok_or(CanvasError::Shape("tasks"))?;
            let tasks = list(&tasks, depth)?;
            let kwargs = Json::read(&format!(r#"{{"tasks": {tasks}}}"#));
            signature.kwargs = kwargs.unwrap_or_else(|| signature.kwargs.clone());
        }
        Kind::Chord => {
            let (header, body) = (header(&signature)?, body(&signature)?);
            let options = std::mem::take(&mut signature.options);
            let header = clean(&header, depth + 1)?;
            signature = Signature::chord(&header, &clean(&body, depth + 1)?);
            signature.options = options;
        }
        Kind::Task | Kind::Chunks => {}
    }
    Ok(signature)
}

fn cleaned(json: &Json, depth: usize) -> Result<Json, CanvasError> {
    Ok(clean(&Signature::read(json)?, depth + 1)?.json())
}

fn list(tasks: &Json, depth: usize) -> Result<Json, CanvasError> {
    let mut all = Vec::new();
    for task in steps::read(tasks)? {
        all.push(clean(&task, depth + 1)?.json());
    }
    Ok(Json::array(&all))
}

/// The id in Celery's tuple of a result.
fn first(tuple: &Json) -> Option<String> {
    tuple.items()?.first()?.items()?.first()?.parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::canvas::Embed;

    fn read(text: &str) -> Signature {
        Signature::read(&Json::read(text).unwrap()).unwrap()
    }

    fn sender() -> Sender {
        Sender {
            id: "parent".to_owned(),
            root: "root".to_owned(),
            seed: "parent:0".to_owned(),
        }
    }

    const FORGED: &str = r#""options": {"task_id": "theirs", "group_id": "g", "reply_to": "q",
        "root_id": "r", "chord": {"task": "b"}, "queue": "mine",
        "link": [{"task": "c", "options": {"task_id": "theirs"}}]}"#;

    #[test]
    fn a_guest_names_no_ids_however_deep() {
        let task = format!(r#"{{"task": "a", {FORGED}}}"#);
        for document in [
            task.clone(),
            format!(
                r#"{{"task": "celery.group", "subtask_type": "group", "kwargs": {{"tasks": [{task}, {task}]}}, {FORGED}}}"#
            ),
            format!(
                r#"{{"task": "celery.chain", "subtask_type": "chain", "kwargs": {{"tasks": [{task}, {task}]}}}}"#
            ),
            format!(
                r#"{{"task": "celery.chord", "subtask_type": "chord", "kwargs": {{"header": [{task}], "body": {task}}}}}"#
            ),
        ] {
            let (id, plan) = submitted(&sender(), &read(&document)).unwrap();
            assert!(!format!("{plan:?}").contains("theirs"), "{plan:?}");
            assert!(!id.is_empty() && id != "theirs");
            assert!(plan.sends.iter().all(|send| send.root == "root"));
            assert!(
                plan.sends
                    .iter()
                    .all(|send| send.options.reply_to.is_none())
            );
            assert_eq!(plan.sends[0].options.queue.as_deref(), Some("mine"));
        }
    }

    #[test]
    fn what_follows_a_task_follows_what_replaces_it() {
        let json = |text| Json::read(text).unwrap();
        let ended = Ended {
            sender: sender(),
            embed: Embed {
                callbacks: vec![json(r#"{"task": "callback"}"#)],
                errbacks: vec![json(r#"{"task": "errback"}"#)],
                chain: vec![json(r#"{"task": "next"}"#)],
                chord: Some(json(r#"{"task": "body"}"#)),
            },
            group: Some(("g".to_owned(), Some(3))),
        };
        let plan = replacing(&ended, &read(r#"{"task": "a"}"#), 1, 4).unwrap();
        let [send] = plan.sends.as_slice() else {
            panic!("{plan:?}");
        };
        assert_eq!((send.id.as_str(), send.group_index), ("parent", Some(3)));
        assert_eq!(
            (send.callbacks.len(), send.errbacks.len(), send.chain.len()),
            (1, 1, 1)
        );
        assert!(send.chord.is_some());
        assert_eq!(
            (send.options.replaced_task_nesting, send.options.retries),
            (1, 4)
        );
        let chain = r#"{"task": "celery.chain", "subtask_type": "chain",
            "kwargs": {"tasks": [{"task": "a"}, {"task": "b"}]}}"#;
        let plan = replacing(&ended, &read(chain), 1, 4).unwrap();
        let first = &plan.sends[0];
        assert_ne!(first.id, "parent");
        assert_eq!((first.chord.as_ref(), first.callbacks.len()), (None, 0));
        let last = Signature::read(&first.chain[1]).unwrap();
        assert_eq!(
            (first.options.retries, last.options["retries"].as_str()),
            (0, "4")
        );
        assert_eq!(last.option("task_id").as_deref(), Some("parent"));
        assert_eq!(last.listed("link").len(), 1);
        assert_eq!(last.option("group_id").as_deref(), Some("g"));
        let group = r#"{"task": "celery.group", "subtask_type": "group",
            "kwargs": {"tasks": [{"task": "a"}, {"task": "b"}]}}"#;
        let plan = replacing(&ended, &read(group), 1, 4).unwrap();
        let body = Signature::read(plan.sends[0].chord.as_ref().unwrap()).unwrap();
        assert_eq!(
            (body.task.as_str(), body.option("task_id").as_deref()),
            ("celery.accumulate", Some("parent"))
        );
    }
}
