//! The command line through a control plane: it shows and does there what it shows and does
//! on the machine itself, and nothing here.

use super::Plane;
use super::tls::Secured;
use crate::stage;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use support::{Certificates, Ran, Stage, until};

/// A control plane with a worker, and a machine elsewhere that has a token of an operator.
struct Ends {
    plane: Plane,
    away: Stage,
}

impl Ends {
    fn new() -> Self {
        let plane = Plane::new(stage());
        let away = elsewhere(&plane, &plane.token);
        Self { plane, away }
    }

    /// Asks on the machine and from elsewhere, and returns what both say.
    fn agree(&self, arguments: &[&str]) -> Value {
        let here = self.plane.stage.json(arguments);
        assert_eq!(self.away.json(arguments), here, "{arguments:?}");
        here
    }

    /// Makes a token of tenant `acme`, and returns a machine that has it.
    fn of_acme(&self, scope: &str) -> Stage {
        let made = ["token", "create", "--scope", scope, "-T", "acme"];
        let text = self.away.json(&made)["text"].clone();
        elsewhere(&self.plane, text.as_str().expect("a token"))
    }

    fn push(&self, away: &Stage, component: &str, more: &[&str]) -> Ran {
        let file = self.plane.stage.component(component);
        let file = file.display().to_string();
        away.run(&[&["push", &file, "--name", "words", "--json"], more].concat())
    }
}

fn elsewhere(plane: &Plane, token: &str) -> Stage {
    stage()
        .with("server", &format!("http://{}", plane.address))
        .with("token", token)
}

#[test]
fn modules_are_pushed_shown_pinned_rolled_back_killed_and_removed() {
    let ends = Ends::new();
    let first = ends.push(&ends.away, "text", &["--version", "1.0.0"]);
    let first = first.good().json();
    assert_eq!(
        [&first["version"], &first["runs"], &first["release"]],
        [&json!(1), &json!(true), &json!("1.0.0")]
    );
    assert_eq!(first["live"]["live"], 1, "{first}");
    let local = ends.push(&ends.plane.stage, "text", &[]).good().json();
    let keys = |document: &Value| -> Vec<String> {
        let keys = document.as_object().expect("a document").keys();
        keys.cloned().collect()
    };
    assert_eq!(keys(&first), keys(&local));
    let breaks = ends.push(&ends.away, "report", &["--dry-run"]);
    breaks.refused(3, &["task_gone"]);
    assert_eq!(breaks.json()["live"], Value::Null);
    ends.push(&ends.away, "report", &[])
        .refused(3, &["version 1", "--breaking"]);
    let canary = [
        "--breaking",
        "--canary",
        "10%",
        "--canary-runs",
        "7",
        "--canary-points",
        "2%",
    ];
    let second = ends.push(&ends.away, "report", &canary).good().json();
    assert_eq!(
        (&second["canary"], &second["runs"]),
        (&json!("10%"), &json!(false))
    );
    let listed = ends.agree(&["modules"]);
    assert_eq!(listed["modules"][0]["canary"]["state"], "runs");
    let listed = ends.agree(&["modules", "words"]);
    assert_eq!(listed["versions"][0]["breaks"][0]["breaks"], "task_gone");
    ends.agree(&["canary", "words"]);
    let promoted = ends.away.json(&["canary", "words", "--promote"]);
    assert_eq!(promoted["canary"]["state"], "promoted");
    let back = ends.away.json(&["rollback", "words", "1.0.0"]);
    assert_eq!((&back["from"], &back["version"]), (&json!(2), &json!(1)));
    let back = ends.away.json(&["rollback", "words", "--to", "2"]);
    assert_eq!(back["version"], 2);
    ends.away.json(&["rollback", "words"]);
    let pinned = ends.away.json(&["pin", "words", "1.0.0"]);
    assert_eq!(
        (&pinned["version"], &pinned["pinned"]),
        (&json!(1), &json!(true))
    );
    let waits = ends.away.run(&["unpin", "words"]).good().out;
    assert!(
        waits.contains("runs version 1 until the next push"),
        "{waits}"
    );
    kills(&ends, &first);
}

