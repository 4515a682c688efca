//! Certificates of one's own, made by the program `openssl`.

use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// What `openssl` must not add by itself.
const CONFIGURATION: &str = "[req]\ndistinguished_name = name\n[name]\n";

/// An authority with a certificate for servers on this machine and one for clients.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes them all.
    ///
    /// # Panics
    /// When `openssl` is missing.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for certificates");
        let new = Self { folder };
        std::fs::write(new.path("openssl.cnf"), CONFIGURATION).expect("a file");
        new.make("ca", &["basicConstraints=critical,CA:TRUE"], false);
        let server = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        for (name, extension) in [("server", server), ("client", "subjectAltName=DNS:client")] {
            new.make(
                name,
                &["basicConstraints=critical,CA:FALSE", extension],
                true,
            );
        }
        new
    }

    /// Returns the path of `ca.pem`, `server.pem`, `server.key`, `client.pem` or
    /// `client.key`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make(&self, name: &str, extensions: &[&str], is_signed: bool) {
        let mut openssl = Command::new("openssl");
        openssl
            .current_dir(self.folder.path())
            .args(["req", "-config", "openssl.cnf", "-x509", "-days", "2"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-subj", &format!("/CN=test {name}")])
            .args([
                "-out",
                &format!("{name}.pem"),
                "-keyout",
                &format!("{name}.key"),
            ]);
        if is_signed {
            openssl.args(["-CA", "ca.pem", "-CAkey", "ca.key"]);
        }
        for extension in extensions {
            openssl.args(["-addext", extension]);
        }
        let output = openssl
            .output()
            .expect("openssl is missing: apt-get install openssl");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}");
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
