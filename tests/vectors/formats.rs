//! Bodies in every compression and every protocol of pickle, as Python writes them.

use crate::capture::read;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use celeriac::celery::body::{Accept, BodyError, json};
use celeriac::celery::compression::EXPANDED_BYTES;
use celeriac::celery::{Message, TaskCall};
use serde_json::Value;

fn message(content_type: &str, body: Vec<u8>) -> Message {
    let call = TaskCall::new("t", "[]", "{}").unwrap();
    Message {
        body: body.into(),
        content_type: content_type.to_owned(),
        content_encoding: "binary".to_owned(),
        ..call.message("me")
    }
}

fn compressed(kind: &Value, body: &str) -> Message {
    let body = STANDARD.decode(body).unwrap();
    let mut message = message("application/json", body);
    message
        .headers
        .insert("compression".to_owned(), kind["compression"].clone());
    message
}

#[test]
fn every_compression_of_python_is_read() {
    let capture = read("compressed");
    for kind in capture["kinds"].as_array().unwrap() {
        let name = &kind["name"];
        let sent = compressed(kind, kind["small"].as_str().unwrap());
        let text =
            json(&sent, &Accept::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(text, capture["text"].as_str().unwrap(), "{name}");
        for end in 0..sent.body.len() - 1 {
            let cut = Message {
                body: sent.body.slice(..end),
                ..sent.clone()
            };
            let read = json(&cut, &Accept::default());
            assert!(
                read.is_err() || read == Ok(text.clone()),
                "{name} {end}: {read:?}"
            );
        }
    }
}

#[test]
fn what_expands_without_end_ends_at_the_limit() {
    for kind in read("compressed")["kinds"].as_array().unwrap() {
        let Some(bomb) = kind["bomb"].as_str() else {
            continue;
        };
        let error = json(&compressed(kind, bomb), &Accept::default()).unwrap_err();
        assert!(
            matches!(error, BodyError::TooLarge { .. }),
            "{}: {error}",
            kind["name"]
        );
        assert!(error.to_string().contains(&EXPANDED_BYTES.to_string()));
    }
}

#[test]
fn every_protocol_of_pickle_means_what_kombu_says() {
    for one in read("pickles")["pickles"].as_array().unwrap() {
        let what = format!("{} of protocol {}", one["name"], one["protocol"]);
        let hex = one["hex"].as_str().unwrap().as_bytes();
        let bytes = hex
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        let sent = message("application/x-python-serialize", bytes.collect());
        let ours = json(&sent, &Accept::all()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let ours: Value = serde_json::from_slice(&ours).unwrap();
        let theirs: Value = serde_json::from_str(one["json"].as_str().unwrap()).unwrap();
        assert_eq!(ours, theirs, "{what}");
    }
}
