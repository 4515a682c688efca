//! TLS, as `curl` and `openssl` see it.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use support::{Certificates, Stage, until};

/// A control plane that speaks TLS; killed when dropped.
pub(super) struct Secured {
    child: Child,
    pub(super) address: String,
}

impl Secured {
    pub(super) fn start(stage: &Stage) -> Self {
        let mut command = stage.command(&["serve", "--listen", "0.0.0.0:0", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        out.read_line(&mut line).expect("a line");
        let banner: Value = serde_json::from_str(&line).expect("a document");
        let listen = banner["listen"].as_str().expect("an address");
        let port = listen.rsplit(':').next().expect("a port");
        Self {
            child,
            address: format!("127.0.0.1:{port}"),
        }
    }

    /// Returns the fingerprint of the certificate it shows.
    fn fingerprint(&self) -> String {
        let script = format!(
            "openssl s_client -connect {} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint",
            self.address
        );
        let shown = Command::new("sh").args(["-c", &script]).output();
        String::from_utf8_lossy(&shown.expect("openssl runs").stdout).into_owned()
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

#[test]
fn a_certificate_is_shown_and_a_new_one_without_a_restart() {
    let (first, second) = (Certificates::new(), Certificates::new());
    let stage = crate::stage();
    let (certificate, key) = (stage.path("certificate.pem"), stage.path("key.pem"));
    let put = |from: &Certificates| {
        std::fs::copy(from.path("server.key"), &key).expect("a copy");
        std::fs::copy(from.path("server.pem"), &certificate).expect("a copy");
    };
    put(&first);
    let stage = stage
        .with("serve.tls_certificate", &certificate.display().to_string())
        .with("serve.tls_key", &key.display().to_string());
    let secured = Secured::start(&stage);
    let curl = Command::new("curl")
        .args(["-sS", "--cacert"])
        .arg(first.path("ca.pem"))
        .arg(format!("https://{}/health/live", secured.address))
        .output()
        .expect("curl runs");
    let answer = String::from_utf8_lossy(&curl.stdout);
    assert_eq!(answer, "{\"live\":true}", "{curl:?}");
    let before = secured.fingerprint();
    assert!(before.contains("Fingerprint"), "{before}");
    put(&second);
    until("the new certificate", || {
        let now = secured.fingerprint();
        (now.contains("Fingerprint") && now != before).then_some(())
    });
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_at_the_start() {
    let certificates = Certificates::new();
    let stage = crate::stage();
    let text = stage.write("text.pem", "no certificate");
    let server = certificates.path("server.pem");
    let other = certificates.path("client.key");
    for (certificate, key, words) in [
        (&text, &other, "is not a certificate"),
        (&server, &text, "is not a private key"),
        (&server, &other, "cannot be used with the key"),
        (&stage.path("gone.pem"), &other, "cannot be read"),
    ] {
        let stage = crate::stage()
            .with("serve.tls_certificate", &certificate.display().to_string())
            .with("serve.tls_key", &key.display().to_string());
        stage.run(&["serve"]).refused(2, &[words, "[serve]"]);
    }
}
