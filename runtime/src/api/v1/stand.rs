//! The stand of the edge's tests: real connections, with a registry and tenants in a folder
//! of their own.

use super::*;
use crate::config::{Config, RawConfig};
use crate::plane::Failure;
use crate::platform::{Actor, Terms, TokenTerms};
use crate::registry::tests::{House, component};
use crate::sql::Sql;
use crate::task::Scope;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A control plane that is served, with an operator and two tenants.
pub(super) struct Stand {
    pub(super) house: House,
    pub(super) platform: Platform,
    pub(super) address: SocketAddr,
    pub(super) shutdown: Shutdown,
    pub(super) tasks: JoinSet<std::io::Result<()>>,
    pub(super) operator: String,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).unwrap_or("0");
        Self {
            status: status.parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    pub(super) fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn code(&self) -> Code {
        let told: Failure = self.read();
        assert!(!told.error.message.is_empty() && !told.error.hint.is_empty());
        assert_eq!(told.error.code.status(), self.status, "{self:?}");
        told.error.code
    }

    /// The words without what differs between any two answers.
    pub(super) fn words(&self, name: &str) -> (u16, String) {
        let told: Failure = self.read();
        let words = format!("{} {}", told.error.message, told.error.hint);
        (self.status, words.replace(&format!("{name:?}"), "NAME"))
    }
}

pub(super) fn limits() -> Limits {
    Limits {
        connections: 8,
        token_per_minute: 60_000,
        address_per_minute: 60_000,
        header: Duration::from_secs(10),
        body: Duration::from_secs(10),
        idle: Duration::from_secs(10),
        proxy: false,
    }
}

impl Stand {
    pub(super) async fn new() -> Self {
        Self::with(limits()).await
    }

    pub(super) async fn with(limits: Limits) -> Self {
        let house = House::open().await;
        let sql = Sql::sqlite(&house.path().join("celeriac.db"));
        let platform = Platform::open(sql, house.clock.clone()).await.unwrap();
        let shutdown = Shutdown::new();
        let mut raw = RawConfig::default();
        raw.set_flag("data", "data", house.path().display().to_string());
        let (config, _) = Config::check(raw).unwrap();
        let parts = (house.registry.clone(), platform.clone());
        let calls = Calls::open(&config, parts, house.clock.clone());
        let plane = Plane::new(Parts {
            registry: house.registry.clone(),
            platform: platform.clone(),
            reach: Arc::new(|_, _, _| (vec!["http:example.com".to_owned()], BTreeMap::new())),
            calls: calls.await.unwrap(),
            clock: house.clock.clone(),
            metrics: Arc::new(EdgeMetrics::new()),
            shutdown: shutdown.clone(),
            limits,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(crate::api::serve(
            plane,
            listener,
            None,
            shutdown.stopping(),
        ));
        let me = Actor::on_the_machine();
        for tenant in ["acme", "other"] {
            let name = tenant.parse().unwrap();
            let made = platform.create_tenant(&me, &name, Terms::default());
            made.await.unwrap();
        }
        let mut stand = Self {
            house,
            platform,
            address,
            shutdown,
            tasks,
            operator: String::new(),
        };
        stand.operator = stand.token(Scope::Operator, None).await;
        stand
    }

    pub(super) async fn token(&self, scope: Scope, tenant: Option<&str>) -> String {
        let terms = TokenTerms {
            name: "test".to_owned(),
            scope,
            tenant: tenant.map(|name| name.parse().unwrap()),
            expires_at: None,
        };
        let me = Actor::on_the_machine();
        let made = self.platform.create_token(&me, terms).await;
        made.unwrap().text.expose().to_owned()
    }

    pub(super) async fn send(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // It may answer before it has read everything.
        let _early = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        Answer::of(&String::from_utf8_lossy(&answer))
    }

    pub(super) async fn ask(&self, token: &str, what: &str, headers: &str, body: &[u8]) -> Answer {
        let mut request = format!(
            "{what} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             {headers}content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend(body);
        self.send(&request).await
    }

    pub(super) async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, &format!("GET {path}"), "", b"").await
    }

    pub(super) async fn json(&self, token: &str, what: &str, body: serde_json::Value) -> Answer {
        let kind = "content-type: application/json\r\n";
        let body = body.to_string();
        self.ask(token, what, kind, body.as_bytes()).await
    }

    pub(super) async fn push(&self, token: &str, tenant: &str, module: &str, text: &str) -> Answer {
        let what = format!("PUT /v1/tenants/{tenant}/modules/{module}");
        let kind = "content-type: application/wasm\r\n";
        self.ask(token, &what, kind, &component(&["run"], text))
            .await
    }
}
