//! The headers of a task message, each checked for its type.

use super::{TASK_NAME_BYTES, TimeLimit, Wrong};
use crate::task::TaskId;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Headers of the protocol; all others are the caller's own.
const PROTOCOL: [&str; 21] = [
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
    "compression",
    "utc",
];
/// Most own headers a guest may read, and bytes of each: they are copied into
/// every attempt.
const OWN: usize = 64;
const OWN_BYTES: usize = 4 << 10;

/// What a task is called in a result when its name cannot be read.
pub(super) const UNKNOWN: &str = "unknown";

pub(super) struct Headers<'a>(pub(super) &'a Map<String, Value>);

impl Headers<'_> {
    /// Who waits for this message, as far as it can be read.
    pub(super) fn caller(&self) -> Option<(TaskId, String)> {
        let id = self.id().ok()?;
        let task = self.task().unwrap_or_else(|_| UNKNOWN.to_owned());
        Some((id, task))
    }

    /// Tells whether a message of protocol 2 begins here.
    pub(super) fn name_a_task(&self) -> bool {
        ["task", "id"].iter().any(|name| self.0.contains_key(*name))
    }

    pub(super) fn id(&self) -> Result<TaskId, Wrong> {
        let id = self
            .text("id")?
            .ok_or_else(|| Wrong::decode("the header id is missing"))?;
        TaskId::parse(&id).map_err(|error| Wrong::decode(format!("the header id: {error}")))
    }

    pub(super) fn task(&self) -> Result<String, Wrong> {
        let name = self.text("task")?;
        let name = name.ok_or_else(|| {
            Wrong::decode("the header task is missing: not a protocol 2 task message")
        })?;
        if is_name(&name) {
            Ok(name)
        } else {
            Err(Wrong::decode("the header task is not a name"))
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Wrong> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(wrong_type(name, other, "a text")),
        }
    }

    pub(super) fn retries(&self) -> Result<u32, Wrong> {
        match self.0.get("retries") {
            None | Some(Value::Null) => Ok(0),
            Some(value) => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                number.ok_or_else(|| wrong_type("retries", value, "a number from 0 to 4294967295"))
            }
        }
    }

    pub(super) fn whole(&self, name: &str) -> Result<Option<i64>, Wrong> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let number = value.as_i64().map(Some);
                number.ok_or_else(|| wrong_type(name, value, "a whole number"))
            }
        }
    }

    pub(super) fn count(&self, name: &str) -> Result<u64, Wrong> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(0),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| wrong_type(name, value, "a number from 0")),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Wrong> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(wrong_type(name, other, "true or false")),
        }
    }

    /// Reads an ISO 8601 moment; one without an offset is of `zone`, or UTC where the
    /// sender says so. What the clocks skip or show twice is read with the offset
    /// from before the change, as Python reads it.
    pub(super) fn moment(&self, name: &str, zone: &TimeZone) -> Result<Option<Timestamp>, Wrong> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let naive = |text: &str| {
            let is_utc = self.0.get("utc") == Some(&Value::Bool(true));
            let zone = if is_utc { &TimeZone::UTC } else { zone };
            text.parse::<DateTime>()
                .and_then(|at| zone.to_timestamp(at))
        };
        let moment = text.parse::<Timestamp>().or_else(|_| naive(&text));
        match moment {
            Ok(moment) => Ok(Some(moment)),
            Err(_) => Err(wrong_type(name, &Value::String(text), "an ISO 8601 moment")),
        }
    }

    pub(super) fn time_limit(&self) -> Result<TimeLimit, Wrong> {
        let value = match self.0.get("timelimit") {
            None | Some(Value::Null) => return Ok(TimeLimit::default()),
            Some(value) => value,
        };
        let wrong = || wrong_type("timelimit", value, "[hard, soft] in seconds");
        let Some([hard, soft]) = value.as_array().map(Vec::as_slice) else {
            return Err(wrong());
        };
        let span = |value: &Value| {
            if value.is_null() {
                return Ok(None);
            }
            let seconds = value.as_f64().filter(|seconds| *seconds > 0.0);
            let span = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            span.map(Some).ok_or_else(wrong)
        };
        Ok(TimeLimit {
            hard: span(hard)?,
            soft: span(soft)?,
        })
    }

    /// The caller's own headers as text, the first 64 that are not over 4 KiB.
    pub(super) fn own(&self) -> BTreeMap<String, String> {
        let own = self
            .0
            .iter()
            .filter(|(name, _)| !name.starts_with("x-celeriac-"))
            .filter(|(name, value)| !PROTOCOL.contains(&name.as_str()) && !value.is_null());
        let texts = own.map(|(name, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), text)
        });
        texts
            .filter(|(name, text)| name.len() + text.len() <= OWN_BYTES)
            .take(OWN)
            .collect()
    }
}

/// Tells whether a header's name is one of the protocol, of a broker or of ours:
/// who sends a task cannot choose it for a header of his own.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let ours = [
        "x-celeriac",
        "x-first-death-",
        "x-last-death-",
        "x-death",
        "x-delivery-count",
    ];
    PROTOCOL.contains(&name)
        || ["redelivered", "x-acquired-count", "x-delay"].contains(&name)
        || ours.iter().any(|beginning| name.starts_with(beginning))
}

/// Tells whether a text may be the name of a task.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= TASK_NAME_BYTES && !text.chars().any(char::is_control)
}

