//! A virtual host of a private RabbitMQ server.
//!
//! A server takes five seconds to start, so the tests of one run share one, each in a
//! virtual host of its own: `cargo xtask test` names it in `CELERIAC_TEST_RABBITMQ` as
//! `PORT:PORT`, AMQP's and HTTP's. A test that is run alone starts its own.

use crate::certificates::Certificates;
use crate::guard::guarded;
use crate::{free_port, http};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the tests find a server that is there already.
pub const VARIABLE: &str = "CELERIAC_TEST_RABBITMQ";
/// The program itself: the one in the search path changes the user.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// `guest:guest`, as HTTP wants it.
const CREDENTIALS: &str = "authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n";

/// A virtual host, removed when dropped.
#[derive(Debug)]
pub struct Rabbit {
    ports: [u16; 2],
    vhost: String,
    _server: Option<RabbitServer>,
}

/// A private server, killed when dropped.
#[derive(Debug)]
pub struct RabbitServer {
    child: Child,
    ports: [u16; 2],
    folder: tempfile::TempDir,
    tls: Option<(u16, Certificates)>,
}

impl Rabbit {
    /// Makes a virtual host on the server of this run, or on one of its own.
    ///
    /// # Panics
    /// When `rabbitmq-server` is missing or does not start.
    #[must_use]
    pub fn start() -> Self {
        let shared = std::env::var(VARIABLE).ok();
        let shared = shared.as_deref().and_then(|ports| ports.split_once(':'));
        match shared.map(|(amqp, http)| [amqp, http].map(str::parse)) {
            Some([Ok(amqp), Ok(http)]) => Self::on([amqp, http], None),
            _ => {
                let server = RabbitServer::start();
                Self::on(server.ports, Some(server))
            }
        }
    }

    fn on(ports: [u16; 2], server: Option<RabbitServer>) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let vhost = format!("t{}-{number}", std::process::id());
        let rabbit = Self {
            ports,
            vhost,
            _server: server,
        };
        let path = format!("/api/vhosts/{}", rabbit.vhost);
        assert!(
            rabbit.http("PUT", &path, &Value::Null).0 < 300,
            "a virtual host is made"
        );
        rabbit
    }

    /// Returns its address.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_through(self.port())
    }

    /// Returns its address through another port, as that of a proxy.
    #[must_use]
    pub fn url_through(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/{}", self.vhost)
    }

    /// Returns the name of the virtual host.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// Returns the port of AMQP.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// Returns what the server knows of a queue; `Null` when there is none.
    ///
    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn queue(&self, name: &str) -> Value {
        let (status, body) = self.http(
            "GET",
            &format!("/api/queues/{}/{name}", self.vhost),
            &Value::Null,
        );
        match status {
            200 => serde_json::from_str(&body).expect("JSON"),
            _ => Value::Null,
        }
    }

    /// Declares a durable queue with arguments, as somebody else might.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn declare(&self, name: &str, arguments: &Value) {
        let path = format!("/api/queues/{}/{name}", self.vhost);
        let wanted = json!({"durable": true, "arguments": arguments});
        assert!(
            self.http("PUT", &path, &wanted).0 < 300,
            "{name} is declared"
        );
    }

    /// Deletes a queue with all that is in it.
    ///
    /// # Panics
    /// When there is none.
    pub fn delete(&self, name: &str) {
        let path = format!("/api/queues/{}/{name}", self.vhost);
        assert!(
            self.http("DELETE", &path, &Value::Null).0 < 300,
            "{name} is deleted"
        );
    }

    /// Sends a request to the server's own API, and returns the status and the body.
    ///
    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn http(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        ask(self.ports[1], method, path, body).expect("the server answers")
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = ask(
            self.ports[1],
            "DELETE",
            &format!("/api/vhosts/{}", self.vhost),
            &Value::Null,
        );
    }
}

fn ask(port: u16, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, String)> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    http::send(
        SocketAddr::from(([127, 0, 0, 1], port)),
        method,
        path,
        CREDENTIALS,
        &body,
    )
}

