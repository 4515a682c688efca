//! Uses every function, record and variant of `celeriac:task` 0.1.0 once.
//!
//! Its component, built when 0.1 was frozen, is checked in as
//! `tests/fixtures/frozen-0.1.0.wasm`; this is its source, for people. In that
//! file the folder of the standard library in panic messages was overwritten,
//! at the same length, with `/usr/lib` and slashes; nothing else was touched.
#![cfg(target_arch = "wasm32")]

#[rustfmt::skip]
#[path = "../../../../sdk/src/bindings.rs"]
#[allow(dead_code, unused_imports)]
mod bindings;

use bindings::celeriac::task::log::Level;
use bindings::celeriac::task::submit::{Job, SubmitError, When};
use bindings::celeriac::task::types::{Failure, Interruption, OutcomeError, Rejection, Retry};
use bindings::celeriac::task::{ambient, context, log, progress};
use bindings::exports::celeriac::task::handler::{self, Call, Payload};
use bindings::exports::celeriac::task::manifest::{
    self, Limits, Param, ParamKind, RetryPolicy, TaskInfo,
};

struct Frozen;

impl manifest::Guest for Frozen {
    fn describe() -> Vec<TaskInfo> {
        let kinds = [
            ("plain", ParamKind::PositionalOrKeyword),
            ("rest", ParamKind::VarPositional),
            ("named", ParamKind::KeywordOnly),
            ("others", ParamKind::VarKeyword),
        ];
        let names = [
            "everything",
            "retry",
            "reject",
            "ignore",
            "failure",
            "interrupted",
        ];
        let info = |name: &str| TaskInfo {
            name: name.to_owned(),
            doc: "Frozen.".to_owned(),
            params: kinds.map(|(name, kind)| param(name, kind)).into(),
            result_schema: Some("{}".to_owned()),
            limits: Limits {
                wall_ms: Some(10_000),
                soft_wall_ms: Some(9_000),
                cpu_ms: Some(1_000),
                memory_bytes: Some(16 << 20),
                result_bytes: Some(1 << 16),
            },
            retry: Some(RetryPolicy {
                max_retries: Some(2),
                first_delay_ms: Some(100),
                max_delay_ms: 1_000,
                factor_milli: 2_000,
                jitter: true,
                retry_kinds: vec!["ConnectionError".to_owned()],
            }),
            at_most_once: false,
            wants: vec!["http".to_owned()],
            extra: vec![("hint".to_owned(), "value".to_owned())],
        };
        names.map(info).into()
    }
}

fn param(name: &str, kind: ParamKind) -> Param {
    Param {
        name: name.to_owned(),
        kind,
        required: false,
        default: Some("1".to_owned()),
        schema: Some("{}".to_owned()),
    }
}

impl handler::Guest for Frozen {
    fn run(call: Call) -> Result<Payload, OutcomeError> {
        let reason = Failure {
            kind: "ConnectionError".to_owned(),
            message: "away".to_owned(),
            trace: Some("here".to_owned()),
            retryable: Some(true),
        };
        match call.task.as_str() {
            "everything" => Ok(everything(&call)),
            "retry" => Err(OutcomeError::Retry(Retry {
                countdown_ms: Some(1_500),
                max_retries: Some(1),
                reason,
            })),
            "reject" => Err(OutcomeError::Reject(Rejection {
                requeue: true,
                reason: "obsolete".to_owned(),
            })),
            "ignore" => Err(OutcomeError::Ignore),
            "failure" => Err(OutcomeError::Failure(reason)),
            _ => Err(OutcomeError::Interrupted(Interruption::Shutdown)),
        }
    }
}

fn everything(call: &Call) -> Payload {
    progress::update(1, Some(2), Some("half"));
    progress::set_state("PACKING", "{\"box\": 1}");
    let kept = log::enabled(Level::Info);
    let fields = [("a".to_owned(), "b".to_owned())];
    for level in [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
    ] {
        log::emit(level, "line", &fields);
    }
    let submitted = submit();
    let ambient = ambient::now_unix_ms() > 0 && ambient::monotonic_ns() < u64::MAX;
    let bytes = ambient::random_bytes(7).len();
    let slept = context::wait(1).is_none() && context::interrupted().is_none();
    let time = context::remaining_ms() > 0 && context::soft_remaining_ms().is_some();
    let text = format!(
        r#"{{"args": {}, "kwargs": {}, "id": {:?}, "root": {:?}, "parent": {:?}, "retries": {}, "deliveries": {},
            "max_retries": {}, "queue": {:?}, "header": {:?}, "log": {kept}, "submitted": {submitted:?},
            "ambient": {ambient}, "bytes": {bytes}, "slept": {slept}, "time": {time}, "type": {:?}}}"#,
        String::from_utf8_lossy(&call.args.data),
        String::from_utf8_lossy(&call.kwargs.data),
        context::id(),
        context::root_id().unwrap_or_default(),
        context::parent_id().unwrap_or_default(),
        context::retries(),
        context::delivery_count(),
        context::max_retries().unwrap_or_default(),
        context::queue(),
        context::header("x-shop").unwrap_or_default(),
        call.args.content_type,
    );
    json(text.into_bytes())
}

fn submit() -> &'static str {
    let job = Job::new("other.task", &json(b"[]".to_vec()), &json(b"{}".to_vec()));
    job.set_queue("other");
    job.set_countdown_ms(1);
    job.set_expires_ms(2);
    job.set_priority(3);
    job.set_idempotency_key("key");
    job.set_header("x", "y");
    match Job::submit(job, When::OnSuccess) {
        Ok(_) => "sent",
        Err(SubmitError::Denied(_)) => "denied",
        Err(SubmitError::UnknownTask) => "unknown",
        Err(SubmitError::QuotaExceeded) => "quota",
        Err(SubmitError::TooLarge) => "too large",
        Err(SubmitError::Unavailable(_)) => "unavailable",
    }
}

fn json(data: Vec<u8>) -> Payload {
    Payload {
        content_type: "application/json".to_owned(),
        data,
    }
}

bindings::export_component!(Frozen with_types_in bindings);