/// Kills the module and its component, allows them again, and takes the module away.
fn kills(ends: &Ends, first: &Value) {
    let killed = ends
        .away
        .json(&["kill", "--module", "words", "--reason", "why"]);
    assert_eq!(killed["kill"]["reason"], "why");
    assert_eq!(
        ends.agree(&["kill", "--list"])["kills"],
        json!([killed["kill"]])
    );
    ends.away
        .run(&["call", "words.echo", "-a", "[1]"])
        .refused(3, &["why"]);
    let digest = first["digest"].as_str().expect("a digest");
    ends.away.json(&["kill", "--digest", &digest[..20]]);
    for aim in [["--module", "words"], ["--digest", &digest[..20]]] {
        let undone = ends.away.json(&["kill", "--undo", aim[0], aim[1]]);
        assert_eq!(undone["undone"], true);
    }
    assert_eq!(ends.away.json(&["remove", "words"])["module"], "words");
    ends.away
        .run(&["rollback", "words"])
        .refused(5, &["there is no module \"words\""]);
    assert!(!ends.away.data().exists(), "nothing is kept here");
}

#[test]
fn tasks_are_called_waited_for_and_revoked() {
    let ends = Ends::new();
    let away = &ends.away;
    for module in ["text", "flaky"] {
        let file = away.component(module).display().to_string();
        away.json(&["push", &file, "--name", module]);
    }
    let echo = ["call", "text.echo", "-a", "[[1.5,9007199254740993]]"];
    let ended = away
        .run(&[&echo[..], &["--wait", "--json"]].concat())
        .good();
    assert!(ended.out.contains("[1.5,9007199254740993]"), "{ended}");
    let ended = ended.json();
    let id = ended["id"].as_str().expect("an id");
    assert_eq!(ends.agree(&["result", id]), ended);
    ends.agree(&["result", id, "--wait"]);
    // It is over, however short the wait.
    assert_eq!(
        away.json(&["result", id, "--wait", "--timeout", "0"]),
        ended
    );
    let shown = away.run(&echo[..]).good();
    assert_eq!(shown.out.trim().len(), 36, "{shown}");

    let fails = [
        "call",
        "flaky.fails",
        "-a",
        "[\"ValueError\",\"boom\"]",
        "--wait",
    ];
    away.run(&fails).refused(1, &["ValueError", "boom"]);
    let id = sent(away, &["text.echo", "-a", "[1]", "--countdown", "1h"]);
    away.run(&["result", &id]).refused(5, &["PENDING"]);
    away.run(&["result", &id, "--wait", "--timeout", "0.2"])
        .refused(6, &["not finished", "celeriac result"]);
    let revoked = away.json(&["revoke", &id]);
    assert_eq!(revoked["revoked"], json!([{"id": id, "state": "REVOKED"}]));
    assert_eq!(
        away.run(&["result", &id, "--wait", "--json"]).json()["state"],
        "REVOKED"
    );

    away.run(&["call", "text.echo"]).refused(2, &["value"]);
    away.run(&["call", "text.nothing"])
        .refused(5, &["text.nothing"]);
    away.run(&["call", "text.echo", "-a", "[1]", "--id", "x"])
        .refused(2, &["--id"]);
    away.run(&["revoke", "--stamp", "a=b"])
        .refused(2, &["--stamp"]);
    away.run(&["result", "no-such-task"])
        .refused(5, &["no-such-task"]);
    // A proxy of this machine reads no token.
    let mut proxied = away.command(&["result", &id, "--json"]);
    proxied.env("http_proxy", "http://127.0.0.1:1");
    assert_eq!(support::ran(proxied).json()["state"], "REVOKED");
    assert!(!away.data().exists(), "nothing is kept here");
}