fn wrong_type(name: &str, value: &Value, wanted: &str) -> Wrong {
    let shown: String = value.to_string().chars().take(80).collect();
    Wrong::decode(format!("the header {name} is {shown}; it must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZoneDatabase;
    use serde_json::json;

    fn with(name: &str, value: Value) -> Map<String, Value> {
        Map::from_iter([(name.to_owned(), value)])
    }

    #[test]
    fn a_moment_may_have_an_offset_or_none_which_is_utc() {
        for (text, seconds) in [
            ("2030-01-02T03:04:05+00:00", 1_893_553_445),
            ("2030-01-02T03:04:05.000001Z", 1_893_553_445),
            ("2030-01-02T04:04:05+01:00", 1_893_553_445),
            ("2030-01-02T03:04:05", 1_893_553_445),
            ("2030-01-01T22:04:05-05:00", 1_893_553_445),
        ] {
            let map = with("eta", json!(text));
            let moment = Headers(&map)
                .moment("eta", &TimeZone::UTC)
                .ok()
                .flatten()
                .unwrap();
            assert_eq!(moment.as_second(), seconds, "{text}");
        }
    }

    /// The seconds are what Python's `datetime(…, tzinfo=ZoneInfo(…)).timestamp()`
    /// says with `fold=0`.
    #[test]
    fn a_moment_of_a_zone_is_read_as_python_reads_it() {
        for (zone, text, seconds) in [
            ("Europe/Paris", "2030-07-02T03:04:05", 1_909_184_645),
            // Skipped in spring.
            ("Europe/Paris", "2030-03-31T02:30:00", 1_901_151_000),
            ("Europe/Paris", "2030-03-31T03:00:00", 1_901_149_200),
            ("America/New_York", "2030-03-10T02:00:00", 1_899_356_400),
            ("Australia/Lord_Howe", "2030-10-06T02:15:00", 1_917_445_500),
            // Twice in autumn.
            ("Europe/Paris", "2030-10-27T02:30:00", 1_919_291_400),
            ("Europe/Paris", "2030-10-27T03:00:00", 1_919_296_800),
            ("America/New_York", "2030-11-03T01:59:59", 1_919_915_999),
            ("Australia/Lord_Howe", "2030-04-07T01:45:00", 1_901_717_100),
            // Before and after what the tables of zones list.
            ("Europe/Paris", "1900-01-01T00:00:00", -2_208_989_361),
            ("Europe/Paris", "2099-07-01T00:00:00", 4_086_540_000),
        ] {
            let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
            let map = with("eta", json!(text));
            let moment = Headers(&map).moment("eta", &zone).ok().flatten().unwrap();
            assert_eq!(moment.as_second(), seconds, "{text} in {zone:?}");
        }
    }

    #[test]
    fn a_zone_does_not_touch_what_has_an_offset_or_is_marked_as_utc() {
        let zone = TimeZoneDatabase::bundled().get("Europe/Paris").unwrap();
        let read = |text: &str, mark: Value| {
            let mut map = with("eta", json!(text));
            map.insert("utc".to_owned(), mark);
            let moment = Headers(&map).moment("eta", &zone);
            moment.ok().flatten().unwrap().as_second()
        };
        for text in ["2030-01-02T03:04:05Z", "2030-01-01T22:04:05-05:00"] {
            assert_eq!(read(text, Value::Null), 1_893_553_445, "{text}");
        }
        let naive = "2030-01-02T03:04:05";
        assert_eq!(read(naive, json!(true)), 1_893_553_445);
        for mark in [Value::Null, json!(false), json!("yes"), json!([1])] {
            assert_eq!(read(naive, mark.clone()), 1_893_549_845, "{mark}");
        }
    }

    #[test]
    fn headers_of_a_wrong_type_are_refused_with_the_value() {
        for (name, value) in [
            ("id", json!(7)),
            ("id", json!("")),
            ("task", json!(["a"])),
            ("task", json!("a\nb")),
            ("retries", json!(-1)),
            ("retries", json!("1")),
            ("retries", json!(1.5)),
            ("eta", json!("tomorrow")),
            ("expires", json!(120)),
            ("timelimit", json!([1])),
            ("timelimit", json!([-1, null])),
            ("timelimit", json!(["1", null])),
            ("ignore_result", json!("yes")),
            ("group_index", json!("0")),
            ("replaced_task_nesting", json!(-1)),
        ] {
            let map = with(name, value.clone());
            let headers = Headers(&map);
            let failed = match name {
                "id" => headers.id().is_err(),
                "task" => headers.task().is_err(),
                "retries" => headers.retries().is_err(),
                "timelimit" => headers.time_limit().is_err(),
                "ignore_result" => headers.flag(name).is_err(),
                "group_index" => headers.whole(name).is_err(),
                "replaced_task_nesting" => headers.count(name).is_err(),
                _ => headers.moment(name, &TimeZone::UTC).is_err(),
            };
            assert!(failed, "{name} = {value}");
        }
    }

    #[test]
    fn time_limits_are_hard_first_and_may_be_fractions() {
        let map = with("timelimit", json!([2.5, 1]));
        let limit = Headers(&map).time_limit().ok().unwrap();
        assert_eq!(limit.hard, Some(Duration::from_millis(2_500)));
        assert_eq!(limit.soft, Some(Duration::from_secs(1)));
    }

    #[test]
    fn own_headers_are_text_few_and_small() {
        let mut map = with("task", json!("t"));
        map.insert("x-shop".to_owned(), json!("7"));
        map.insert("x-list".to_owned(), json!([1, 2]));
        map.insert("x-big".to_owned(), json!("x".repeat(OWN_BYTES)));
        let own = Headers(&map).own();
        assert_eq!(own.get("x-shop").map(String::as_str), Some("7"));
        assert_eq!(own.get("x-list").map(String::as_str), Some("[1,2]"));
        assert_eq!(own.len(), 2);
        let many = (0..100).map(|n| (format!("x-{n}"), json!(n))).collect();
        assert_eq!(Headers(&many).own().len(), OWN);
    }
}
