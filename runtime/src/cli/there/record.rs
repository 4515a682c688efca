//! What a control plane tells of a task, as the record that workers keep.

use super::strange;
use crate::cli::exit::Problem;
use crate::plane::{Raised, TaskStatus};
use crate::results::{Exception, Record};
use crate::task::{Fence, State, TaskId};
use bytes::Bytes;

/// Reads it; `None` where nothing is stored.
pub(super) fn of(status: TaskStatus) -> Result<Option<Record>, Problem> {
    let Some(known) = status.known else {
        return Ok(None);
    };
    let usage = serde_json::to_value(&known.usage).and_then(serde_json::from_value);
    let due = known.due.map(|due| due.parse()).transpose();
    let text = |raw: Box<serde_json::value::RawValue>| Box::<str>::from(raw).into_string();
    Ok(Some(Record {
        id: TaskId::parse(&status.id).map_err(|error| strange(&error))?,
        task: known.task,
        fence: Fence {
            retries: known.retries,
            deliveries: known.deliveries,
        },
        state: State::from_word(&status.state),
        result: known.result.map(|result| Bytes::from(text(result))),
        exception: known.exception.map(exception),
        due: due.map_err(|error: jiff::Error| strange(&error))?,
        worker: known.worker,
        usage: usage.map_err(|error| strange(&error))?,
        log: known.log.map(text),
        written_at: known
            .written_at
            .parse()
            .map_err(|error: jiff::Error| strange(&error))?,
    }))
}

fn exception(raised: Raised) -> Exception {
    Exception {
        class: raised.class,
        module: raised.module,
        message: raised.message,
        trace: raised.trace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show;

    #[test]
    fn programs_get_the_same_document_there_as_here() {
        let text = r#"{"id":"7f3a","state":"SUCCESS","ended":true,"task":"a.b","result":{"z":1.10},"exception":null,"retries":1,"deliveries":2,"due":null,"worker":"w@h","usage":{"queue_wait_ms":1,"run_us":2,"cpu_us":3,"memory_peak_bytes":4,"bytes_in":5,"bytes_out":6,"host_calls":7,"uses":{"http":{"calls":1,"denied":0,"bytes_in":0,"bytes_out":0}}},"log":null,"written_at":"2026-01-31T14:05:00Z"}"#;
        let record = of(serde_json::from_str(text).unwrap()).unwrap().unwrap();
        let document = show::document("7f3a", Some(&record));
        let document = serde_json::to_string(&document).unwrap();
        assert_eq!(document, text.replace("\"ended\":true,", ""));
    }

    #[test]
    fn of_a_task_that_waits_nothing_is_known() {
        let pending = r#"{"id":"7","state":"PENDING","ended":false}"#;
        let read = of(serde_json::from_str(pending).unwrap());
        assert_eq!(read.unwrap(), None);
        let strange = r#"{"id":"7","state":"SUCCESS","ended":true,"task":"a.b","result":null,"exception":null,"retries":1,"deliveries":2,"due":"soon","worker":"w@h","usage":{},"log":null,"written_at":"2026-01-31T14:05:00Z"}"#;
        let error = of(serde_json::from_str(strange).unwrap()).unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}
