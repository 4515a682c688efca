//! A component whose tasks try everything that a sandbox must stop.
//!
//! It speaks the contract itself, without the SDK, as a guest in any language
//! could: the SDK would check results, sizes and names on its behalf. Which
//! outcome each task must end in is the table in `tests/guests/outcomes.rs`.
#![cfg(target_arch = "wasm32")]

#[rustfmt::skip]
#[path = "../../../../sdk/src/bindings.rs"]
#[allow(dead_code, unused_imports)]
mod bindings;
mod memory;
mod output;
mod reach;
mod results;
mod stores;
mod time;

use bindings::celeriac::task::types::{Failure, OutcomeError};
use bindings::exports::celeriac::task::handler::{self, Call, Payload};
use bindings::exports::celeriac::task::manifest::{self, Limits, TaskInfo};

type Answer = Result<Payload, OutcomeError>;
type Task = (&'static str, fn(&Call) -> Answer);

/// All tasks, in the order of their files.
const TABLES: [&[Task]; 6] = [
    time::TASKS,
    memory::TASKS,
    output::TASKS,
    results::TASKS,
    reach::TASKS,
    stores::TASKS,
];

struct Hostile;

impl manifest::Guest for Hostile {
    fn describe() -> Vec<TaskInfo> {
        TABLES
            .iter()
            .flat_map(|table| table.iter())
            .map(|(name, _)| info(name))
            .collect()
    }
}

impl handler::Guest for Hostile {
    fn run(call: Call) -> Answer {
        let mut tasks = TABLES.iter().flat_map(|table| table.iter());
        match tasks.find(|(name, _)| *name == call.task) {
            Some((_, task)) => task(&call),
            None => Err(failure(
                "LookupError",
                format!("there is no task {:?}", call.task),
            )),
        }
    }
}

bindings::export_component!(Hostile with_types_in bindings);

fn info(name: &str) -> TaskInfo {
    TaskInfo {
        name: name.to_owned(),
        doc: String::new(),
        params: Vec::new(),
        result_schema: None,
        limits: Limits {
            wall_ms: None,
            soft_wall_ms: None,
            cpu_ms: None,
            memory_bytes: None,
            result_bytes: None,
        },
        retry: None,
        at_most_once: false,
        wants: Vec::new(),
        extra: Vec::new(),
    }
}

/// Returns these bytes as the result, whatever they are.
fn bytes(data: impl Into<Vec<u8>>) -> Answer {
    Ok(Payload {
        content_type: "application/json".to_owned(),
        data: data.into(),
    })
}

fn failure(kind: &str, message: String) -> OutcomeError {
    OutcomeError::Failure(Failure {
        kind: kind.to_owned(),
        message,
        trace: None,
        retryable: None,
    })
}
