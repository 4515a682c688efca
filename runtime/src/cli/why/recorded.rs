//! What is said of a task from what is stored of it, or from nothing, where no message
//! of it was found.

use super::seen::Seen;
use super::verdict::Said;
use super::words::{counted, due, raised};
use crate::broker::{LOOKED_AT, Reach};
use crate::cli::show;
use crate::results::Record;
use crate::task::State;
use crate::telemetry::human;

/// It is over: what became of it, and when.
pub(super) fn ended(seen: &Seen, record: &Record) -> Said {
    let on = match record.worker_name() {
        "" => String::new(),
        worker => format!(" on {worker}"),
    };
    let when = show::ago(seen.now, record.written_at);
    let head = match record.state {
        State::Success => "succeeded",
        State::Revoked => "revoked",
        State::Failure | State::Started | State::Retry | State::Custom(_) => "failed",
    };
    let exception = record.exception.as_ref();
    let why = exception.map_or(String::new(), |exception| {
        format!(": {}", raised(exception))
    });
    let mut more = vec![format!("its result: celeriac result {}", seen.id)];
    if record.usage.run_us > 0 {
        more.insert(
            0,
            format!("its last run was over{}", show::used(&record.usage)),
        );
    }
    Said {
        place: "over",
        head: head.to_owned(),
        rest: format!(" {when}{on}{why}"),
        more,
        since: Some(record.written_at),
        worker: Some(record.worker_name().to_owned()).filter(|worker| !worker.is_empty()),
        ..Said::default()
    }
}

/// Its message was not seen, but something is stored.
pub(super) fn recorded(seen: &Seen, record: &Record) -> Said {
    let state = &record.state;
    let mut said = match (state, record.due) {
        (State::Retry, Some(until)) => {
            let number = u64::from(record.fence.retries) + 1;
            let mut why = counted(number, seen.max_retries);
            if let Some(exception) = &record.exception {
                why = format!("{why} after {}", raised(exception));
            }
            Said {
                place: "parked",
                head: "parked".to_owned(),
                rest: format!(" until {}: {why}", due(seen.now, until)),
                until: Some(until),
                ..Said::default()
            }
        }
        _ => Said {
            place: "unknown",
            head: format!("{state}"),
            rest: format!(
                " was told {} by {}, which does not answer for it now",
                show::ago(seen.now, record.written_at),
                record.worker_name()
            ),
            since: Some(record.written_at),
            worker: Some(record.worker_name().to_owned()),
            ..Said::default()
        },
    };
    said.more.extend(unseen(seen));
    said
}

/// Nobody who answers knows of it.
pub(super) fn unknown(seen: &Seen) -> Said {
    let mut more = Vec::new();
    more.push(match seen.keeps_results {
        true => "nothing is stored of it: it has not ended, its result expired, or it was sent with ignore_result".to_owned(),
        false => "no results are kept here: name the place that the workers use with --result-backend".to_owned(),
    });
    more.extend(unseen(seen));
    more.push("or it was never sent to this broker, or was purged".to_owned());
    Said {
        place: "unknown",
        head: "unknown".to_owned(),
        rest: ": no worker that answers has it".to_owned(),
        more,
        ..Said::default()
    }
}

/// Says what was looked at, and what could not be.
fn unseen(seen: &Seen) -> Vec<String> {
    let named = |queues: &[String]| match queues {
        [] => "no queue".to_owned(),
        some => some.join(", "),
    };
    match &seen.looked.reach {
        Reach::All(queues) => vec![format!("it is not in {}", named(queues))],
        Reach::Part { queues, longer } => vec![
            format!("it is not in {}", named(queues)),
            format!(
                "as far as was looked: {} have more than {LOOKED_AT} messages",
                named(longer)
            ),
        ],
        Reach::DeadLetters(queues) => {
            let mut lines = vec![format!(
                "it is no dead letter of {}; this broker shows no message that waits or is not due",
                named(queues)
            )];
            let waiting = seen.depths.iter().filter(|(_, depth)| depth.ready > 0);
            lines.extend(waiting.map(|(queue, depth)| {
                let waiting = human::count(depth.ready, "message");
                format!("queue {queue} holds {waiting} ready to be taken: it may be there")
            }));
            lines
        }
        Reach::Nothing => vec!["this broker shows no messages".to_owned()],
    }
}