#[test]
fn a_call_whose_result_nobody_keeps_is_told_by_its_id() {
    let ends = Ends::new();
    ends.away.json(&["tenant", "create", "acme"]);
    let change = [
        "tenant",
        "change",
        "acme",
        "--tenant-results",
        "disabled://",
    ];
    ends.away.json(&change);
    let file = ends.away.component("text").display().to_string();
    ends.away
        .json(&["push", &file, "--name", "text", "-T", "acme"]);
    let call = ["call", "text.echo", "-a", "[1]", "-T", "acme", "--wait"];
    ends.away
        .run(&call)
        .refused(4, &["the task was sent as", "celeriac result"]);
}

fn sent(away: &Stage, call: &[&str]) -> String {
    let sent = away.json(&[&["call"], call].concat());
    assert_eq!(sent["queue"], "celery");
    assert!(sent["due"].is_string(), "{sent}");
    sent["id"].as_str().expect("an id").to_owned()
}

#[test]
fn tenants_tokens_and_the_audit_are_there() {
    let ends = Ends::new();
    let away = &ends.away;
    let made = away.json(&[
        "tenant",
        "create",
        "acme",
        "--weight",
        "50",
        "--may",
        "http:a.example",
    ]);
    assert_eq!(made["tenant"]["weight"], 50);
    away.run(&["tenant", "create", "acme"])
        .refused(3, &["acme"]);
    let broker = "amqp://acme:s3cret@127.0.0.1:1/acme";
    let change = [
        "tenant",
        "change",
        "acme",
        "--concurrency",
        "4",
        "--tenant-broker",
        broker,
    ];
    let changed = away.json(&change);
    assert_eq!(changed["tenant"]["quota"]["concurrency"], 4);
    // What is not said stays, the password that was not told too.
    away.json(&["tenant", "change", "acme", "--cpu-per-day", "2h"]);
    let shown = ends.agree(&["tenant", "show", "acme"]);
    assert_eq!(shown["tenant"]["quota"]["concurrency"], 4);
    assert_eq!(shown["tenant"]["broker"], "amqp://acme:…@127.0.0.1:1/acme");
    let audit = ends.plane.stage.json(&["audit", "-N", "1"]);
    let became = audit["audit"][0]["became"].as_object().expect("members");
    assert_eq!(became.keys().collect::<Vec<_>>(), ["quota"]);
    assert_eq!(
        away.json(&["tenant", "suspend", "acme"])["tenant"]["suspended"],
        true
    );
    away.json(&["tenant", "resume", "acme"]);

    let expires = ["--expires", "90d", "--name", "ci"];
    let made = away.json(
        &[
            &["token", "create", "--scope", "deploy", "-T", "acme"],
            &expires[..],
        ]
        .concat(),
    );
    assert_eq!(made["token"]["name"], "ci");
    let id = made["token"]["id"].as_str().expect("an id");
    let rotated = away.json(&["token", "rotate", id, "-T", "acme", "--grace", "1h"]);
    let new = rotated["token"]["id"].as_str().expect("an id");
    away.json(&["token", "revoke", new, "-T", "acme"]);
    ends.agree(&["token", "list", "-T", "acme"]);
    let audit = ends.agree(&["audit", "-N", "5", "-T", "acme"]);
    assert_eq!(audit["audit"][0]["action"], "token.revoke");
    assert!(audit["audit"][0]["request"].is_string(), "{audit}");
    let next = audit["next"].to_string();
    ends.agree(&["audit", "-N", "2", "-T", "acme", "--before", &next]);
    ends.agree(&["tenant", "list"]);
    away.json(&["tenant", "delete", "acme", "--force"]);
    away.run(&["tenant", "show", "acme"]).refused(5, &["acme"]);
}

