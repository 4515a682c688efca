//! Each defence of outgoing HTTP is needed: what happens when it alone is away.
//!
//! A server at 127.0.0.2 stands in for a machine beside this one: connections to it do not
//! come from there.

use super::*;
use http_body_util::Full;

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn hello(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(HELLO.as_bytes())
}

fn beside() -> Server {
    Server::at("127.0.0.2", hello)
}

/// Sends a request of a new attempt, and returns the status, or the log where it is denied.
async fn get_from(setup: Setup, url: &str) -> Result<u16, String> {
    let guest = setup.open();
    match guest.get(url).await {
        Ok((status, _)) => Ok(status),
        Err(Error::HttpRequestDenied) => Err(guest.said()),
        Err(other) => Err(other.to_string()),
    }
}

/// Asserts that a request is denied, for a reason.
#[track_caller]
fn assert_denied(got: Result<u16, String>, words: &str) {
    let said = got.unwrap_err();
    assert!(said.contains(words), "{said}");
}

#[tokio::test]
async fn without_a_list_of_hosts_every_host_is_reached_that_is_not_inside() {
    let server = beside();
    let open = || may(&[]).private(&["127.0.0.2"]);
    assert_denied(get_from(open(), &server.url()).await, "no grant to reach");
    let _away = without(&[Defence::Hosts]);
    assert_eq!(get_from(open(), &server.url()).await, Ok(200));
    // What is inside is behind the next wall.
    let got = get_from(may(&[]), &server.url()).await;
    assert_denied(got, "at 127.0.0.2, a loopback address");
}

#[tokio::test]
async fn without_a_look_at_addresses_machines_inside_are_reached_and_this_one_is_not() {
    let (inside, here) = (beside(), Server::new(hello));
    let get = async |server: &Server| get_from(may(&[&server.url()]), &server.url()).await;
    for server in [&inside, &here] {
        assert_denied(get(server).await, "a loopback address");
    }
    let _away = without(&[Defence::Addresses]);
    assert_eq!(get(&inside).await, Ok(200));
    assert_denied(get(&here).await, "this machine's own");
    let _away = without(&[Defence::Here]);
    assert_eq!(get(&here).await, Ok(200));
}

#[tokio::test]
async fn without_a_list_of_the_workers_own_servers_a_granted_network_holds_them() {
    let server = beside();
    let open = || {
        let mut setup = may(&[&server.url()]).private(&["127.0.0.0/8"]);
        setup.settings.own = vec![("127.0.0.2".to_owned(), server.address.port())];
        setup
    };
    assert_denied(get_from(open(), &server.url()).await, "own servers'");
    let _away = without(&[Defence::Own]);
    assert_eq!(get_from(open(), &server.url()).await, Ok(200));
}

#[tokio::test]
async fn without_pinning_a_name_that_is_judged_as_one_address_is_reached_at_another() {
    let (inside, here) = (beside(), Server::new(hello));
    let url = |server: &Server| format!("http://rebinding.test:{}", server.address.port());
    // Nobody listens at the first address.
    let open = |server: &Server| {
        let address = server.address.ip().to_string();
        may(&[&url(server)])
            .private(&["127.0.0.3"])
            .name("rebinding.test", &[&["127.0.0.3"], &[&address]])
    };
    let refused = get_from(open(&inside), &url(&inside)).await;
    assert_denied(refused, &Error::ConnectionRefused.to_string());
    assert!(inside.heads.try_recv().is_err());
    let _away = without(&[Defence::Pinned]);
    assert_eq!(get_from(open(&inside), &url(&inside)).await, Ok(200));
    // This machine itself is behind the next wall.
    let got = get_from(open(&here), &url(&here)).await;
    assert_denied(got, "this machine's own");
}

#[tokio::test]
async fn without_reading_addresses_as_what_they_are_they_are_special_all_the_same() {
    let get = async |url: &str| get_from(may(&[url]), url).await;
    let urls = ["http://[::ffff:7f00:1]", "http://[64:ff9b::7f00:1]"];
    for url in urls {
        assert_denied(get(url).await, "a loopback address");
    }
    let _away = without(&[Defence::Canonical]);
    for url in urls {
        // Whatever is outside of 2000::/3 is.
        assert_denied(get(url).await, "a reserved address");
    }
}

