//! Workers that follow a control plane elsewhere, over HTTP and with a token of their own.

mod between;
mod bill;
mod orders;
mod outage;

use crate::stage;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use support::{ControlPlane, Server, Stage, until};

/// Longest wait for an answer (50 s): a push compiles, and waits for workers.
const ANSWER: Duration = Duration::from_secs(50);

/// A control plane, asked by its operator.
struct Control {
    plane: ControlPlane,
}

impl Control {
    fn start(stage: Stage) -> Self {
        Self {
            plane: ControlPlane::start(stage),
        }
    }

    /// Asks as the operator.
    fn ask(&self, what: &str, body: &Value) -> Value {
        let (status, answer) = self.send(what, "application/json", body.to_string().as_bytes());
        assert!(status < 300, "{what}: {status} {answer}");
        answer
    }

    /// Pushes a component of the tests.
    fn push(&self, tenant: &str, module: &str, component: &str) -> Value {
        let bytes = std::fs::read(self.plane.stage.component(component)).expect("a component");
        let what = format!("PUT /v1/tenants/{tenant}/modules/{module}?breaking=true");
        let (status, answer) = self.send(&what, "application/wasm", &bytes);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn send(&self, what: &str, kind: &str, body: &[u8]) -> (u16, Value) {
        let request = format!(
            "{what} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.plane.operator,
            body.len()
        );
        let answer = exchange(self.plane.address, &[request.as_bytes(), body].concat());
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        (status.expect("a status"), body)
    }

    /// Makes a tenant whose messages and results are there.
    fn tenant(&self, name: &str, broker: &str, results: &str) {
        let terms = json!({"broker": broker, "result_backend": results});
        self.ask("POST /v1/tenants", &json!({"name": name, "terms": terms}));
    }

    /// Returns the stage of a worker that follows it.
    fn follower(&self) -> Stage {
        self.plane.follower(stage())
    }
}

/// Sends a request on a connection of its own, and returns the answer.
fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let Ok(mut stream) = TcpStream::connect(address) else {
        return answer;
    };
    stream.set_read_timeout(Some(ANSWER)).expect("a timeout");
    // One that refuses early closes its end.
    let _early = stream.write_all(request);
    let _reset = stream.read_to_end(&mut answer);
    answer
}

/// A stage that sends tasks of tenants: it knows where their messages and results are.
fn client(tenants: &[(&str, &str, &str)]) -> Stage {
    let section = |(name, broker, results): &(&str, &str, &str)| {
        format!("[tenants.{name}]\nbroker = \"{broker}\"\nresult_backend = \"{results}\"\n")
    };
    let stage = stage();
    stage.write(
        "celeriac.toml",
        tenants.iter().map(section).collect::<String>(),
    );
    stage
}

/// Sends a task of a tenant, and returns its id.
fn sent(client: &Stage, tenant: &str, task: &str, args: &str) -> String {
    let sent = client.json(&["call", task, "-a", args, "-T", tenant]);
    sent["id"].as_str().expect("an id").to_owned()
}

/// Waits for the end of a task of a tenant, and returns what is stored.
fn ended(client: &Stage, tenant: &str, id: &str) -> Value {
    let asked = [
        "result",
        id,
        "--wait",
        "--timeout",
        "50s",
        "--json",
        "-T",
        tenant,
    ];
    let ran = client.run(&asked);
    assert!(ran.code == 0 || ran.code == 1, "task {id}: {ran}");
    ran.json()
}

/// Calls a task of a tenant, and returns what is stored.
fn call(client: &Stage, tenant: &str, task: &str, args: &str) -> Value {
    let id = sent(client, tenant, task, args);
    ended(client, tenant, &id)
}

/// Waits until workers settled so many more tasks of a name than they had, each of them,
/// while the task is called again and again.
fn all_run(workers: &[&Server], what: &str, mut call: impl FnMut()) {
    let name = [("task", what), ("state", "SUCCESS")];
    let settled = |worker: &Server| worker.metric("celeriac_tasks_settled_total", &name);
    let before: Vec<f64> = workers.iter().map(|worker| settled(worker)).collect();
    until(&format!("every worker runs {what}"), || {
        call();
        let mut pairs = workers.iter().zip(&before);
        pairs
            .all(|(worker, before)| settled(worker) > *before)
            .then_some(())
    });
}
