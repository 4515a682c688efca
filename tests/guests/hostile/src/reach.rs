//! Tasks that reach for what nobody granted.

use crate::bindings::celeriac::task::submit::{Job, SubmitError, When};
use crate::bindings::celeriac::task::{ambient, context};
use crate::bindings::exports::celeriac::task::handler::Payload;
use crate::{Answer, Task, bytes, failure};
use std::hint::black_box;

pub(crate) const TASKS: &[Task] = &[
    ("read_a_file", |_| {
        attempt(std::fs::read("/etc/passwd").map(|bytes| bytes.len()))
    }),
    ("write_a_file", |_| {
        attempt(std::fs::write("/tmp/owned", "x"))
    }),
    ("list_files", |_| {
        attempt(std::fs::read_dir("/").map(Iterator::count))
    }),
    ("environment", |_| {
        bytes(std::env::vars_os().count().to_string())
    }),
    ("arguments", |_| {
        bytes(std::env::args_os().count().to_string())
    }),
    ("read_stdin", |_| {
        attempt(std::io::read_to_string(std::io::stdin()).map(|text| text.len()))
    }),
    ("open_a_socket", |_| {
        attempt(std::net::TcpStream::connect("127.0.0.1:22").map(|_| 0))
    }),
    ("too_much_random", |_| {
        bytes(ambient::random_bytes(u32::MAX).len().to_string())
    }),
    ("much_random_in_pieces", |_| much_random_in_pieces()),
    ("secret_header", |_| {
        bytes(format!("{:?}", context::header("authorization").is_some()))
    }),
    ("submit_bomb", |_| submit_bomb()),
    ("hoard_jobs", |_| hoard_jobs()),
];

/// Fails with the error, so that a test can tell "denied" from "allowed".
fn attempt<T: std::fmt::Debug>(result: std::io::Result<T>) -> Answer {
    match result {
        Ok(value) => bytes(format!("\"{value:?}\"")),
        Err(error) => Err(failure("OSError", error.to_string())),
    }
}

fn much_random_in_pieces() -> Answer {
    let mut sum = 0_u64;
    for _ in 0..16 {
        sum += ambient::random_bytes(64 << 10)
            .iter()
            .map(|byte| u64::from(*byte))
            .sum::<u64>();
    }
    bytes((sum > 0).to_string())
}

fn empty(json: &str) -> Payload {
    Payload {
        content_type: "application/json".to_owned(),
        data: json.into(),
    }
}

/// Submits itself as often as it may, and tells how often that was.
fn submit_bomb() -> Answer {
    let mut sent = 0;
    for _ in 0..100_000 {
        let job = Job::new("hostile.submit_bomb", &empty("[]"), &empty("{}"));
        match Job::submit(job, When::Now) {
            Ok(_) => sent += 1,
            Err(SubmitError::Denied(_) | SubmitError::QuotaExceeded) => break,
            Err(other) => return Err(failure("SubmitError", format!("{other:?}"))),
        }
    }
    bytes(sent.to_string())
}

/// Makes resources and keeps them all.
fn hoard_jobs() -> Answer {
    let mut kept = Vec::new();
    loop {
        kept.push(Job::new("a.b", &empty("[]"), &empty("{}")));
        black_box(&kept);
    }
}