#[tokio::test]
async fn without_a_look_at_methods_a_trace_tells_what_the_host_adds() {
    let server = Server::new(|stream| {
        // It repeats what it was sent, which is what a trace is for.
        let said = "authorization: hunter2";
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{said}",
            said.len()
        )
    });
    let trace = async || {
        let mut setup = may(&[&server.url()]).private(&["127.0.0.1"]);
        setup.inject.push(Injection {
            scheme: "http".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: server.address.port(),
            name: "authorization".to_owned(),
            value: Secret::new("hunter2"),
        });
        let mut request = get(&server.url());
        *request.method_mut() = hyper::Method::TRACE;
        setup.open().send(request, RequestOptions::default()).await
    };
    assert!(matches!(
        trace().await,
        Err(Error::HttpRequestMethodInvalid)
    ));
    assert!(server.heads.try_recv().is_err());
    let _away = without(&[Defence::Methods]);
    let (_, body) = trace().await.unwrap();
    let head = server.heads.recv().unwrap();
    assert!(
        head.starts_with("TRACE / ") && head.contains("authorization: hunter2"),
        "{head}"
    );
    assert_eq!(body.unwrap(), "authorization: hunter2");
}

/// What a client would do that follows redirects by itself, as none of ours does.
#[tokio::test]
async fn a_redirect_that_is_followed_reaches_hosts_that_nobody_granted() {
    let elsewhere = beside();
    let port = elsewhere.address.port();
    let away = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:{port}/\r\ncontent-length: 0\r\n\r\n"
    );
    let server = Server::text(&away);
    let follow = async |private: &[&str]| {
        let guest = may(&[&server.url()]).private(private).open();
        assert_eq!(guest.get(&server.url()).await.unwrap().0, 302);
        let target = Target::read("http", &elsewhere.address.to_string()).unwrap();
        let session = Arc::clone(&guest.session);
        let sent = session.carry(target, get("http://any.test/"), None).await;
        sent.map(|(answer, _)| answer.status().as_u16())
    };
    assert_eq!(follow(&["127.0.0.1", "127.0.0.2"]).await.unwrap(), 200);
    // What is inside is behind the next wall.
    let denied = follow(&["127.0.0.1"]).await;
    assert!(matches!(denied, Err(Error::HttpRequestDenied)));
}

#[tokio::test]
async fn without_a_number_of_requests_a_guest_makes_any_number() {
    let server = Server::new(hello);
    let sent = async || {
        let setup = may(&[&server.url()]).private(&["127.0.0.1"]);
        let guest = setup.limits(|limits| limits.requests = 3).open();
        let mut sent = 0;
        for _ in 0..6 {
            sent += u32::from(guest.get(&server.url()).await.is_ok());
        }
        sent
    };
    assert_eq!(sent().await, 3);
    let _away = without(&[Defence::Requests]);
    assert_eq!(sent().await, 6);
}

#[tokio::test]
async fn without_a_number_under_way_a_guest_holds_any_number_of_connections() {
    let server = Server::new(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        wait(stream)
    });
    let held = async |wanted: usize| {
        let setup = may(&[&server.url()]).private(&["127.0.0.1"]);
        let mut setup = setup.limits(|limits| limits.concurrent = 2);
        setup.wall = Duration::from_secs(2);
        let guest = setup.open();
        let mut held = Vec::new();
        for _ in 0..wanted {
            match guest.session.send(get(&server.url()), None).await {
                Ok(begun) => held.push(begun),
                Err(error) => assert!(matches!(error, Error::ConnectionLimitReached)),
            }
        }
        held.len()
    };
    assert_eq!(held(3).await, 2);
    let _away = without(&[Defence::InFlight]);
    assert_eq!(held(3).await, 3);
}

#[tokio::test]
async fn without_a_limit_on_bytes_a_guest_sends_and_receives_any_number() {
    let server = Server::new(|stream| {
        stream.read_exact(&mut vec![0; 1 << 20])?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1048576\r\n\r\n")?;
        stream.write_all(&vec![b'x'; 1 << 20])
    });
    let post = async || {
        let setup = may(&[&server.url()]).private(&["127.0.0.1"]);
        let limits = |limits: &mut EgressLimits| {
            (limits.bytes_out, limits.bytes_in) = (2_000_000, 500_000);
        };
        let setup = match stands(Defence::BytesOut) {
            true => setup.limits(limits),
            false => setup.limits(|limits| limits.bytes_out = 500_000),
        };
        let guest = setup.open();
        let body = Full::from(vec![b'x'; 1 << 20]).map_err(|never| match never {});
        let request = Request::post(server.url()).body(body.boxed_unsync());
        let (_, body) = guest
            .send(request.unwrap(), RequestOptions::default())
            .await?;
        body.map(|body| body.len())
    };
    assert!(matches!(
        post().await,
        Err(Error::HttpResponseBodySize(Some(500_000)))
    ));
    {
        let _away = without(&[Defence::BytesIn]);
        assert_eq!(post().await.unwrap(), 1 << 20);
    }
    let _away = without(&[Defence::BytesOut]);
    assert_eq!(post().await.unwrap(), 1 << 20);
}

