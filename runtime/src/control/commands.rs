//! The commands by their names.

use super::arguments::Arguments;
use super::{Control, change, show};
use crate::celery::pidbox::Request;
use crate::celery::repr;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

/// What is about the whole worker, and so for its operator alone.
const OWN: [&str; 8] = [
    "shutdown",
    "pool_grow",
    "pool_shrink",
    "pool_restart",
    "autoscale",
    "conf",
    "dump_conf",
    "report",
];

/// What a command says.
#[derive(Debug)]
pub(super) enum Said {
    /// This.
    Value(Box<RawValue>),
    /// Nothing at all.
    Nothing,
}

/// What a command says, or what is wrong.
pub(super) type Told = Result<Box<RawValue>, String>;

/// Writes a value.
pub(super) fn json(value: &impl Serialize) -> Told {
    to_raw_value(value).map_err(|error| error.to_string())
}

/// Says that something was done.
pub(super) fn ok(words: &str) -> Told {
    json(&json!({"ok": words}))
}

/// Does what is asked.
pub(super) async fn run(control: &Control, request: &Request) -> Said {
    if !control.facts.tenant.is_default() && OWN.contains(&request.method.as_str()) {
        let words = format!(
            "{} is for the operator of this worker: it serves other tenants as well",
            request.method
        );
        return json(&json!({"error": words})).map_or(Said::Nothing, Said::Value);
    }
    if request.method == "shutdown" {
        tracing::info!("a stop was asked for by remote control");
        control.shutdown.stop();
        return Said::Nothing;
    }
    let arguments = Arguments {
        method: &request.method,
        values: &request.arguments,
    };
    let told = told(control, &arguments).await;
    let told = told.or_else(|error| json(&json!({"error": error})));
    told.map_or(Said::Nothing, Said::Value)
}

async fn told(control: &Control, arguments: &Arguments<'_>) -> Told {
    match arguments.method {
        "ping" => ok("pong"),
        "clock" => json(&json!({"clock": control.events.lamport().forward()})),
        "stats" => show::stats(control),
        "conf" | "dump_conf" => json(&control.facts.settings),
        "report" => ok(&control.facts.report),
        "registered" | "dump_tasks" => json(&show::registered(
            control,
            &arguments.texts("taskinfoitems"),
        )),
        "active_queues" => json(&show::queues(control)),
        "active" | "dump_active" => show::active(control, arguments.flag("safe")),
        "reserved" | "dump_reserved" => show::reserved(control),
        "scheduled" | "dump_schedule" => show::scheduled(control),
        "revoked" | "dump_revoked" => json(&control.steering.revocations.ids()),
        "killed" => json(&show::killed(control)),
        "query_task" => show::query(control, &arguments.texts("ids")),
        "revoke" | "terminate" => change::revoke(control, arguments).await,
        "revoke_by_stamped_headers" => change::revoke_by_stamps(control, arguments).await,
        "rate_limit" => change::rate_limit(control, arguments),
        "time_limit" => change::time_limit(control, arguments),
        "pool_grow" | "pool_shrink" => change::pool(control, arguments),
        "add_consumer" => change::add_consumer(control, arguments),
        "cancel_consumer" => change::cancel_consumer(control, arguments),
        "enable_events" => change::events(control, true),
        "disable_events" => change::events(control, false),
        "hello" => change::hello(control, arguments).await,
        "heartbeat" => {
            control.events.beat();
            json(&())
        }
        // Nobody is elected here, and nobody measures Python's memory.
        "election" | "memsample" => json(&()),
        // As workers of Celery that have not installed what measures Python.
        "memdump" => json(&"- rss: (psutil not installed).\n"),
        "objgraph" => Err(repr::exception(
            "ImportError",
            "Requires the objgraph library",
        )),
        "autoscale" => Err(repr::exception("ValueError", "Autoscale not enabled")),
        "pool_restart" => Err(repr::exception("ValueError", "Pool restarts not enabled")),
        unknown => Err(repr::exception("KeyError", unknown)),
    }
}
