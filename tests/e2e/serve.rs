//! The control plane from outside: `celeriac serve`, and the one within `celeriac dev`.

mod clients;
mod edge;
mod through;
mod tls;
mod workers;

pub(crate) use clients::python;

use serde_json::Value;
use std::net::SocketAddr;
use support::{Server, Stage, http};

/// A control plane within `celeriac dev`, and the token it wrote down.
pub(crate) struct Plane {
    pub(crate) stage: Stage,
    pub(crate) dev: Server,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

impl Plane {
    /// Starts one that has settings of its own.
    pub(crate) fn new(stage: Stage) -> Self {
        let dev = stage.dev();
        let told = &dev.banner()["plane"];
        let address = told["listen"].as_str().expect("an address");
        let address = address.parse().expect("an address");
        let token = std::fs::read_to_string(stage.data().join("operator-token"));
        let token = token.expect("a token").trim().to_owned();
        Self {
            stage,
            dev,
            address,
            token,
        }
    }

    pub(crate) fn ask(&self, token: &str, what: &str, body: &str) -> (u16, Value) {
        let (method, path) = what.split_once(' ').expect("a method and a path");
        let headers =
            format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\n");
        let answer = http::send(self.address, method, path, &headers, body);
        let (status, body) = answer.expect("an answer");
        let body = serde_json::from_str(&body).unwrap_or(Value::Null);
        (status, body)
    }
}