#[test]
fn a_token_does_what_it_is_for_and_is_told_what_it_is_not() {
    let ends = Ends::new();
    ends.away.json(&["tenant", "create", "acme"]);
    assert_eq!(ends.push(&ends.away, "text", &[]).code, 0);
    let [deploy, call, reader] = ["deploy", "call", "read-only"].map(|scope| ends.of_acme(scope));
    assert_eq!(ends.push(&deploy, "text", &["-T", "acme"]).code, 0);
    assert_eq!(
        reader.json(&["modules", "-T", "acme"])["modules"][0]["name"],
        "words"
    );
    for (away, arguments) in [
        (&deploy, &["kill", "--module", "words", "-T", "acme"][..]),
        (&deploy, &["call", "words.echo", "-a", "[1]", "-T", "acme"]),
        (&deploy, &["tenant", "list"]),
        (&deploy, &["tenant", "create", "other"]),
        (
            &deploy,
            &["token", "create", "--scope", "deploy", "-T", "acme"],
        ),
        (&deploy, &["token", "list"]),
        (&deploy, &["audit", "-T", "acme"]),
        (&call, &["remove", "words", "-T", "acme"]),
        (&call, &["rollback", "words", "-T", "acme"]),
        (&reader, &["pin", "words", "1", "-T", "acme"]),
        (&reader, &["revoke", "some-task", "-T", "acme"]),
    ] {
        away.run(arguments).refused(3, &["error: ", "hint: "]);
    }
    // What is another tenant's looks like what is not there.
    for away in [&deploy, &reader] {
        away.run(&["modules"]).refused(5, &["default"]);
        away.run(&["modules", "-T", "nobody"])
            .refused(5, &["nobody"]);
    }
    let wrong = elsewhere(&ends.plane, "clr_0123456789ab_00");
    wrong.run(&["modules"]).refused(2, &["token", "hint: "]);
    ends.away.json(&["tenant", "suspend", "acme"]);
    ends.push(&deploy, "report", &["-T", "acme"])
        .refused(3, &["suspended"]);
}

#[test]
fn a_control_plane_that_is_away_or_strange_is_told_with_what_to_do() {
    let away = stage().with("token", "clr_hunter2");
    let gone = "http://127.0.0.1:1";
    let ran = away.run(&["modules", "--server", gone]);
    ran.refused(4, &["does not answer", gone, "celeriac serve"]);
    for url in ["http://celeriac.example.com", "http://10.0.0.1:8790"] {
        away.run(&["modules", "--server", url])
            .refused(2, &["could be read on the way", "https://"]);
    }
    away.run(&["modules"])
        .refused(2, &["token", "--server URL"]);
    stage()
        .run(&["modules", "--server", gone])
        .refused(2, &["CELERIAC_TOKEN"]);
    for command in [
        &["queues"][..],
        &["purge", "celery"],
        &["inspect", "ping"],
        &["gc"],
        &["dev"],
    ] {
        let ran = away.run(&[command, &["--server", gone]].concat());
        ran.refused(2, &["not about a control plane"]);
    }
    away.with("server", gone)
        .run(&["gc"])
        .refused(2, &["about this machine", "--server \"\""]);
    let said = |stage: &Stage| {
        let shown = stage.run(&["config", "check"]).good();
        format!("{}{}", shown.out, shown.err)
    };
    let shown = said(&stage().with("server", gone).with("token", "clr_hunter2"));
    assert!(
        shown.contains("***") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn a_certificate_of_ones_own_is_trusted_where_its_authority_is_named() {
    let certificates = Certificates::new();
    let path = |name: &str| certificates.path(name).display().to_string();
    let host = stage()
        .with("serve.tls_certificate", &path("server.pem"))
        .with("serve.tls_key", &path("server.key"));
    let made = host.json(&["token", "create", "--scope", "operator"]);
    let token = made["text"].as_str().expect("a token");
    let secured = Secured::start(&host);
    let away = stage().with("server", &format!("https://{}", secured.address));
    let file = away.write("token", token);
    let mode = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, mode).expect("it is ours");
    };
    mode(0o644);
    let away = away.with("token_file", &file.display().to_string());
    away.run(&["tenant", "list"]).refused(2, &["chmod 600"]);
    mode(0o600);
    away.run(&["tenant", "list"])
        .refused(2, &["no TLS", "server_ca"]);
    let away = away.with("server_ca", &path("ca.pem"));
    let listed = until("it listens", || {
        let ran = away.run(&["tenant", "list", "--json"]);
        (ran.code == 0).then(|| ran.json())
    });
    assert_eq!(listed["tenants"][0]["name"], "default");
}
