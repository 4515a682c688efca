//! Messages of tasks: headers, compression, and bodies of every format.

use crate::capture::read;
use crate::envelopes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use celeriac::celery::body::{Accept, DEPTH, json};
use celeriac::celery::compression::EXPANDED_BYTES;
use celeriac::celery::envelope::Envelope;
use celeriac::celery::request::retried;
use celeriac::celery::{Message, Request, TaskCall, repr, stamps};
use celeriac::task::{Format, Json};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use support::Corpus;

/// Pieces of messages.
pub(crate) const WORDS: [&[u8]; 34] = [
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"\"",
    b"\\",
    b"null",
    b"true",
    b"NaN",
    b"Infinity",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\\u0000",
    b"\\ud800",
    b"\x1b[2J",
    b"\xc2\x9b",
    b"\xe2\x80\xae",
    b"\"id\": ",
    b"\"task\": ",
    b"\"eta\": ",
    b"\"retries\": ",
    b"\"timelimit\": ",
    b"\"compression\": ",
    b"\"stamps\": ",
    b"\"headers\": ",
    b"\"properties\": ",
    b"\"body\": ",
    b"\"celeriac\": ",
    b"[[], {}, {}]",
    b"2030-01-02T03:04:05+25:61",
    b"application/json",
];
/// Longest reason of a refusal, bytes: it is stored, logged and shown.
const REASON: usize = 2_000;

/// Decodes a message as the worker does, and checks what must hold of any; tells whether
/// it was taken.
pub(crate) fn decodes(message: &Message) -> bool {
    let _names = stamps::stamps(&message.headers);
    let decoded = Request::decode_in(message, &TimeZone::UTC, &Accept::all());
    let request = match decoded {
        Ok(request) => request,
        Err(malformed) => {
            let reason = &malformed.reason;
            assert!(
                !reason.is_empty() && reason.len() <= REASON,
                "{reason:.200}"
            );
            return false;
        }
    };
    let of = |bytes: &Bytes| Json::read(std::str::from_utf8(bytes).expect("UTF-8"));
    let (args, kwargs) = (of(&request.args), of(&request.kwargs));
    assert!(args.expect("one value").as_str().starts_with('['));
    assert!(kwargs.expect("one value").as_str().starts_with('{'));
    assert!(
        request.embed.is_empty()
            || of(&request.embed)
                .expect("one value")
                .as_str()
                .starts_with('{')
    );
    assert!(!request.task.is_empty() && !request.task.chars().any(char::is_control));
    assert!(request.headers.len() <= 64);
    assert!(repr::tuple(&request.args).chars().count() <= 1_100);
    assert!(repr::value(&request.kwargs).chars().count() <= 1_100);
    // Protocol 1 has what it says in the body, where a retry leaves it.
    if message.headers.contains_key("task") {
        let due = Timestamp::UNIX_EPOCH;
        let next = retried(message, request.retries.saturating_add(1), due);
        let next = Request::decode_in(&next, &TimeZone::UTC, &Accept::all()).expect("a retry");
        assert_eq!((&next.id, &next.task), (&request.id, &request.task));
        assert_eq!((&next.args, &next.kwargs), (&request.args, &request.kwargs));
        assert_eq!(next.embed, request.embed);
        assert_eq!(next.eta, Some(due));
    }
    true
}

#[test]
fn any_headers_and_any_body_are_decoded() {
    let messages: Vec<Message> = envelopes::captured()
        .iter()
        .map(|raw| Envelope::read(raw).message)
        .collect();
    let bodies = messages.iter().map(|message| message.body.to_vec());
    let corpus = Corpus::new(bodies.collect(), &WORDS);
    fuzz!(8_000, |script: &[u8]| {
        let (first, rest) = script.split_first().unwrap_or((&0, &[]));
        let (of_headers, of_body) = rest.split_at(rest.len() / 2);
        let mut message = messages[usize::from(*first) % messages.len()].clone();
        let headers = Value::from(message.headers.clone()).to_string();
        let headers = corpus.change(headers.as_bytes(), of_headers);
        if let Ok(headers) = serde_json::from_slice::<Map<String, Value>>(&headers) {
            message.headers = headers;
        }
        message.body = Bytes::from(corpus.change(&message.body, of_body));
        decodes(&message)
    });
}

/// A message whose body is of a format, compressed in a way or not.
fn of(content_type: &str, compression: &str, body: Vec<u8>) -> Message {
    let mut message = TaskCall::new("t", "[]", "{}").unwrap().message("me");
    message.body = body.into();
    message.content_type = content_type.to_owned();
    message.content_encoding = "binary".to_owned();
    message
        .headers
        .insert("compression".to_owned(), compression.into());
    message
}

