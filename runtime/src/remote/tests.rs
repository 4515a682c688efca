//! What is sent, and what becomes of the answers of servers that lie, hang or say too much.

use super::*;
use crate::plane::Code;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use support::{Certificates, Site};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A server that gives one answer to everything, and keeps what it was asked.
struct Stub {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Stub {
    /// Answers with these bytes; without a length the end of the connection is the end.
    async fn new(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&asked), answer.into());
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let request = request(&mut client).await;
                kept.lock().unwrap().push(request);
                // Whoever had enough is gone already.
                drop(client.write_all(&answer).await);
                drop(client.shutdown().await);
            }
        });
        Self {
            url,
            asked,
            _task: task,
        }
    }

    async fn says(status: &str, body: &str) -> Self {
        let length = body.len();
        Self::new(format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))
        .await
    }

    fn remote(&self) -> Remote {
        remote(&self.url, None).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Reads a request with all of its body, where it says how long that is.
async fn request(client: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next());
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        if client.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}

fn remote(url: &str, authorities: Option<PathBuf>) -> Result<Remote, RemoteError> {
    Remote::new(&RemoteOptions {
        url: url.to_owned(),
        token: Token::new("clr_hunter2"),
        authorities,
    })
}

#[tokio::test]
async fn a_request_has_its_path_its_query_the_token_and_who_asks() {
    let stub = Stub::says("200 OK", "{\"a\":1}").await;
    let remote = stub.remote();
    let asked = remote
        .put(&["v1", "a b/../c", "?x=1"])
        .query("name", Some("a&b"))
        .query("none", None::<u32>)
        .switch("on", true)
        .switch("off", false)
        .header("idempotency-key", Some("k1"))
        .component(Bytes::from_static(b"\0asm"));
    let told: Value = asked.document().await.unwrap();
    assert_eq!(told, json!({"a": 1}));
    let asked = &stub.asked()[0];
    let first = asked.lines().next().unwrap();
    assert_eq!(
        first,
        "PUT /v1/a%20b%2F..%2Fc/%3Fx=1?name=a%26b&on=true HTTP/1.1"
    );
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        "authorization: Bearer clr_hunter2",
        "idempotency-key: k1",
        "content-type: application/wasm",
        &format!("user-agent: celeriac/{version}"),
    ] {
        assert!(asked.contains(&format!("\r\n{line}\r\n")), "{asked}");
    }
    assert!(asked.ends_with("\r\n\r\n\0asm"), "{asked}");
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_not_asked_for() {
    let stub = Stub::says("200 OK", "{}").await;
    for part in ["", ".", ".."] {
        let asked = stub.remote().get(&["v1", "tasks", part]).done().await;
        let error = asked.unwrap_err().to_string();
        assert!(error.contains("no name that a URL can carry"), "{error}");
    }
    assert!(stub.asked().is_empty());
    let below = remote(&format!("{}/below", stub.url), None).unwrap();
    below.get(&["v1"]).done().await.unwrap();
    assert!(stub.asked()[0].starts_with("GET /below/v1 HTTP/1.1"));
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_the_control_plane() {
    let body =
        json!({"error": {"code": "forbidden", "message": "m", "hint": "h", "request_id": "r"}});
    let stub = Stub::says("403 Forbidden", &body.to_string()).await;
    let error = stub.remote().get(&["v1"]).done().await.unwrap_err();
    let RemoteError::Refused {
        status,
        code,
        message,
        hint,
        request_id,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((*status, *code), (403, Code::Forbidden));
    assert_eq!(
        [message, hint, request_id].map(String::as_str),
        ["m", "h", "r"]
    );
    assert!(!error.passes() && !error.is_missing());
}

#[tokio::test]
async fn who_is_no_control_plane_is_told_from_one() {
    for (status, passes) in [("502 Bad Gateway", true), ("418 I'm a teapot", false)] {
        let stub = Stub::says(status, "<html>nginx").await;
        let error = stub.remote().get(&["v1"]).done().await.unwrap_err();
        let told = error.to_string();
        assert!(told.contains("not as a control plane does"), "{told}");
        assert_eq!(error.passes(), passes);
    }
    let stub = Stub::says("200 OK", "<html>").await;
    let asked = stub.remote().get(&["v1"]).document::<Value>().await;
    assert!(matches!(asked, Err(RemoteError::Unreadable { .. })));
}

#[tokio::test]
async fn the_token_does_not_follow_a_redirect() {
    let elsewhere = Stub::says("200 OK", "{}").await;
    let moved = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}/v1\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url
    );
    let stub = Stub::new(moved).await;
    let error = stub.remote().get(&["v1"]).done().await.unwrap_err();
    assert!(matches!(error, RemoteError::Refused { status: 307, .. }));
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_bound() {
    let large = "x".repeat(100);
    for stub in [
        Stub::says("200 OK", &large).await,
        Stub::new(format!("HTTP/1.1 200 OK\r\n\r\n{large}")).await,
    ] {
        let read = stub.remote().get(&["v1"]).bytes(100).await.unwrap();
        assert_eq!(read.len(), 100);
        let error = stub.remote().get(&["v1"]).bytes(99).await.unwrap_err();
        assert!(matches!(error, RemoteError::TooLarge { allowed: 99, .. }));
    }
    // Nobody reads so much to learn why something was refused.
    let page = "x".repeat(1 << 20);
    let stub = Stub::says("500 Internal Server Error", &page).await;
    let error = stub.remote().get(&["v1"]).done().await.unwrap_err();
    assert!(matches!(error, RemoteError::Refused { status: 500, .. }));
}

#[tokio::test]
async fn who_does_not_answer_is_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let silent = remote(&url, None).unwrap();
    let asked = silent.get(&["v1"]).within(Duration::from_millis(50));
    let error = asked.done().await.unwrap_err();
    assert!(error.to_string().contains("no answer in time"), "{error}");
    let asked = silent.get(&["v1"]).within(Duration::from_millis(50));
    let late = asked.events().await.unwrap_err();
    assert!(late.passes(), "{late}");
    drop(listener);
    let error = silent.get(&["v1"]).done().await.unwrap_err();
    assert!(matches!(error, RemoteError::Away { .. }), "{error:?}");
    assert!(error.passes());
    // It breaks off within its answer.
    let stub = Stub::new("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await;
    let error = stub.remote().get(&["v1"]).done().await.unwrap_err();
    assert!(matches!(error, RemoteError::Away { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_without_a_body_is_none() {
    let stub = Stub::new("HTTP/1.1 204 No Content\r\n\r\n").await;
    let told = stub.remote().get(&["v1"]).maybe::<Value>().await.unwrap();
    assert_eq!(told, None);
    let stub = Stub::says("200 OK", "7").await;
    let told = stub.remote().get(&["v1"]).maybe::<Value>().await.unwrap();
    assert_eq!(told, Some(json!(7)));
}

#[tokio::test]
async fn events_are_read_as_they_come() {
    let text = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
        : here\n\nid: 1\nevent: state\ndata: {\"a\":\ndata: 1}\n\nevent:result\r\ndata:x\r\n\r\nevent: cut";
    let stub = Stub::new(text).await;
    let mut events = stub.remote().get(&["v1"]).events().await.unwrap();
    let told = |id: &str, name: &str, data: &str| Told {
        id: id.to_owned(),
        name: name.to_owned(),
        data: data.to_owned(),
    };
    let next = events.next().await.unwrap();
    assert_eq!(next, Some(told("1", "state", "{\"a\":\n1}")));
    assert_eq!(events.next().await.unwrap(), Some(told("", "result", "x")));
    assert_eq!(events.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_server_shows_a_certificate_of_an_authority_that_is_trusted() {
    let certificates = Certificates::new();
    let site = Site::secure(&certificates);
    let url = site.url("127.0.0.1");
    let trusted = remote(&url, Some(certificates.path("ca.pem"))).unwrap();
    let page = trusted.get(&["v1"]).bytes(1 << 20).await.unwrap();
    assert!(!page.is_empty());
    let others = Certificates::new();
    let strange = remote(&url, Some(others.path("ca.pem"))).unwrap();
    let error = strange.get(&["v1"]).done().await.unwrap_err();
    assert!(matches!(error, RemoteError::Tls { .. }), "{error:?}");
    let by_name = remote(&site.url("127.0.0.2"), Some(certificates.path("ca.pem"))).unwrap();
    assert!(by_name.get(&["v1"]).done().await.is_err());
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let said = || {
        let error = remote("https://h", Some(path.clone())).unwrap_err();
        assert!(matches!(error, RemoteError::Misconfigured { .. }));
        error.to_string()
    };
    assert!(said().contains("ca.pem cannot be read"), "{}", said());
    std::fs::write(&path, "no certificate").unwrap();
    assert!(said().contains("holds no certificate"), "{}", said());
    std::fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    assert!(said().contains("at most 1048576"), "{}", said());
}

#[test]
fn nobody_sees_the_token() {
    let remote = remote("http://127.0.0.1:1", None).unwrap();
    let shown = format!("{remote:?} {:?}", remote.get(&["v1"]));
    assert!(!shown.contains("hunter2"), "{shown}");
    let error = Remote::new(&RemoteOptions {
        url: "http://127.0.0.1:1".to_owned(),
        token: Token::new("hunter2\n"),
        authorities: None,
    });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the token") && !error.contains("hunter2"));
}
