//! A site on this machine that tasks may be let reach, with TLS or without.

use crate::{Certificates, free_port, until};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

/// Answers every request with success. It ends with the test.
#[derive(Debug)]
pub struct Site {
    port: u16,
    secure: Option<Child>,
}

impl Site {
    /// Starts one that answers `text`.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn plain(text: &'static str) -> Self {
        Self::answering(move |_| text.to_owned())
    }

    /// Starts one that answers with the head of the request.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn mirror() -> Self {
        Self::answering(str::to_owned)
    }

    fn answering(says: impl Fn(&str) -> String + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let says = says.clone();
                thread::spawn(move || {
                    // Whoever asked may be gone.
                    drop(answer(client, says));
                });
            }
        });
        Self { port, secure: None }
    }

    /// Starts one whose certificate is for `127.0.0.1` and `localhost`; what it answers
    /// tells about the connection.
    ///
    /// # Panics
    /// When `openssl` is missing.
    #[must_use]
    pub fn secure(certificates: &Certificates) -> Self {
        let port = free_port();
        let child = Command::new("openssl")
            .args(["s_server", "-www", "-quiet", "-accept"])
            .arg(format!("127.0.0.1:{port}"))
            .arg("-cert")
            .arg(certificates.path("server.pem"))
            .arg("-key")
            .arg(certificates.path("server.key"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is missing: apt-get install openssl");
        let site = Self {
            port,
            secure: Some(child),
        };
        until("openssl listens", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        site
    }

    /// Returns its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns its URL, by a name or an address of this machine.
    #[must_use]
    pub fn url(&self, host: &str) -> String {
        let scheme = if self.secure.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{host}:{}", self.port)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(child) = &mut self.secure {
            // It may be gone already.
            let _gone = child.kill();
            let _status = child.wait();
        }
    }
}

fn answer(mut client: TcpStream, says: impl Fn(&str) -> String) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let text = says(&String::from_utf8_lossy(&head));
    let length = text.len();
    write!(
        client,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}"
    )
}
