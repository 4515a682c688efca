//! Tasks that send requests by HTTP, by grants of the configuration.

mod map;

use crate::{failure, stage, success};
use serde_json::{Value, json};
use support::{Certificates, Redis, Site, Stage};

/// A stage whose module `web` has a section of grants.
fn granted(grants: &str, more: &str) -> Stage {
    let stage = stage();
    let text = format!("[grants.web]\n{grants}\n{more}\n");
    stage.write("celeriac.toml", text);
    stage
}

fn fetch(stage: &Stage, url: &str) -> Value {
    stage.push("web");
    let _dev = stage.dev();
    stage.call("web.fetch", &json!([url]).to_string())
}

/// Checks that a request was denied, and returns what the task's log says of it.
fn denial(stored: &Value) -> String {
    let message = failure(stored, "celeriac.HttpError");
    assert_eq!(message, "ErrorCode::HttpRequestDenied", "{stored}");
    stored["log"]["lines"].to_string()
}

#[test]
fn a_denied_request_is_logged_with_the_line_that_would_allow_it_and_the_line_does() {
    let site = Site::plain("hello");
    let url = site.url("127.0.0.1");
    let log = denial(&fetch(&granted("submit = []", ""), &url));
    let line = format!("[grants.\\\"web\\\"] http = [\\\"{url}\\\"]");
    assert!(log.contains(&line), "{log}");
    let http = format!("http = [\"{url}\"]");
    let log = denial(&fetch(&granted(&http, ""), &url));
    let line = "[grants.\\\"web\\\"] http_private = [\\\"127.0.0.1\\\"]";
    assert!(log.contains(line), "{log}");
    let both = format!("{http}\nhttp_private = [\"127.0.0.1\"]");
    let stored = fetch(&granted(&both, ""), &url);
    assert_eq!(
        *success(&stored),
        json!([200, {"content-length": "5"}, "hello"])
    );
}

#[test]
fn whoever_pushes_sees_what_the_module_can_reach_and_whoever_calls_what_it_misses() {
    let stage = granted("http = [\"api.example.com\"]\nscratch = \"1MiB\"", "");
    let _dev = stage.dev();
    let pushed = stage.push("web");
    assert_eq!(
        pushed["can_reach"],
        json!(["http:api.example.com", "scratch"])
    );
    let file = stage.component("web").display().to_string();
    let again = stage.run(&["push", &file, "--name", "web"]).good();
    let line = "asks for: nothing    can reach: http:api.example.com, scratch\n";
    assert!(again.out.contains(line), "{again:?}");
    let called = stage.run(&[
        "call",
        "web.fetch",
        "-a",
        r#"["https://example.org/"]"#,
        "--wait",
    ]);
    let line = r#"[grants."web"] http = ["api.example.com", "example.org"]"#;
    called.refused(1, &[line]);
}

#[test]
fn a_name_is_looked_up_by_the_machine() {
    let site = Site::plain("hello");
    let url = site.url("localhost");
    let grants = format!("http = [\"{url}\"]\nhttp_private = [\"127.0.0.0/8\", \"::1\"]");
    let stored = fetch(&granted(&grants, ""), &url);
    assert_eq!(success(&stored)[2], "hello", "{stored}");
}

#[test]
fn tls_is_trusted_by_an_authority_of_the_operators() {
    let certificates = Certificates::new();
    let site = Site::secure(&certificates);
    let url = site.url("localhost");
    let host = format!("localhost:{}", site.port());
    let grants = format!("http = [\"{host}\"]\nhttp_private = [\"127.0.0.0/8\", \"::1\"]");
    let stored = fetch(&granted(&grants, ""), &url);
    let message = failure(&stored, "celeriac.HttpError");
    assert_eq!(message, "ErrorCode::TlsCertificateError", "{stored}");
    let authority = format!("[http]\nca_file = {:?}", certificates.path("ca.pem"));
    for isolate in ["false", "true"] {
        let stage = granted(&grants, &authority).with("worker.isolate", isolate);
        let stored = fetch(&stage, &url);
        assert_eq!(success(&stored)[0], 200, "{isolate}: {stored}");
    }
    // Its certificate is for other names.
    let address = format!("https://127.0.0.2:{}", site.port());
    let grants = format!(
        "http = [\"{}\"]\nhttp_private = [\"127.0.0.0/8\"]",
        &address[8..]
    );
    let stored = fetch(&granted(&grants, &authority), &address);
    failure(&stored, "celeriac.HttpError");
}

#[test]
fn a_header_with_a_secret_goes_to_its_server_and_to_no_other() {
    let (site, other) = (Site::mirror(), Site::mirror());
    let urls = [&site, &other].map(|site| site.url("127.0.0.1"));
    let grants = format!(
        "http = {urls:?}\nhttp_private = [\"127.0.0.1\"]\ninject = [\"{} Authorization: Bearer {{API_TOKEN}}\"]\n\n[secrets]\nAPI_TOKEN = {{ file = \"token\" }}",
        urls[0]
    );
    for isolate in ["false", "true"] {
        let stage = granted(&grants, "").with("worker.isolate", isolate);
        stage.write("token", "hunter2-and-more\n");
        stage.push("web");
        let _dev = stage.dev();
        let heads = urls.each_ref().map(|url| {
            let stored = stage.call("web.fetch", &json!([url]).to_string());
            let head = success(&stored)[2].as_str().expect("a text").to_owned();
            (head, stored["usage"].to_string())
        });
        let [(ours, usage), (theirs, _)] = heads;
        assert!(
            ours.contains("authorization: Bearer hunter2-and-more"),
            "{ours}"
        );
        assert!(usage.contains("secrets"), "{usage}");
        assert!(!theirs.contains("hunter2"), "{theirs}");
    }
}

#[test]
fn the_workers_own_broker_is_not_reached_through_a_network() {
    let redis = Redis::start();
    let url = format!("http://127.0.0.1:{}", redis.port());
    let grants = format!("http = [\"{url}\"]\nhttp_private = [\"127.0.0.0/8\"]");
    let stage = granted(&grants, "")
        .with("broker", &redis.url(0))
        .with("result_backend", &redis.url(1));
    stage.push("web");
    let _worker = stage.server(&["worker"]);
    let log = denial(&stage.call("web.fetch", &json!([url]).to_string()));
    assert!(log.contains("one of the worker's own servers'"), "{log}");
}

#[test]
fn limits_of_the_configuration_are_those_of_an_attempt() {
    let site = Site::plain("hello");
    let url = site.url("127.0.0.1");
    let grants = format!("http = [\"{url}\"]\nhttp_private = [\"127.0.0.1\"]");
    for isolate in ["false", "true"] {
        let stage = granted(&grants, "[http]\nrequests = 3").with("worker.isolate", isolate);
        stage.push("web");
        let _dev = stage.dev();
        let together = |times| {
            let urls = vec![url.clone(); times];
            stage.call("web.together", &json!([urls]).to_string())
        };
        assert_eq!(*success(&together(3)), json!([5, 5, 5]), "{isolate}");
        let log = denial(&together(4));
        assert!(log.contains("http.requests"), "{isolate}: {log}");
    }
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_fails_the_start() {
    let stage = stage();
    let path = stage.write("ca.pem", "nothing");
    stage.write("celeriac.toml", format!("[http]\nca_file = {path:?}\n"));
    stage
        .run(&["dev"])
        .refused(2, &["http.ca_file", "certificates of authorities in PEM"]);
}
