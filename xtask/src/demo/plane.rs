//! The control plane of the demo's worker, asked over HTTP as any program would.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::stage::Stage;

/// Longest wait for an answer (90 s): a minute of it may be the wait for a task.
const ANSWER: Duration = Duration::from_secs(90);

/// Whoever has a token.
#[derive(Debug)]
pub(super) struct Caller {
    address: String,
    token: String,
}

impl Caller {
    /// Makes a token of a scope for a tenant.
    pub(super) fn new(stage: &Stage, tenant: &str, scope: &str) -> Result<Self> {
        let made = stage.ask(&["token", "create", "--scope", scope, "-T", tenant, "--json"])?;
        let token = made.get("text").and_then(Value::as_str);
        Ok(Self {
            address: stage.plane().to_owned(),
            token: token
                .with_context(|| format!("no token in {made}"))?
                .to_owned(),
        })
    }

    /// Sends a request with a JSON body, and returns its status and what was answered.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let body = match body.is_null() {
            true => String::new(),
            false => body.to_string(),
        };
        self.send(method, path, "application/json", body.as_bytes())
    }

    /// Sends a request.
    pub(super) fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<(u16, Value)> {
        let Self { address, token } = self;
        let mut stream = TcpStream::connect(address).with_context(|| address.clone())?;
        stream.set_read_timeout(Some(ANSWER))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             content-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        )?;
        stream.write_all(body)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1);
        let status = status.and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("no HTTP: {head:?}"))?;
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        Ok((status, body))
    }
}
