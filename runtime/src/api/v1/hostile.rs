//! Requests that are too many, too large, too slow, or nonsense; and the end.

use super::stand::{Stand, limits};
use super::*;
use crate::task::Scope;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn bad_requests_are_answered_with_what_is_wrong() {
    let stand = Stand::new().await;
    let token = &stand.operator;
    let kind = "content-type: application/json\r\n";
    let deep = "[".repeat(100_000);
    for (what, headers, body, code) in [
        ("GET /nowhere", "", "", Code::NotFound),
        ("DELETE /v1/tenants", "", "", Code::MethodNotAllowed),
        ("GET /v1/tenants?limit=0", "", "", Code::InvalidRequest),
        ("GET /v1/tenants?limit=1001", "", "", Code::InvalidRequest),
        ("GET /v1/tenants?limt=5", "", "", Code::InvalidRequest),
        ("GET /v1/tenants?after=%FF", "", "", Code::InvalidRequest),
        ("GET /v1/tenants/%FF", "", "", Code::NotFound),
        ("POST /v1/tenants", kind, "{", Code::InvalidRequest),
        ("POST /v1/tenants", kind, &deep, Code::InvalidRequest),
        (
            "POST /v1/tenants",
            kind,
            "{\"name\":\"Bad Name\"}",
            Code::InvalidRequest,
        ),
        ("POST /v1/tenants", "", "{}", Code::UnsupportedMediaType),
        (
            "PUT /v1/tenants/acme/modules/images",
            kind,
            "{}",
            Code::UnsupportedMediaType,
        ),
        (
            "PUT /v1/tenants/acme/modules/images",
            "content-type: application/wasm\r\n",
            "x",
            Code::ComponentRefused,
        ),
    ] {
        let answer = stand.ask(token, what, headers, body.as_bytes()).await;
        assert_eq!(answer.code(), code, "{what}: {answer:?}");
    }
    let wrong = stand
        .ask(token, "DELETE /v1/tenants", "x-request-id: a\"b\r\n", b"")
        .await;
    assert!(wrong.head.contains("\r\nallow: "), "{wrong:?}");
    assert!(!wrong.head.contains("a\"b"), "{wrong:?}");
    let large = format!(
        "POST /v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{kind}content-length: {}\r\n\r\n",
        sent::BODY_BYTES + 1
    );
    assert_eq!(stand.send(large.as_bytes()).await.code(), Code::TooLarge);
    let upload = large.replace("POST /v1/tenants", "PUT /v1/tenants/acme/modules/m");
    let upload = upload.replace("application/json", "application/wasm");
    let upload = upload.replace("1048577", &(celeriac_sandbox::UPLOAD_BYTES + 1).to_string());
    assert_eq!(stand.send(upload.as_bytes()).await.code(), Code::TooLarge);
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_again() {
    let stand = Stand::with(Limits {
        token_per_minute: 12,
        address_per_minute: 30,
        ..limits()
    })
    .await;
    let one = stand.token(Scope::ReadOnly, Some("acme")).await;
    for _ in 0..2 {
        assert_eq!(stand.get(&one, "/v1/tenants/acme").await.status, 200);
    }
    let answer = stand.get(&one, "/v1/tenants/acme").await;
    assert_eq!(answer.code(), Code::RateLimited);
    assert!(answer.head.contains("\r\nretry-after: "), "{answer:?}");
    let other = stand.get(&stand.operator, "/v1/tenants/acme").await;
    assert_eq!(other.status, 200, "{other:?}");
    assert_eq!(stand.get("", "/health/live").await.status, 200);
    assert_eq!(
        stand.get("", "/health/live").await.code(),
        Code::RateLimited
    );
}

#[tokio::test]
async fn one_connection_too_many_is_told_and_a_slow_client_is_left() {
    let stand = Stand::with(Limits {
        connections: 1,
        header: Duration::from_millis(200),
        body: Duration::from_millis(200),
        ..limits()
    })
    .await;
    let mut slow = TcpStream::connect(stand.address).await.unwrap();
    slow.write_all(b"GET /health").await.unwrap();
    let over = stand.get("", "/health/live").await;
    assert_eq!(over.code(), Code::TooBusy);
    assert!(over.head.contains("\r\nretry-after: 1"), "{over:?}");
    let mut rest = Vec::new();
    let ended = slow.read_to_end(&mut rest).await;
    assert!(ended.is_err() || rest.is_empty(), "{rest:?}");
    drop(slow);
    // The next one is let in as soon as the one before is gone.
    let begun = format!(
        "POST /v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 9\r\n\r\n{{",
        stand.operator
    );
    let answer = loop {
        let answer = stand.send(begun.as_bytes()).await;
        if answer.status != 503 {
            break answer;
        }
    };
    assert_eq!(answer.code(), Code::RequestTimeout);
}

#[tokio::test]
async fn a_stop_ends_the_edge_once_what_is_under_way_is_done() {
    let mut stand = Stand::new().await;
    let mut stream = TcpStream::connect(stand.address).await.unwrap();
    let head = format!(
        "POST /v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 15\r\n\r\n",
        stand.operator
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut goes_on = [0; 12];
    stream.read_exact(&mut goes_on).await.unwrap();
    assert_eq!(&goes_on, b"HTTP/1.1 100");
    stand.shutdown.stop();
    stream.write_all(b"{\"name\":\"late\"}").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("HTTP/1.1 201"), "{rest}");
    assert!(stand.tasks.join_next().await.unwrap().unwrap().is_ok());
    assert_eq!(stand.house.registry.generation().await.unwrap(), 0);
}
