//! The walls around the headers that a guest writes.

use super::raw::{Raw, contract};
use super::{Component, Defence, invoke, limits, load, returned, trapped, without};

const HTTP: &str = "package wasi:http@0.2.0 { interface types {
    variant header-error { invalid-syntax, forbidden, immutable }
    resource fields {
        constructor();
        append: func(name: string, value: list<u8>) -> result<_, header-error>;
    }
} }";

/// Adds a header with a value of so many bytes so many times, and traps when it may not.
fn appends(name: &str, bytes: u32, times: u32) -> Component {
    let length = name.len();
    let run = format!(
        "(local.set 1 (call $fields))
         (local.set 0 (i32.const 0))
         (memory.fill (i32.const 131072) (i32.const 0x78) (i32.const {bytes}))
         (loop
            (call $append (local.get 1) (i32.const 600) (i32.const {length})
                (i32.const 131072) (i32.const {bytes}) (i32.const 700))
            (if (i32.load8_u (i32.const 700)) (then unreachable))
            (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get 0) (i32.const {times}))))
         i32.const 512"
    );
    let raw = Raw {
        memory: "4".to_owned(),
        imported: r#"
            (import "wasi:http/types@0.2.0" "[constructor]fields" (func $fields (result i32)))
            (import "wasi:http/types@0.2.0" "[method]fields.append"
                (func $append (param i32 i32 i32 i32 i32 i32)))"#
            .to_owned(),
        more: format!("(data (i32.const 600) \"{name}\")"),
        run: run.leak(),
        ..Raw::default()
    };
    load(&raw.component_for(&contract("import wasi:http/types@0.2.0;", HTTP)))
}

#[tokio::test]
async fn without_a_filter_a_guest_writes_headers_of_the_connection() {
    let limits = limits(5_000, 60_000);
    for name in [
        "host",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        "te",
        "trailer",
        "expect",
    ] {
        let component = appends(name, 1, 1);
        trapped(&invoke(&component, &limits).await);
        let _away = without(&[Defence::Forbidden]);
        returned(&invoke(&component, &limits).await);
    }
    returned(&invoke(&appends("accept", 1, 1), &limits).await);
}

#[tokio::test]
async fn without_a_limit_on_headers_of_a_request_the_engine_has_a_larger_one() {
    let limits = limits(5_000, 60_000);
    returned(&invoke(&appends("x", 1_000, 30), &limits).await);
    let more = appends("x", 1_000, 40);
    trapped(&invoke(&more, &limits).await);
    let _away = without(&[Defence::RequestHeaders]);
    returned(&invoke(&more, &limits).await);
    // That of the engine, 128 KiB.
    trapped(&invoke(&appends("x", 1_000, 140), &limits).await);
}
