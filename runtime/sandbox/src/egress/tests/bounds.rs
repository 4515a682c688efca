//! Servers that mean harm, and guests that ask for too much.

use super::*;

fn reach(server: &Server) -> Setup {
    may(&[&server.url()]).private(&["127.0.0.1"])
}

#[tokio::test]
async fn one_request_too_many_is_denied() {
    let guest = may(&[]).limits(|limits| limits.requests = 3).open();
    for _ in 0..4 {
        assert!(guest.get("https://a.test").await.is_err());
    }
    let said = guest.said();
    let last = said.lines().last().unwrap();
    assert!(
        last.contains("no more than 3 requests") && last.contains("http.requests"),
        "{last}"
    );
    assert_eq!(guest.session.used().requests, 4);
}

#[tokio::test]
async fn a_call_goes_on_from_what_earlier_calls_of_its_attempt_used() {
    let server = Server::text("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    let mut setup = reach(&server).limits(|limits| limits.requests = 10);
    setup.earlier = Use {
        calls: 7,
        denied: 2,
        bytes_in: 64 << 20,
        bytes_out: 1_000,
    };
    let guest = setup.open();
    // The last request may be sent, and no byte of an answer comes in.
    let answer = guest.get(&server.url()).await;
    assert!(
        matches!(answer, Err(Error::HttpResponseBodySize(_))),
        "{answer:?}"
    );
    let answer = guest.get(&server.url()).await;
    assert!(
        matches!(answer, Err(Error::HttpRequestDenied)),
        "{answer:?}"
    );
    let used = guest.session.used();
    assert_eq!((used.requests, used.denied), (2, 1));
    assert!(used.bytes_in < 1_000 && used.bytes_out < 1_000, "{used:?}");
    let said = guest.said();
    assert!(said.contains("no more than 10 requests"), "{said}");
}

#[tokio::test]
async fn a_request_waits_for_one_under_way_and_in_the_end_gives_up() {
    let server = Server::text("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    let mut setup = reach(&server).limits(|limits| limits.concurrent = 2);
    setup.wall = Duration::from_secs(2);
    let guest = setup.open();
    let send = || guest.session.send(get(&server.url()), None);
    // Their rests are not driven: these answers are never read.
    let first = send().await.unwrap();
    let _second = send().await.unwrap();
    let third = send().await;
    assert!(matches!(third, Err(Error::ConnectionLimitReached)));
    assert!(guest.said().contains("2 requests by HTTP are under way"));
    drop(first);
    // Nothing is left of the attempt's time, but there is a place at once.
    assert!(guest.session.slot().await.is_ok());
}

#[tokio::test]
async fn a_body_without_end_ends_at_the_limit() {
    let server = Server::new(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    });
    let guest = reach(&server)
        .limits(|limits| limits.bytes_in = 1 << 20)
        .open();
    let (_, body) = guest.get(&server.url()).await.unwrap();
    assert!(
        matches!(body, Err(Error::HttpResponseBodySize(Some(1_048_576)))),
        "{body:?}"
    );
    let used = guest.session.used().bytes_in;
    assert!((1 << 20..(1 << 20) + (256 << 10)).contains(&used), "{used}");
    assert!(guest.said().contains("http.bytes_in"));
}

#[tokio::test]
async fn answers_before_the_answer_without_end_end_at_the_limit() {
    let server = Server::new(|stream| {
        loop {
            stream.write_all(&b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100))?;
        }
    });
    let guest = reach(&server)
        .limits(|limits| limits.bytes_in = 1 << 20)
        .open();
    let answer = guest.get(&server.url()).await;
    assert!(
        matches!(answer, Err(Error::HttpResponseBodySize(_))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn headers_without_end_or_by_the_thousand_are_refused() {
    let endless = Server::new(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ")?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    });
    let answer = reach(&endless).open().get(&endless.url()).await;
    assert!(
        matches!(answer, Err(Error::HttpResponseHeaderSectionSize(_))),
        "{answer:?}"
    );
    let many = "x: y\r\n".repeat(33_000);
    let many = Server::text(&format!("HTTP/1.1 200 OK\r\n{many}\r\n"));
    let answer = reach(&many).open().get(&many.url()).await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    for text in [
        "",
        "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
    ] {
        let server = Server::text(text);
        let ended = match reach(&server).open().get(&server.url()).await {
            Ok((_, body)) => body.map(drop),
            Err(error) => Err(error),
        };
        assert!(ended.is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_uses_up_the_time_for_a_connection() {
    let server = Server::new(wait);
    let url = format!("https://{}", server.address);
    let guest = may(&[&url])
        .private(&["127.0.0.1"])
        .limits(|limits| limits.connect = Duration::from_millis(100))
        .open();
    let answer = guest.get(&url).await;
    assert!(
        matches!(answer, Err(Error::ConnectionTimeout)),
        "{answer:?}"
    );
}

#[tokio::test]
async fn silence_before_and_within_an_answer_has_an_end() {
    let options = RequestOptions {
        first_byte_timeout: Some(Duration::from_millis(100)),
        between_bytes_timeout: Some(Duration::from_millis(100)),
        ..RequestOptions::default()
    };
    let silent = Server::new(wait);
    let answer = reach(&silent)
        .open()
        .send(get(&silent.url()), options)
        .await;
    assert!(
        matches!(answer, Err(Error::ConnectionReadTimeout)),
        "{answer:?}"
    );
    let slow = Server::new(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")?;
        wait(stream)
    });
    let guest = reach(&slow).open();
    let (answer, rest) = guest
        .session
        .send(get(&slow.url()), Some(options))
        .await
        .unwrap();
    let body = tokio::select! {
        body = answer.into_body().collect() => body,
        _ = Box::into_pin(rest) => panic!("the connection ended"),
    };
    assert!(matches!(body, Err(Error::ConnectionReadTimeout)));
}

#[tokio::test]
async fn no_wait_is_longer_than_what_is_left_of_the_attempt() {
    let silent = Server::new(wait);
    let mut setup = reach(&silent);
    setup.wall = Duration::from_millis(100);
    let answer = setup.open().get(&silent.url()).await;
    assert!(
        matches!(
            answer,
            Err(Error::ConnectionReadTimeout | Error::ConnectionTimeout)
        ),
        "{answer:?}"
    );
}
