//! Whether what follows from a task fits into messages. Asked before the end of the task
//! is stored: a message that no broker takes would be tried for ever.

use crate::broker::BODY_BYTES;
use crate::policy::canvas::{CanvasError, Failure, Plan, Send};
use crate::task::Json;

/// What the parts of a message have around them: brackets, names of members, headers that
/// every message has (64 KiB, of which a traceback or a name takes the most).
const AROUND: u64 = 64 << 10;

/// Checks that each message of a plan is one that brokers take.
pub(super) fn check(plan: &Plan) -> Result<(), CanvasError> {
    match plan.sends.iter().find(|send| !fits(send)) {
        Some(send) => Err(too_large(send)),
        None => Ok(()),
    }
}

/// Fails what does not fit, where the rest is to be sent all the same.
pub(super) fn cut(plan: &mut Plan) {
    let failed = plan.sends.extract_if(.., |send| !fits(send)).map(failure);
    plan.failures.extend(failed);
}

fn failure(send: Send) -> Failure {
    Failure {
        exception: too_large(&send).exception(),
        id: send.id,
        task: send.task,
        group: send.group,
        reply_to: send.options.reply_to,
    }
}

fn too_large(send: &Send) -> CanvasError {
    CanvasError::TooLarge {
        task: send.task.clone(),
        bytes: bytes(send),
        allowed: BODY_BYTES - AROUND,
    }
}

fn fits(send: &Send) -> bool {
    bytes(send) <= BODY_BYTES - AROUND
}

/// The bytes of what the sender and the caller put into a message.
fn bytes(send: &Send) -> u64 {
    let Send {
        id: _,
        task: _,
        before,
        args,
        kwargs,
        root: _,
        parent: _,
        group: _,
        group_index: _,
        callbacks,
        errbacks,
        chain,
        chord,
        options,
    } = send;
    let lists = [before, callbacks, errbacks, chain].into_iter().flatten();
    let headers = options.headers.iter().chain(&options.stamps);
    let named = headers.map(|(name, value)| length(name) + length(value.as_str()));
    let values = lists.chain([args, kwargs]).chain(chord);
    values.map(Json::as_str).map(length).chain(named).sum()
}

fn length(text: &str) -> u64 {
    // Two bytes between it and the next.
    u64::try_from(text.len())
        .unwrap_or(u64::MAX)
        .saturating_add(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::canvas::Options;

    fn sends(bytes: u64) -> Plan {
        let filled = "7".repeat(usize::try_from(bytes).unwrap());
        Plan {
            sends: [("small", "1"), ("large", filled.as_str())]
                .map(|(id, before)| Send {
                    id: id.to_owned(),
                    task: "m.t".to_owned(),
                    before: vec![Json::read(before).unwrap()],
                    args: Json::read("[]").unwrap(),
                    kwargs: Json::read("{}").unwrap(),
                    root: String::new(),
                    parent: String::new(),
                    group: None,
                    group_index: None,
                    callbacks: Vec::new(),
                    errbacks: Vec::new(),
                    chain: Vec::new(),
                    chord: None,
                    options: Options::default(),
                })
                .into(),
            ..Plan::default()
        }
    }

    #[test]
    fn what_no_broker_takes_is_not_sent_and_the_rest_is() {
        assert_eq!(check(&sends(BODY_BYTES - AROUND - 100)), Ok(()));
        let mut plan = sends(BODY_BYTES - AROUND);
        let error = check(&plan).unwrap_err();
        assert!(error.to_string().contains("m.t"), "{error}");
        cut(&mut plan);
        let ids = |plan: &Plan| {
            let sends: Vec<_> = plan.sends.iter().map(|send| send.id.clone()).collect();
            let failures: Vec<_> = plan.failures.iter().map(|one| one.id.clone()).collect();
            (sends, failures)
        };
        let expected = (vec!["small".to_owned()], vec!["large".to_owned()]);
        assert_eq!(ids(&plan), expected);
    }
}
