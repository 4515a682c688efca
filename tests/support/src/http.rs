//! The least of HTTP: one request, one answer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for an answer (10 s).
const ANSWER: Duration = Duration::from_secs(10);

/// Gets a page: its status and body.
///
/// # Errors
/// When nobody listens or the answer is no HTTP.
pub fn get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    send(address, "GET", path, "", "")
}

/// Sends a request with headers that each end in a line feed.
///
/// # Errors
/// When nobody listens or the answer is no HTTP.
pub fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no HTTP: {head:?}")))?;
    Ok((status, body.to_owned()))
}
