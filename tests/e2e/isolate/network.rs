//! What guests apart may reach: nothing, but for those that may send by HTTP.

use super::cells;
use crate::{failure, stage, success};
use serde_json::json;
use support::{Certificates, Server, Site, Stage, until};

fn granted(grants: &str) -> Stage {
    let stage = stage().with("worker.isolate", "true");
    stage.write("celeriac.toml", grants);
    stage
}

/// Tells for each cell whether it was started with a network.
fn networks(server: &Server) -> Vec<bool> {
    let lines = cells(server).into_iter().map(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("--network")
    });
    lines.collect()
}

#[test]
fn authorities_of_the_environment_are_trusted_by_guests_apart() {
    let certificates = Certificates::new();
    let site = Site::secure(&certificates);
    let url = site.url("localhost");
    let grants = format!(
        "[grants.web]\nhttp = [\"localhost:{}\"]\nhttp_private = [\"127.0.0.0/8\", \"::1\"]",
        site.port()
    );
    let folder = certificates.path("authorities");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::copy(certificates.path("ca.pem"), folder.join("ours.pem")).expect("a file");
    for (name, value) in [
        ("NOTHING", folder.clone()),
        ("SSL_CERT_FILE", certificates.path("ca.pem")),
        ("SSL_CERT_DIR", folder),
    ] {
        let stage = granted(&grants).with("worker.confine", "require");
        let mut command = stage.command(&["dev", "--json"]);
        let _dev = Server::start({
            command.env(name, value);
            command
        });
        stage.push("web");
        let stored = stage.call("web.fetch", &json!([url]).to_string());
        match name {
            "NOTHING" => drop(failure(&stored, "celeriac.HttpError")),
            _ => assert_eq!(success(&stored)[0], 200, "{name}: {stored}"),
        }
    }
}

#[test]
fn a_process_of_guests_has_a_network_only_where_one_of_them_may_send() {
    let site = Site::plain("hello");
    let url = site.url("127.0.0.1");
    let grants =
        format!("[grants.\"web.fetch\"]\nhttp = [\"{url}\"]\nhttp_private = [\"127.0.0.1\"]\n");
    let stage = granted(&grants);
    for module in ["text", "web"] {
        stage.push(module);
    }
    let dev = stage.dev();
    success(&stage.call("text.echo", "[1]"));
    assert_eq!(networks(&dev), [false]);
    // A task of the same module that may send nothing.
    let denied = stage.call("web.together", &json!([[url]]).to_string());
    failure(&denied, "celeriac.HttpError");
    assert_eq!(networks(&dev), [false, false]);
    let stored = stage.call("web.fetch", &json!([url]).to_string());
    assert_eq!(success(&stored)[2], "hello", "{stored}");
    // Its process takes the place of the one without.
    until("one of two", || {
        let mut all = networks(&dev);
        all.sort_unstable();
        (all == [false, true]).then_some(())
    });
    let denied = stage.call("web.together", &json!([[url]]).to_string());
    failure(&denied, "celeriac.HttpError");
    assert_eq!(cells(&dev).len(), 2);
}