/// Reads a body, and checks that it has become JSON within its bounds; tells whether it has.
fn expands(message: &Message) -> bool {
    let sent = message.body.len();
    let Ok(text) = json(message, &Accept::all()) else {
        return false;
    };
    assert!(text.len() as u64 <= EXPANDED_BYTES.max(sent as u64));
    if message.content_type != Format::Json.content_type() {
        let value = Json::read(std::str::from_utf8(&text).expect("UTF-8")).expect("one value");
        assert!(deepest(value.as_str()) <= DEPTH, "{:.200}", value.as_str());
    }
    decodes(message);
    true
}

fn deepest(json: &str) -> usize {
    let (mut depth, mut most, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => depth += 1,
            b']' | b'}' if !is_text => depth -= 1,
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

#[test]
fn any_pickle_is_read_as_plain_data_or_not_at_all() {
    let capture = read("pickles");
    let seeds = capture["pickles"].as_array().unwrap().iter();
    let mut seeds: Vec<_> = seeds.map(|one| hex(one["hex"].as_str().unwrap())).collect();
    seeds.push(b"cos\nsystem\n(S'true'\ntR.".to_vec());
    let words: [&[u8]; 16] = [
        b"(",
        b"]",
        b"}",
        b")",
        b"t",
        b"a",
        b"e",
        b"s",
        b"u",
        b"R",
        b"c",
        b"\x94",
        b"h\x00",
        b"\x8b\xff\xff\xff\x7f",
        b"X\xff\xff\xff\xff",
        b"cos\nsystem\n",
    ];
    let corpus = Corpus::new(seeds, &words);
    fuzz!(6_000, |script: &[u8]| {
        expands(&of(
            "application/x-python-serialize",
            "",
            corpus.changed(script),
        ))
    });
}

#[test]
fn any_yaml_is_read_within_its_bounds() {
    let yaml: [&[u8]; 3] = [
        b"- - 2\n  - 3\n- z: \"\\xE9\"\n  d: 2030-01-02 03:04:05\n  n: 0x1f\n  s: !!set {a, b}\n- callbacks: null\n",
        b"- - &a [x, x, x]\n  - &b [*a, *a, *a]\n  - [*b, *b, *b]\n- {<<: {k: 1}}\n- {}\n",
        b"- [!!binary aGk=, !!python/tuple [1], .inf, ~, 1_000, 190:20:30]\n- {}\n- null\n",
    ];
    let words: [&[u8]; 12] = [
        b"&a ",
        b"*a",
        b"- ",
        b": ",
        b"? ",
        b"!!",
        b"{",
        b"[",
        b"|\n ",
        b"<<: *a",
        b"---\n",
        b"99999999999999999999",
    ];
    let yaml = Corpus::new(yaml.map(<[u8]>::to_vec).to_vec(), &words);
    fuzz!(6_000, |script: &[u8]| {
        expands(&of("application/x-yaml", "", yaml.changed(script)))
    });
}

#[test]
fn any_msgpack_is_read_within_its_bounds() {
    let msgpack: [&[u8]; 2] = [
        b"\x93\x92\x02\x03\x81\xa1z\xa2\xc3\xa9\x84\xa9callbacks\xc0\xa8errbacks\xc0\xa5chain\xc0\xa5chord\xc0",
        b"\x93\x95\xcb?\xf8\0\0\0\0\0\0\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc4\x02hi\xd6\xff\0\0\0\0\xc7\x01\x05x\x80\xc0",
    ];
    let words: [&[u8]; 8] = [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\x7f\xff\xff\xff",
        b"\xc1",
        b"\x91",
        b"\x81",
        b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xcb\x7f\xf0\0\0\0\0\0\0",
    ];
    let msgpack = Corpus::new(msgpack.map(<[u8]>::to_vec).to_vec(), &words);
    fuzz!(6_000, |script: &[u8]| {
        expands(&of("application/x-msgpack", "", msgpack.changed(script)))
    });
}

#[test]
fn any_compressed_body_expands_within_its_bounds() {
    let capture = read("compressed");
    let kinds: Vec<(String, Vec<u8>)> = capture["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| {
            let body = STANDARD.decode(kind["small"].as_str().unwrap()).unwrap();
            (kind["compression"].as_str().unwrap().to_owned(), body)
        })
        .collect();
    let seeds = kinds.iter().map(|(_, body)| body.clone()).collect();
    let corpus = Corpus::new(
        seeds,
        &[b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"],
    );
    fuzz!(3_000, |script: &[u8]| {
        let (first, rest) = script.split_first().unwrap_or((&0, &[]));
        let (kind, body) = &kinds[usize::from(*first) % kinds.len()];
        expands(&of("application/json", kind, corpus.change(body, rest)))
    });
}