impl RabbitServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// When `rabbitmq-server` is missing or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with(None)
    }

    /// Starts a server that also speaks TLS, with clients that have a certificate.
    ///
    /// # Panics
    /// When `rabbitmq-server` is missing or does not start.
    #[must_use]
    pub fn with_tls(certificates: Certificates) -> Self {
        Self::with(Some((free_port(), certificates)))
    }

    fn with(tls: Option<(u16, Certificates)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        let plugins = folder.path().join("plugins");
        std::fs::write(&plugins, "[rabbitmq_management].").expect("a file");
        let ports = [free_port(), free_port()];
        let child = spawn(folder.path(), ports, tls.as_ref());
        let mut server = Self {
            child,
            ports,
            folder,
            tls,
        };
        server.answers();
        server
    }

    /// Returns the ports of AMQP and HTTP.
    #[must_use]
    pub fn ports(&self) -> [u16; 2] {
        self.ports
    }

    /// Kills it and starts it again with all it had on disk.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.folder.path(), self.ports, self.tls.as_ref());
        self.answers();
    }

    /// Returns the address of TLS with the options that a client needs.
    ///
    /// # Panics
    /// When it speaks no TLS.
    #[must_use]
    pub fn tls_url(&self, options: &[(&str, &str)]) -> String {
        let (port, certificates) = self.tls.as_ref().expect("a server with TLS");
        let options = options
            .iter()
            .map(|(name, file)| format!("{name}={}", certificates.path(file).display()));
        let options: Vec<String> = options.collect();
        format!("amqps://localhost:{port}//?{}", options.join("&"))
    }

    /// Runs a line of a shell in which `rabbitmqctl` is about this server.
    ///
    /// # Panics
    /// When it fails.
    pub fn shell(&self, line: &str) {
        // It answers over HTTP before it takes orders of this kind.
        let line = format!("rabbitmqctl -q await_startup && {line}");
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-c", &line])
            .env("PATH", format!("/usr/lib/rabbitmq/bin:{path}"))
            .env("HOME", self.folder.path())
            .env(
                "RABBITMQ_NODENAME",
                format!("celeriac-{}@localhost", self.ports[0]),
            )
            .output()
            .expect("a shell");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {told}");
    }

    /// Returns the address of a virtual host, `/` escaped.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}//", self.ports[0])
    }

    fn answers(&mut self) {
        let [amqp, http] = self.ports;
        // Of the two it listens for HTTP first.
        let listens = format!("/api/health/checks/port-listener/{amqp}");
        crate::until("rabbitmq-server answers", || {
            let ended = self.child.try_wait().is_ok_and(|ended| ended.is_some());
            assert!(!ended, "rabbitmq-server ended at once");
            ask(http, "GET", &listens, &Value::Null)
                .is_ok_and(|(status, _)| status == 200)
                .then_some(())
        });
    }

    /// Kills it, as a power cut does.
    pub fn kill(&mut self) {
        // The program is a script: what it started is of its group.
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _status = self.child.wait();
    }
}

impl Drop for RabbitServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(folder: &Path, [amqp, http]: [u16; 2], tls: Option<&(u16, Certificates)>) -> Child {
    let mut arguments =
        format!("-rabbitmq_management listener [{{port,{http}}},{{ip,\"127.0.0.1\"}}]");
    if let Some((port, certificates)) = tls {
        let path = |name| certificates.path(name).display().to_string();
        arguments.push_str(&format!(
            " -rabbit ssl_listeners [{port}] ssl_options [{{cacertfile,\"{}\"}},\
             {{certfile,\"{}\"}},{{keyfile,\"{}\"}},{{verify,verify_peer}},\
             {{fail_if_no_peer_cert,true}}]",
            path("ca.pem"),
            path("server.pem"),
            path("server.key")
        ));
    }
    assert!(
        Path::new(PROGRAM).exists(),
        "rabbitmq-server is missing: apt-get install rabbitmq-server"
    );
    guarded(PROGRAM)
        .env("HOME", folder)
        .env("RABBITMQ_NODENAME", format!("celeriac-{amqp}@localhost"))
        .env("RABBITMQ_NODE_PORT", amqp.to_string())
        .env("RABBITMQ_DIST_PORT", free_port().to_string())
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", folder.join("log"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", arguments)
        .spawn()
        .expect("a shell")
}