#[tokio::test]
async fn without_a_limit_on_the_headers_of_an_answer_the_client_has_a_larger_one() {
    let many = |bytes: usize| {
        let value = "x".repeat(bytes);
        Server::text(&format!(
            "HTTP/1.1 200 OK\r\nx: {value}\r\ncontent-length: 0\r\n\r\n"
        ))
    };
    let get = async |server: &Server| {
        let setup = may(&[&server.url()]).private(&["127.0.0.1"]);
        setup
            .open()
            .get(&server.url())
            .await
            .map(|(status, _)| status)
    };
    let (large, huge) = (many(100_000), many(1 << 20));
    assert!(matches!(
        get(&large).await,
        Err(Error::HttpResponseHeaderSectionSize(_))
    ));
    let _away = without(&[Defence::AnswerHeaders]);
    assert_eq!(get(&large).await.unwrap(), 200);
    // That of the client, 400 KiB.
    assert!(matches!(
        get(&huge).await,
        Err(Error::HttpResponseHeaderSectionSize(_))
    ));
}

#[tokio::test]
async fn without_a_time_for_connections_one_lasts_as_long_as_the_attempt() {
    let server = Server::new(wait);
    let url = format!("https://{}", server.address);
    let open = |wall: Duration| {
        let setup = may(&[&url]).private(&["127.0.0.1"]);
        let mut setup = setup.limits(|limits| limits.connect = Duration::from_millis(50));
        setup.wall = wall;
        setup.open()
    };
    let timed_out = |got: Result<Got, Error>| matches!(got, Err(Error::ConnectionTimeout));
    let guest = open(Duration::from_secs(3_600));
    assert!(timed_out(guest.get(&url).await));
    let _away = without(&[Defence::ConnectTime]);
    let (begun, wall) = (Instant::now(), Duration::from_millis(400));
    assert!(timed_out(open(wall).get(&url).await));
    assert!(begun.elapsed() >= wall);
}

#[tokio::test]
async fn without_a_time_for_silence_an_answer_lasts_as_long_as_the_attempt() {
    let server = Server::new(wait);
    let options = RequestOptions {
        first_byte_timeout: Some(Duration::from_millis(50)),
        ..RequestOptions::default()
    };
    let send = async |wall: Duration| {
        let mut setup = may(&[&server.url()]).private(&["127.0.0.1"]);
        setup.wall = wall;
        let got = setup.open().send(get(&server.url()), options).await;
        assert!(matches!(got, Err(Error::ConnectionReadTimeout)), "{got:?}");
    };
    send(Duration::from_secs(3_600)).await;
    let _away = without(&[Defence::Silence]);
    let (begun, wall) = (Instant::now(), Duration::from_millis(400));
    send(wall).await;
    assert!(begun.elapsed() >= wall);
}

/// The filter is in front of this: what it lets through is sent, but for what the host sets.
#[tokio::test]
async fn without_a_filter_headers_of_the_connection_are_sent_but_for_those_of_the_host() {
    let server = Server::new(hello);
    let guest = may(&[&server.url()]).private(&["127.0.0.1"]).open();
    let mut request = get(&server.url());
    for name in ["te", "expect", "proxy-authorization", "upgrade"] {
        request.headers_mut().insert(name, "evil".parse().unwrap());
    }
    for name in ["host", "connection"] {
        request.headers_mut().insert(name, "evil".parse().unwrap());
    }
    let sent = guest.send(request, RequestOptions::default()).await;
    assert_eq!(sent.unwrap().0, 200);
    let head = server.heads.recv().unwrap().to_ascii_lowercase();
    assert_eq!(head.matches("evil").count(), 4, "{head}");
    assert!(head.contains("connection: close\r\n"), "{head}");
}
