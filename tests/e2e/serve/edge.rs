//! Starting, stopping, and what lies in the data folder.

use super::Plane;
use crate::stage;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use support::until;

#[test]
fn dev_serves_the_control_plane_and_keeps_its_token_for_its_owner() {
    let plane = Plane::new(stage());
    let file = plane.stage.data().join("operator-token");
    let mode = std::fs::metadata(&file).expect("it is there").mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!plane.dev.log().contains(&plane.token));
    let pushed = plane.stage.push("hostile");
    let (status, listed) = plane.ask(&plane.token, "GET /v1/tenants/default/modules", "");
    assert_eq!(
        (status, &listed["modules"][0]["digest"]),
        (200, &pushed["digest"])
    );
    let (status, refused) = plane.ask("clr_wrong", "GET /v1/tenants", "");
    assert_eq!(
        (status, &refused["error"]["code"]),
        (401, &"unauthorized".into())
    );
    let Plane {
        stage, dev, token, ..
    } = plane;
    drop(dev);
    let again = Plane::new(stage);
    assert_eq!(again.token, token);
    assert_eq!(again.ask(&token, "GET /v1/tenants", "").0, 200);
}

#[test]
fn a_control_plane_without_a_worker_forgets_versions_beyond_the_newest() {
    let stage = stage();
    let file = std::fs::read(stage.component("frozen")).expect("a component");
    for number in 0..12 {
        // A section that no program reads makes it another component.
        let section = [0, 3, 1, b'n', number];
        let path = stage.write("one.wasm", [&file[..], &section].concat());
        let path = path.display().to_string();
        stage.json(&["push", &path, "--name", "frozen"]);
    }
    let listed = || stage.json(&["modules", "frozen"])["versions"].clone();
    let count = || listed().as_array().map(Vec::len);
    assert_eq!(count(), Some(12));
    let _serve = stage.server(&["serve", "--listen", "127.0.0.1:0"]);
    until("the oldest are gone", || (count() < Some(12)).then_some(()));
    assert_eq!(listed()[0]["version"], 12);
}

#[test]
fn plain_http_leaves_this_machine_only_where_somebody_says_so() {
    let stage = stage();
    let listen = ["serve", "--listen", "0.0.0.0:0"];
    stage.run(&listen).refused(
        2,
        &[
            "would show tokens",
            "tls_certificate",
            "proxy = true",
            "--insecure",
        ],
    );
    let insecure = stage.server(&[&listen[..], &["--insecure"]].concat());
    assert_eq!(
        insecure.get("/health/live").map(|(status, _)| status),
        Some(200)
    );
}

#[test]
fn a_stop_finishes_what_is_under_way_and_ends_within_its_drain() {
    let stage = stage().with("serve.drain", "1s");
    let serve = stage.server(&["serve", "--listen", "127.0.0.1:0"]);
    let listen = serve.banner()["listen"].as_str().expect("an address");
    // Half a request is under way for as long as its client likes.
    let mut half = TcpStream::connect(listen).expect("it listens");
    half.write_all(b"GET /health/live HTTP/1.1\r\n")
        .expect("it reads");
    let ended = serve.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut rest = Vec::new();
    assert!(half.read_to_end(&mut rest).is_err() || rest.is_empty());
}
