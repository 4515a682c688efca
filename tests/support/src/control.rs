//! A control plane that can be killed and comes back at the same address.

use crate::ports::free_port;
use crate::server::Server;
use crate::stage::Stage;
use std::net::SocketAddr;

/// A control plane of its own; killed when dropped.
#[derive(Debug)]
pub struct ControlPlane {
    /// The stage in which it runs.
    pub stage: Stage,
    /// Where it listens.
    pub address: SocketAddr,
    /// The token of an operator.
    pub operator: String,
    /// The token of a worker.
    pub worker: String,
    server: Option<Server>,
}

impl ControlPlane {
    /// Starts one in a stage whose settings say where it keeps what it has.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(stage: Stage) -> Self {
        let token = |scope| {
            let made = stage.json(&["token", "create", "--scope", scope]);
            made["text"].as_str().expect("a token").to_owned()
        };
        let (operator, worker) = (token("operator"), token("worker"));
        let mut plane = Self {
            stage,
            address: SocketAddr::from(([127, 0, 0, 1], free_port())),
            operator,
            worker,
            server: None,
        };
        plane.revive();
        plane
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts it again.
    ///
    /// # Panics
    /// When it does not start.
    pub fn revive(&mut self) {
        let address = self.address.to_string();
        let mut command = self
            .stage
            .command(&["serve", "--listen", &address, "--json"]);
        // What moto takes for a key, where components are there.
        command.env("AWS_ACCESS_KEY_ID", "test");
        command.env("AWS_SECRET_ACCESS_KEY", "test");
        self.server = Some(Server::start(command));
    }

    /// Returns a stage that works through it with a token.
    #[must_use]
    pub fn with_token(&self, stage: Stage, token: &str) -> Stage {
        stage
            .with("server", &format!("http://{}", self.address))
            .with("token", token)
    }

    /// Returns a stage in which a worker follows it.
    #[must_use]
    pub fn follower(&self, stage: Stage) -> Stage {
        self.with_token(stage, &self.worker)
            .with("worker.consumer_timeout", "2h")
    }
}
