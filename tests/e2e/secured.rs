//! Redis behind TLS, certificates of clients and rights of users.

use crate::celery::python;
use crate::{stage, success};
use support::{Certificates, Redis, Stage};

/// An address with TLS, as Celery has it too: the same text for both.
fn secured(redis: &Redis, database: u32, options: &[(&str, String)]) -> String {
    let options: Vec<String> = options
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let port = redis.port();
    format!("rediss://127.0.0.1:{port}/{database}?{}", options.join("&"))
}

/// The options of a client that the server knows.
fn known(certificates: &Certificates) -> [(&'static str, String); 4] {
    let path = |name| certificates.path(name).display().to_string();
    [
        ("ssl_cert_reqs", "required".to_owned()),
        ("ssl_ca_certs", path("ca.pem")),
        ("ssl_certfile", path("client.pem")),
        ("ssl_keyfile", path("client.key")),
    ]
}

/// A stage whose messages are there.
fn with_broker(url: &str) -> Stage {
    stage().with("broker", url)
}

#[test]
fn a_client_of_celery_and_we_meet_behind_tls() {
    let certificates = Certificates::new();
    let redis = Redis::start_with_tls(&certificates);
    let urls = [0, 1].map(|database| secured(&redis, database, &known(&certificates)));
    let stage = with_broker(&urls[0]).with("result_backend", &urls[1]);
    stage.push("text");
    let worker = stage.server(&["worker"]);
    let arguments = ["snippet", &urls[0], &urls[1]];
    assert_eq!(python("5.7").run("client.py", &arguments)["words"], 6);
    assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn a_server_whose_authority_is_not_trusted_fails_the_start() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let redis = Redis::start_with_tls(&ours);
    let mut options = known(&ours);
    options[1].1 = others.path("ca.pem").display().to_string();
    with_broker(&secured(&redis, 0, &options))
        .run(&["worker"])
        .refused(2, &["broker redis cannot be used", "certificate"]);
}

#[test]
fn a_server_that_wants_our_certificate_and_gets_none_fails_the_start() {
    let certificates = Certificates::new();
    let redis = Redis::start_with_tls(&certificates);
    let [required, authority, ..] = known(&certificates);
    with_broker(&secured(&redis, 0, &[required, authority]))
        .run(&["worker"])
        .refused(
            2,
            &[
                "broker redis cannot be used",
                "CertificateRequired",
                "certificates",
            ],
        );
}

#[test]
fn a_file_that_is_missing_or_no_key_is_named() {
    let certificates = Certificates::new();
    let path = |name| certificates.path(name).display().to_string();
    let url = |key: String| {
        let [required, authority, certificate, _] = known(&certificates);
        let options = [required, authority, certificate, ("ssl_keyfile", key)];
        let options = options.map(|(name, value)| format!("{name}={value}"));
        format!("rediss://127.0.0.1:1/0?{}", options.join("&"))
    };
    with_broker(&url(path("missing.key")))
        .run(&["worker"])
        .refused(2, &["broker cannot be used", "missing.key cannot be read"]);
    with_broker(&url(path("ca.pem")))
        .run(&["worker"])
        .refused(2, &["broker cannot be used", "private key"]);
}

#[test]
fn a_certificate_is_never_left_unverified() {
    with_broker("rediss://:s3cret@127.0.0.1:1/0?ssl_cert_reqs=none")
        .run(&["worker"])
        .refused(2, &["always verified", "ssl_ca_certs"]);
}

/// What a user needs for queue `celery`: the queue, kombu's keys and ours.
const RIGHTS: [&str; 9] = [
    "on",
    ">pw",
    "~celery*",
    "~unacked*",
    "~celeriac*",
    "~_kombu.binding*",
    "&*",
    "+@all",
    "-@dangerous",
];

#[test]
fn a_user_with_the_keys_of_one_queue_serves_it_and_no_other() {
    let redis = Redis::start();
    let set = [&["ACL", "SETUSER", "shop"][..], &RIGHTS].concat();
    assert_eq!(redis.cli(0, &set), "OK");
    let urls = [0, 1].map(|database| redis.url(database).replace("//", "//shop:pw@"));
    let stage = with_broker(&urls[0]).with("result_backend", &urls[1]);
    stage.push("text");
    let _worker = stage.server(&["worker"]);
    let arguments = ["snippet", &urls[0], &urls[1]];
    assert_eq!(python("5.7").run("client.py", &arguments)["words"], 6);
    let refused = stage.run(&["worker", "-Q", "other", "-n", "other@%h"]);
    refused.refused(2, &["broker redis cannot be used", "permissions"]);
    assert!(!refused.err.contains("pw@"), "{refused}");
}
