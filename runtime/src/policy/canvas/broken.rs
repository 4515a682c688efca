//! Who waits for a signature that cannot be read: its caller knows the id that was to be.

use super::Failure;
use crate::task::{Exception, Json};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What a task is called whose name cannot be read.
const UNKNOWN: &str = "unknown";

/// Returns the failure of what will never be sent; `None` where it has no id that can be
/// read.
pub(super) fn failure(signature: &Json, exception: &Exception) -> Option<Failure> {
    let members: BTreeMap<String, &RawValue> = signature.parse()?;
    let options = Json::from(*members.get("options")?);
    let options: BTreeMap<String, &RawValue> = options.parse()?;
    let text = |of: &BTreeMap<String, &RawValue>, name: &str| -> Option<String> {
        Json::from(*of.get(name)?).parse()
    };
    Some(Failure {
        id: text(&options, "task_id")?,
        task: text(&members, "task").unwrap_or_else(|| UNKNOWN.to_owned()),
        exception: exception.clone(),
        group: text(&options, "group_id"),
        reply_to: text(&options, "reply_to"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(signature: &str) -> Option<(String, String, Option<String>)> {
        let exception = Exception::new("celeriac", "InvalidSignature", "wrong");
        let failed = failure(&Json::read(signature).unwrap(), &exception)?;
        Some((failed.id, failed.task, failed.reply_to))
    }

    #[test]
    fn the_id_of_a_signature_is_found_whatever_else_is_wrong() {
        for (signature, task) in [
            (
                r#"{"task": 7, "options": {"task_id": "i", "reply_to": "r"}}"#,
                "unknown",
            ),
            (
                r#"{"task": "t", "args": {}, "options": {"task_id": "i", "reply_to": "r"}}"#,
                "t",
            ),
            (
                r#"{"task": "t", "immutable": "very", "options": {"reply_to": "r", "task_id": "i"}}"#,
                "t",
            ),
        ] {
            let expected = ("i".to_owned(), task.to_owned(), Some("r".to_owned()));
            assert_eq!(of(signature), Some(expected), "{signature}");
        }
    }

    #[test]
    fn nobody_waits_for_what_has_no_id() {
        let deep = format!(
            r#"{{"options": {}{}}}"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        for signature in [
            "7",
            "[]",
            "{}",
            r#"{"options": []}"#,
            r#"{"options": {"task_id": 7}}"#,
            &deep,
        ] {
            assert_eq!(of(signature), None, "{signature:.40}");
        }
    }

    #[test]
    fn who_waits_for_a_link_or_a_body_that_cannot_be_read_is_told() {
        use crate::policy::canvas::{Embed, Ended, Sender, after_chord, after_failure};
        let sender = Sender {
            id: "parent".to_owned(),
            root: "root".to_owned(),
            seed: "seed".to_owned(),
        };
        let broken = Json::read(r#"{"task": 7, "options": {"task_id": "i"}}"#).unwrap();
        let plan = after_chord(&sender, &broken, Ok(Json::read("[1]").unwrap()));
        let [body] = plan.failures.as_slice() else {
            panic!("{plan:?}");
        };
        assert_eq!(
            (&body.id[..], &body.exception.class[..]),
            ("i", "ChordError")
        );
        let ended = Ended {
            sender,
            embed: Embed {
                chain: vec![broken],
                ..Embed::default()
            },
            group: None,
        };
        let wrong = Exception::new("celeriac", "InvalidSignature", "wrong");
        let plan = after_failure(&ended, &wrong);
        assert_eq!(plan.failures[0].id, "i");
        assert_eq!(plan.failures[0].exception, wrong);
    }
}
