//! A server of one's own that speaks S3: `moto`, of Python.

use crate::http;
use crate::ports::free_port;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Tries to find a port that nobody takes between finding and using it.
const TRIES: usize = 20;
/// Says whose request it is.
const SIGNED: &str = "authorization: AWS4-HMAC-SHA256 \
     Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n";
/// The bucket that is there.
const BUCKET: &str = "celeriac";

/// A private server on a free port with one empty bucket, killed when dropped.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    /// Starts a server, and waits until it has its bucket.
    ///
    /// # Panics
    /// When its environment was not made, or it does not start.
    #[must_use]
    pub fn start(target: &Path) -> Self {
        let program = target.join("python/celery-5.7-s3/bin/moto_server");
        assert!(
            program.exists(),
            "{} is missing: `cargo xtask test` makes it",
            program.display()
        );
        for _ in 0..TRIES {
            if let Some(server) = Self::start_on(&program, free_port()) {
                return server;
            }
        }
        panic!("moto found no port of {TRIES}");
    }

    fn start_on(program: &Path, port: u16) -> Option<Self> {
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python runs");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut server = Self { child, address };
        let is_there = crate::until("moto has its bucket", || {
            if server.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Some(false);
            }
            server.put(&format!("/{BUCKET}"), "").then_some(true)
        });
        is_there.then_some(server)
    }

    /// Returns the address of a folder of its bucket.
    #[must_use]
    pub fn url(&self, folder: &str) -> String {
        self.url_of(BUCKET, folder)
    }

    /// Returns the address of a folder of any bucket, also of one that is not there.
    #[must_use]
    pub fn url_of(&self, bucket: &str, folder: &str) -> String {
        let address = self.address;
        format!("s3://{bucket}/{folder}?region=us-east-1&endpoint=http://{address}")
    }

    /// Writes an object of its bucket, as somebody else would.
    ///
    /// # Panics
    /// When it is not written.
    pub fn write(&self, name: &str, text: &str) {
        assert!(self.put(&format!("/{BUCKET}/{name}"), text), "{name}");
    }

    /// Sends a request of somebody with keys, whose signature nobody looks at.
    fn put(&self, path: &str, text: &str) -> bool {
        let sent = http::send(self.address, "PUT", path, SIGNED, text);
        sent.is_ok_and(|(status, _)| status == 200)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
