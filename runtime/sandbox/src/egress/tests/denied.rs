//! What nobody granted is denied, with the line that would allow it.

use super::*;
use hyper::Method;

/// Asserts that a request is denied, and returns what the log says of it.
async fn denial(guest: &Guest, url: &str) -> String {
    let answer = guest.get(url).await;
    assert!(
        matches!(answer, Err(Error::HttpRequestDenied)),
        "{url}: {answer:?}"
    );
    guest.said()
}

#[tokio::test]
async fn without_a_grant_every_request_is_denied_with_the_line_that_would_allow_it() {
    let guest = may(&[]).open();
    for (url, line) in [
        ("https://api.example.com/a", r#"http = ["api.example.com"]"#),
        (
            "https://api.example.com:8443/",
            r#"http = ["api.example.com:8443"]"#,
        ),
        (
            "http://api.example.com/",
            r#"http = ["http://api.example.com"]"#,
        ),
        ("http://[::1]:8080/", r#"http = ["http://[::1]:8080"]"#),
    ] {
        let said = denial(&guest, url).await;
        let line = format!("would allow it by [grants.\"web\"] {line}\n");
        assert!(said.ends_with(&line), "{said}");
    }
    let used = guest.session.used();
    assert_eq!((used.requests, used.denied, used.bytes_out), (4, 4, 0));
    assert_eq!(guest.lookups.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_grant_is_for_its_scheme_port_and_host_alone() {
    let guest = may(&["a.test", "*.b.test:8443"]).open();
    for url in [
        "http://a.test",
        "https://a.test:8443",
        "https://b.test:8443",
        "https://x.b.test",
        "https://a.test.evil.test",
    ] {
        denial(&guest, url).await;
    }
    let said = denial(&guest, "https://c.test").await;
    let line = r#"http = ["a.test", "*.b.test:8443", "c.test"]"#;
    assert!(said.contains(line), "{said}");
}

#[tokio::test]
async fn addresses_of_this_machine_and_of_metadata_are_denied_however_they_are_written() {
    for (url, line) in [
        ("http://127.0.0.1", "127.0.0.1"),
        ("http://127.1.2.3", "127.1.2.3"),
        ("http://0.0.0.0", "0.0.0.0"),
        ("http://[::1]", "::1"),
        ("http://[::]", "::"),
        ("http://[::ffff:127.0.0.1]", "127.0.0.1"),
        ("http://[::ffff:a9fe:a9fe]", "169.254.169.254"),
        ("http://[64:ff9b::7f00:1]", "127.0.0.1"),
        ("http://[2002:7f00:1::]", "2002:7f00:1::"),
        ("http://169.254.169.254", "169.254.169.254"),
        ("http://[fd00:ec2::254]", "fd00:ec2::254"),
        ("http://10.0.0.1", "10.0.0.1"),
        ("http://100.64.0.1", "100.64.0.1"),
        ("http://168.63.129.16", "168.63.129.16"),
        ("http://192.0.2.1", "192.0.2.1"),
        ("http://224.0.0.1", "224.0.0.1"),
        ("http://240.0.0.1", "240.0.0.1"),
        ("http://255.255.255.255", "255.255.255.255"),
        ("http://[::127.0.0.1]", "127.0.0.1"),
        ("http://[64:ff9b:1::1]", "64:ff9b:1::1"),
        ("http://[2001:db8::1]", "2001:db8::1"),
        ("http://[2002:A00:1::1]", "2002:a00:1::1"),
        ("http://[fe80::1]", "fe80::1"),
    ] {
        let guest = may(&[url]).private(&["192.168.7.0/24"]).open();
        let said = denial(&guest, url).await;
        let line = format!(r#"[grants."web"] http_private = ["192.168.7.0/24", "{line}"]"#);
        assert!(said.contains(&line), "{said}");
    }
}

#[tokio::test]
async fn a_name_of_a_private_address_is_denied() {
    let guest = may(&["inside.test"])
        .name("inside.test", &[&["10.0.0.5", "fe80::1"]])
        .open();
    let said = denial(&guest, "https://inside.test").await;
    let words = "https://inside.test at 10.0.0.5, a private address";
    assert!(said.contains(words), "{said}");
}

#[tokio::test]
async fn a_name_is_denied_for_any_kind_of_address_that_is_special() {
    for ip in [
        "100.64.0.1",
        "198.51.100.7",
        "240.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "2001::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ] {
        let guest = may(&["inside.test"]).name("inside.test", &[&[ip]]).open();
        let said = denial(&guest, "https://inside.test").await;
        assert!(said.contains("http_private"), "{ip}: {said}");
    }
}

#[tokio::test]
async fn a_server_of_the_workers_own_is_granted_only_by_its_address_alone() {
    let server = Server::text("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let port = server.address.port();
    let open = |network: &str| {
        let mut setup = may(&[&server.url()]).private(&[network]);
        setup = setup.name("redis", &[&["127.0.0.1"]]);
        setup.settings.own = vec![("redis".to_owned(), port)];
        setup.open()
    };
    let said = denial(&open("127.0.0.0/8"), &server.url()).await;
    assert!(said.contains("the worker's own servers'"), "{said}");
    assert!(server.heads.try_recv().is_err());
    assert_eq!(open("127.0.0.1").get(&server.url()).await.unwrap().0, 200);
}

#[tokio::test]
async fn tunnels_traces_and_places_that_are_none_are_refused() {
    let guest = may(&["http://a.test", "http://127.0.0.1"]).open();
    for method in [Method::CONNECT, Method::TRACE] {
        let mut request = get("http://a.test/");
        *request.method_mut() = method;
        let answer = guest.send(request, RequestOptions::default()).await;
        assert!(
            matches!(answer, Err(Error::HttpRequestMethodInvalid)),
            "{answer:?}"
        );
    }
    for url in [
        "http://user@a.test/",
        "http://127.1/",
        "http://2130706433/",
        "ftp://a.test/",
    ] {
        let answer = guest.get(url).await;
        assert!(
            matches!(answer, Err(Error::HttpRequestUriInvalid)),
            "{url} {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_told() {
    let guest = may(&["nowhere.test"]).open();
    let answer = guest.get("https://nowhere.test").await;
    assert!(
        matches!(answer, Err(Error::DestinationNotFound)),
        "{answer:?}"
    );
}
