//! Tasks whose result or failure is not what a caller can be given.

use crate::bindings::celeriac::task::types::{
    Failure, Interruption, OutcomeError, Rejection, Retry,
};
use crate::bindings::exports::celeriac::task::handler::Payload;
use crate::{Answer, Task, bytes, failure};

const MIB: usize = 1 << 20;

pub(crate) const TASKS: &[Task] = &[
    ("echo_args", |call| bytes(call.args.data.clone())),
    ("echo_kwargs", |call| bytes(call.kwargs.data.clone())),
    ("not_json", |_| bytes("{\"a\":")),
    ("two_values", |_| bytes("1 2")),
    ("no_value", |_| bytes("")),
    ("not_a_number", |_| bytes("NaN")),
    ("not_utf8", |_| bytes(*b"\"\xff\xfe\"")),
    ("lone_surrogate", |_| bytes("\"\\ud800\"")),
    ("too_deep", |_| bytes(nested(129))),
    ("just_deep_enough", |_| bytes(nested(128))),
    ("other_content_type", |_| other_content_type()),
    ("big_result", |_| bytes(vec![b'1'; 200 * MIB])),
    ("result_over_its_limit", |_| {
        bytes(format!("\"{}\"", "x".repeat(5 * MIB)))
    }),
    ("big_failure", |_| {
        Err(failure("ValueError", "x".repeat(200 * MIB)))
    }),
    ("long_failure", |_| {
        Err(failure("ValueError", "x".repeat(MIB)))
    }),
    ("long_kind", |_| {
        Err(failure(&"K".repeat(MIB), "m".to_owned()))
    }),
    ("forged_kind", |_| {
        Err(failure("os.system", "echo owned".to_owned()))
    }),
    ("retry_in_an_age", |_| retry_in_an_age()),
    ("reject_for_ever", |_| {
        Err(OutcomeError::Reject(Rejection {
            requeue: true,
            reason: "r".repeat(MIB),
        }))
    }),
    ("ignore", |_| Err(OutcomeError::Ignore)),
    ("claims_interrupted", |_| {
        Err(OutcomeError::Interrupted(Interruption::Cancelled))
    }),
    ("count_calls", |_| count_calls()),
];

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

fn other_content_type() -> Answer {
    Ok(Payload {
        content_type: "application/x-python-serialize".to_owned(),
        data: b"1".to_vec(),
    })
}

fn retry_in_an_age() -> Answer {
    Err(OutcomeError::Retry(Retry {
        countdown_ms: Some(u64::MAX),
        max_retries: Some(u32::MAX),
        reason: Failure {
            kind: "Busy".to_owned(),
            message: "later".to_owned(),
            trace: None,
            retryable: Some(true),
        },
    }))
}

/// Returns how often this instance was called: always 1 where a store serves one attempt.
fn count_calls() -> Answer {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CALLS: AtomicU32 = AtomicU32::new(0);
    bytes((CALLS.fetch_add(1, Ordering::Relaxed) + 1).to_string())
}
