//! Bodies in a format that only their task knows: they become its one argument, as bytes.

use crate::celery::message::Message;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;

/// Makes the JSON body of a call whose one argument holds the bytes. What is to follow
/// the call stands in them too, where nobody can see it: nothing follows.
pub(super) fn wrap(message: &Message, body: &[u8]) -> Bytes {
    let payload = json!({
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "body": { "__type__": "base64", "__value__": STANDARD.encode(body) },
    });
    Bytes::from(json!([[payload], {}, {}]).to_string())
}

#[cfg(test)]
mod tests {
    use crate::celery::body::{Accept, json};
    use crate::celery::message::Message;
    use crate::celery::{Request, request::TaskCall};
    use bytes::Bytes;
    use jiff::tz::TimeZone;

    fn message(content_type: &str) -> Message {
        let call = TaskCall::new("shop.takes", "[]", "{}").unwrap();
        Message {
            body: Bytes::from_static(b"\xff\0shop\""),
            content_type: content_type.to_owned(),
            content_encoding: "bin\"ary".to_owned(),
            ..call.message("test@host")
        }
    }

    #[test]
    fn a_body_that_its_task_reads_itself_is_one_argument_of_bytes() {
        let accept = Accept::default().and_unread("application/x-shop");
        let message = message("application/x-shop");
        let request = Request::decode_in(&message, &TimeZone::UTC, &accept).unwrap();
        let args: serde_json::Value = serde_json::from_slice(&request.args).unwrap();
        assert_eq!(
            args,
            serde_json::json!([{
                "content_type": "application/x-shop",
                "content_encoding": "bin\"ary",
                "body": { "__type__": "base64", "__value__": "/wBzaG9wIg==" },
            }])
        );
        assert_eq!(request.kwargs, "{}");
    }

    #[test]
    fn another_content_type_stays_refused() {
        let accept = Accept::default().and_unread("application/x-shop");
        for other in ["application/x-other", "application/x-shop2", ""] {
            let error = json(&message(other), &accept).unwrap_err();
            assert!(error.to_string().contains("is not accepted"), "{error}");
        }
    }

    #[test]
    fn a_compression_that_nobody_knows_is_refused_here_too() {
        let accept = Accept::default().and_unread("application/x-shop");
        let mut message = message("application/x-shop");
        let name = "application/x-lzop".into();
        message.headers.insert("compression".to_owned(), name);
        let error = json(&message, &accept).unwrap_err();
        assert!(error.to_string().contains("compression"), "{error}");
    }
}
