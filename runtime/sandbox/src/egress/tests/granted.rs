//! What is granted is sent, as it should be.

use super::*;
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn a_granted_request_is_sent_with_the_headers_of_the_host() {
    let server = Server::text(HELLO);
    let guest = may(&[&server.url()]).private(&["127.0.0.1"]).open();
    let url = format!("{}/a?b=c", server.url());
    let mut request = get(&url);
    request
        .headers_mut()
        .insert("host", "evil.test".parse().unwrap());
    let (status, body) = guest
        .send(request, RequestOptions::default())
        .await
        .unwrap();
    assert_eq!((status, &body.unwrap()[..]), (200, &b"hello"[..]));
    let head = server.heads.recv().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get /a?b=c http/1.1\r\n"), "{head}");
    let host = format!("host: {}\r\n", server.address);
    assert!(
        head.contains(&host) && head.contains("connection: close\r\n"),
        "{head}"
    );
    assert!(!head.contains("evil"), "{head}");
    let used = guest.session.used();
    assert_eq!((used.requests, used.denied), (1, 0));
    assert_eq!(used.bytes_in, HELLO.len() as u64);
    assert_eq!(used.bytes_out, head.len() as u64);
    assert_eq!(guest.said(), "");
}

#[tokio::test]
async fn bodies_of_requests_stream() {
    let server = Server::new(|stream| {
        let body = head(stream);
        assert!(body.contains("one") && body.contains("two"), "{body}");
        stream.write_all(HELLO.as_bytes())
    });
    let guest = may(&[&server.url()]).private(&["127.0.0.1"]).open();
    // The end of the chunks looks like the end of a head.
    let frames = ["one", "two"].map(|text| Ok::<_, Error>(Frame::data(Bytes::from(text))));
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let request = Request::post(server.url()).body(body).unwrap();
    let (status, _) = guest
        .send(request, RequestOptions::default())
        .await
        .unwrap();
    assert_eq!(status, 200);
    let head = server.heads.recv().unwrap();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_what_was_judged_is_connected_to() {
    let server = Server::text(HELLO);
    let port = server.address.port();
    let url = format!("http://rebinding.test:{port}");
    let guest = may(&[&url])
        .private(&["127.0.0.1"])
        .name("rebinding.test", &[&["127.0.0.1"], &["10.0.0.1"]])
        .open();
    assert_eq!(guest.get(&url).await.unwrap().0, 200);
    assert_eq!(guest.lookups.load(Ordering::Relaxed), 1);
    let again = guest.get(&url).await;
    assert!(matches!(again, Err(Error::HttpRequestDenied)), "{again:?}");
    let said = guest.said();
    assert!(said.contains("at 10.0.0.1, a private address"), "{said}");
}

#[tokio::test]
async fn addresses_that_are_not_granted_are_dropped_and_the_others_used() {
    let server = Server::text(HELLO);
    let url = format!("http://mixed.test:{}", server.address.port());
    let guest = may(&[&url])
        .private(&["127.0.0.1"])
        .name("mixed.test", &[&["169.254.169.254", "::1", "127.0.0.1"]])
        .open();
    assert_eq!(guest.get(&url).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_target_is_judged_like_any_other() {
    let away =
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let server = Server::text(away);
    let guest = may(&[&server.url(), "http://169.254.169.254"])
        .private(&["127.0.0.1"])
        .open();
    assert_eq!(guest.get(&server.url()).await.unwrap().0, 302);
    let next = guest.get("http://169.254.169.254/").await;
    assert!(matches!(next, Err(Error::HttpRequestDenied)), "{next:?}");
}

#[tokio::test]
async fn bytes_are_sent_up_to_the_limit_and_no_further() {
    let server = Server::new(|stream| {
        wait(stream)?;
        stream.write_all(HELLO.as_bytes())
    });
    let guest = may(&[&server.url()])
        .private(&["127.0.0.1"])
        .limits(|limits| limits.bytes_out = 100_000)
        .open();
    let body = Full::from(vec![b'x'; 1 << 20]).map_err(|never| match never {});
    let request = Request::post(server.url())
        .body(body.boxed_unsync())
        .unwrap();
    let sent = guest.send(request, RequestOptions::default()).await;
    assert!(
        matches!(sent, Err(Error::HttpRequestBodySize(Some(100_000)))),
        "{sent:?}"
    );
    assert_eq!(guest.session.used().bytes_out, 100_000);
    let again = guest.get(&server.url()).await;
    assert!(
        matches!(again, Err(Error::HttpRequestBodySize(_))),
        "{again:?}"
    );
    let said = guest.said();
    assert!(
        said.contains("100000 bytes were sent") && said.contains("http.bytes_out"),
        "{said}"
    );
}
