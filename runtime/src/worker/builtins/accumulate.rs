//! `celery.accumulate`: returns its arguments, or the one at an index. Celery puts it behind
//! a group that replaces a task.

use super::Done;
use crate::celery::Request;
use crate::task::{Exception, Json};
use bytes::Bytes;
use serde::Deserialize;

/// Most arguments of which one is picked (100,000): as many as a group has members.
const ARGUMENTS: usize = 100_000;

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    index: Option<i64>,
}

/// Does it.
pub(super) fn accumulate(request: &Request) -> Done {
    let failed =
        |class: &str, text: &str| Done::Failed(Exception::new("builtins", class, text.to_owned()));
    let Ok(Wire { index }) = serde_json::from_slice(&request.kwargs) else {
        return failed(
            "TypeError",
            "celery.accumulate(): index must be a whole number",
        );
    };
    // What is nested too deep for others to read is no result.
    let args = Json::read(&String::from_utf8_lossy(&request.args));
    let Some(args) = args.filter(Json::is_result) else {
        return failed(
            "ValueError",
            "celery.accumulate(): the arguments are nested too deep",
        );
    };
    let result = match index {
        None => Ok(args),
        Some(index) => pick(&args, index),
    };
    match result {
        Ok(result) => Done::Succeeded(Bytes::copy_from_slice(result.as_str().as_bytes())),
        Err(reason) => failed("IndexError", &format!("celery.accumulate(): {reason}")),
    }
}

/// The argument at an index; below 0 it is counted from the end.
fn pick(args: &Json, index: i64) -> Result<Json, String> {
    let items = args.first_items(ARGUMENTS + 1).unwrap_or_default();
    if items.len() > ARGUMENTS {
        return Err(format!("there are more than {ARGUMENTS} arguments (fixed)"));
    }
    let from_end = || {
        items
            .len()
            .checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    };
    let place = match index < 0 {
        true => from_end(),
        false => usize::try_from(index).ok(),
    };
    let item = place.and_then(|place| items.get(place)).cloned();
    item.ok_or_else(|| format!("index {index} is out of range of {} arguments", items.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accumulated(args: &str, kwargs: &str) -> Result<String, String> {
        let call = crate::celery::TaskCall::new("celery.accumulate", args, kwargs).unwrap();
        match accumulate(&Request::decode(&call.message("test@host")).unwrap()) {
            Done::Succeeded(result) => Ok(String::from_utf8(result.to_vec()).unwrap()),
            Done::Failed(exception) => Err(exception.class),
            other @ (Done::Chord(_) | Done::Later(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_come_back_all_or_one_as_they_were_sent() {
        let args = "[1.00,  \"b\", [3]]";
        for (kwargs, result) in [
            ("{}", Ok(args)),
            (r#"{"index": null}"#, Ok(args)),
            (r#"{"index": 0}"#, Ok("1.00")),
            (r#"{"index": -1}"#, Ok("[3]")),
            (r#"{"index": 3}"#, Err("IndexError")),
            (r#"{"index": -4}"#, Err("IndexError")),
            (r#"{"index": -9223372036854775808}"#, Err("IndexError")),
            (r#"{"index": "x"}"#, Err("TypeError")),
        ] {
            let expected = result.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(accumulated(args, kwargs), expected, "{kwargs}");
        }
    }

    #[test]
    fn one_is_picked_of_at_most_a_hundred_thousand() {
        let args = |count: usize| format!("[{}]", vec!["7"; count].join(","));
        let kwargs = r#"{"index": 1}"#;
        assert_eq!(accumulated(&args(ARGUMENTS), kwargs).unwrap(), "7");
        let over = accumulated(&args(ARGUMENTS + 1), kwargs);
        assert_eq!(over, Err("IndexError".to_owned()));
    }

    #[test]
    fn what_others_could_not_read_is_no_result() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert_eq!(accumulated(&deep, "{}"), Err("ValueError".to_owned()));
    }
}
