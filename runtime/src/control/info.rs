//! What is said of one task.

use crate::celery::repr;
use crate::events::seconds;
use crate::worker::roll::Entry;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Longest arguments that are repeated as they are, bytes (8 KiB); of longer ones
/// the start is shown, as text.
const ARGUMENTS: usize = 8 << 10;
/// Most bytes of arguments in one answer (4 MiB); the rest is shown as text.
const ANSWER: usize = 4 << 20;

/// A task, as Celery describes it.
#[derive(Debug, Serialize)]
pub(super) struct Info {
    pub(super) id: String,
    name: String,
    args: Box<RawValue>,
    kwargs: Box<RawValue>,
    #[serde(rename = "type")]
    task: String,
    hostname: String,
    time_start: Option<f64>,
    acknowledged: bool,
    delivery_info: Delivery,
    worker_pid: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Delivery {
    exchange: &'static str,
    routing_key: String,
    priority: u8,
    redelivered: bool,
}

/// Describes tasks, within the bounds of one answer.
pub(super) struct Describing<'a> {
    pub(super) hostname: &'a str,
    left: usize,
}

impl<'a> Describing<'a> {
    /// With `safe`, all arguments are shown as text.
    pub(super) fn new(hostname: &'a str, safe: bool) -> Self {
        let left = if safe { 0 } else { ANSWER };
        Self { hostname, left }
    }

    pub(super) fn info(&mut self, entry: Entry) -> Info {
        let time_start = entry.started.map(seconds);
        Info {
            args: self.arguments(&entry.args, repr::tuple),
            kwargs: self.arguments(&entry.kwargs, repr::value),
            id: entry.id,
            name: entry.name,
            task: entry.task,
            hostname: self.hostname.to_owned(),
            time_start,
            acknowledged: entry.acknowledged,
            delivery_info: Delivery {
                exchange: "",
                routing_key: entry.queue,
                priority: entry.priority,
                redelivered: entry.redelivered,
            },
            worker_pid: time_start.map(|_| std::process::id()),
        }
    }

    fn arguments(&mut self, json: &Bytes, shown: fn(&[u8]) -> String) -> Box<RawValue> {
        let fits = json.len() <= ARGUMENTS.min(self.left);
        if fits && let Ok(raw) = serde_json::from_slice::<Box<RawValue>>(json) {
            self.left -= json.len();
            return raw;
        }
        // A text is always JSON.
        to_raw_value(&shown(json)).unwrap_or_default()
    }
}
