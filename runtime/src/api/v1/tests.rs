//! The edge over real connections, with a registry and tenants in a folder of their own.

use super::*;
use crate::config::{Config, RawConfig};
use crate::plane::{Failure, Modules, NewTokenView, Pushed, Tenants};
use crate::platform::{Actor, Terms, TokenTerms};
use crate::registry::tests::{House, component};
use crate::sql::Sql;
use crate::task::Scope;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A control plane that is served, with an operator and two tenants.
struct Stand {
    house: House,
    platform: Platform,
    address: SocketAddr,
    shutdown: Shutdown,
    tasks: JoinSet<std::io::Result<()>>,
    operator: String,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).unwrap_or("0");
        Self {
            status: status.parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn code(&self) -> Code {
        let told: Failure = self.read();
        assert!(!told.error.message.is_empty() && !told.error.hint.is_empty());
        assert_eq!(told.error.code.status(), self.status, "{self:?}");
        told.error.code
    }

    /// The words without what differs between any two answers.
    fn words(&self, name: &str) -> (u16, String) {
        let told: Failure = self.read();
        let words = format!("{} {}", told.error.message, told.error.hint);
        (self.status, words.replace(&format!("{name:?}"), "NAME"))
    }
}

fn limits() -> Limits {
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
    async fn new() -> Self {
        Self::with(limits()).await
    }

    async fn with(limits: Limits) -> Self {
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

    async fn token(&self, scope: Scope, tenant: Option<&str>) -> String {
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

    async fn send(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // It may answer before it has read everything.
        let _early = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        Answer::of(&String::from_utf8_lossy(&answer))
    }

    async fn ask(&self, token: &str, what: &str, headers: &str, body: &[u8]) -> Answer {
        let mut request = format!(
            "{what} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             {headers}content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend(body);
        self.send(&request).await
    }

    async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, &format!("GET {path}"), "", b"").await
    }

    async fn json(&self, token: &str, what: &str, body: serde_json::Value) -> Answer {
        let kind = "content-type: application/json\r\n";
        let body = body.to_string();
        self.ask(token, what, kind, body.as_bytes()).await
    }

    async fn push(&self, token: &str, tenant: &str, module: &str, text: &str) -> Answer {
        let what = format!("PUT /v1/tenants/{tenant}/modules/{module}");
        let kind = "content-type: application/wasm\r\n";
        self.ask(token, &what, kind, &component(&["run"], text))
            .await
    }
}

#[tokio::test]
async fn without_a_token_that_holds_nothing_is_told() {
    let stand = Stand::new().await;
    for token in ["", "clr_", "clr_0123456789ab_00", &"x".repeat(10_000)] {
        let answer = stand.get(token, "/v1/tenants").await;
        if token.len() < 10_000 {
            assert_eq!(answer.code(), Code::Unauthorized);
        }
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.head.contains("\r\nwww-authenticate: bearer\r\n"));
        assert!(answer.head.contains("\r\ncache-control: no-store"));
    }
    let twice = format!("authorization: Bearer {}\r\n", stand.operator);
    let twice = stand
        .ask(&stand.operator, "GET /v1/tenants", &twice, b"")
        .await;
    assert_eq!(twice.status, 401);
    for open in ["/health/live", "/health/ready", "/v1/openapi.json"] {
        let answer = stand.get("", open).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(stand.get("", "/metrics").await.status, 401);
    let worker = stand.token(Scope::Worker, None).await;
    let metrics = stand.get(&worker, "/metrics").await;
    assert!(
        metrics.body.contains("celeriac_http_requests_total"),
        "{metrics:?}"
    );
    assert!(!metrics.body.contains("acme"));
}

#[tokio::test]
async fn what_is_others_looks_like_what_is_not_there() {
    let stand = Stand::new().await;
    stand.push(&stand.operator, "other", "images", "a").await;
    for scope in [
        Scope::TenantAdmin,
        Scope::Deploy,
        Scope::Call,
        Scope::ReadOnly,
    ] {
        let token = stand.token(scope, Some("acme")).await;
        for (method, path) in [
            ("GET", ""),
            ("GET", "/modules"),
            ("GET", "/modules/images"),
            ("PUT", "/modules/images"),
            ("DELETE", "/modules/images"),
            ("POST", "/modules/images/rollback"),
            ("GET", "/kills"),
            ("POST", "/kills"),
            ("GET", "/tokens"),
            ("POST", "/tokens"),
            ("DELETE", "/tokens/0123456789ab"),
        ] {
            let mut told = Vec::new();
            for tenant in ["other", "nobody", "No%20Name"] {
                let what = format!("{method} /v1/tenants/{tenant}{path}");
                let answer = stand.json(&token, &what, json!({})).await;
                assert_eq!(answer.status, 404, "{what}: {answer:?}");
                told.push(answer.words(&tenant.replace("%20", " ")));
            }
            assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
        }
    }
    let operator = stand
        .get(&stand.operator, "/v1/tenants/nobody/modules")
        .await;
    assert_eq!(operator.code(), Code::NotFound);
    let all = stand.get(&stand.operator, "/v1/tenants?limit=2").await;
    let all: Tenants = all.read();
    assert_eq!(
        (all.tenants.len(), all.next.as_deref()),
        (2, Some("default"))
    );
}

#[tokio::test]
async fn a_token_is_for_its_scope_and_while_its_tenant_is_suspended_for_looking() {
    let stand = Stand::new().await;
    let deploy = stand.token(Scope::Deploy, Some("acme")).await;
    let reader = stand.token(Scope::ReadOnly, Some("acme")).await;
    let refused = stand.push(&reader, "acme", "images", "a").await;
    assert_eq!(refused.code(), Code::Forbidden);
    assert_eq!(stand.push(&deploy, "acme", "images", "a").await.status, 200);
    assert_eq!(
        stand.get(&reader, "/v1/tenants/acme/modules").await.status,
        200
    );
    for what in [
        "GET /v1/tenants",
        "POST /v1/tenants",
        "DELETE /v1/tenants/acme",
        "GET /v1/tokens",
    ] {
        let answer = stand.json(&deploy, what, json!({})).await;
        assert_eq!(answer.code(), Code::Forbidden, "{what}");
    }
    let suspend = stand
        .json(&stand.operator, "POST /v1/tenants/acme/suspend", json!({}))
        .await;
    assert_eq!(suspend.status, 200, "{suspend:?}");
    let refused = stand.push(&deploy, "acme", "images", "b").await;
    assert_eq!(refused.code(), Code::TenantSuspended);
    assert_eq!(
        stand.get(&reader, "/v1/tenants/acme/modules").await.status,
        200
    );
    assert_eq!(
        stand
            .push(&stand.operator, "acme", "images", "b")
            .await
            .status,
        200
    );
}

/// Makes a tenant `shop` over HTTP, and a token that may do all that is its own.
async fn shop(stand: &Stand) -> NewTokenView {
    let wish = json!({"name": "shop", "terms": {"weight": 200, "broker": "amqp://s:s3cret@h/s"}});
    let made = stand
        .json(&stand.operator, "POST /v1/tenants", wish.clone())
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    assert!(!made.body.contains("s3cret"), "{made:?}");
    let again = stand.json(&stand.operator, "POST /v1/tenants", wish).await;
    assert_eq!(again.code(), Code::AlreadyExists);
    let wish = json!({"name": "ci", "scope": "tenant_admin"});
    let token = stand
        .json(&stand.operator, "POST /v1/tenants/shop/tokens", wish)
        .await;
    token.read()
}

#[tokio::test]
async fn a_tenant_is_made_gets_a_token_and_pushes_and_the_audit_has_it() {
    let stand = Stand::new().await;
    let token = shop(&stand).await;
    let id = "x-request-id: from-ci.1\r\n";
    let kind = format!("content-type: application/wasm\r\n{id}");
    let what = "PUT /v1/tenants/shop/modules/images";
    let pushed = stand
        .ask(&token.secret, what, &kind, &component(&["run"], "a"))
        .await;
    assert!(pushed.head.contains(id.trim()), "{pushed:?}");
    let pushed: Pushed = pushed.read();
    assert_eq!(
        (pushed.version, pushed.can_reach.as_slice()),
        (1, &["http:example.com".to_owned()][..])
    );
    stand.push(&token.secret, "shop", "images", "b").await;
    let back = stand
        .json(
            &token.secret,
            "POST /v1/tenants/shop/modules/images/rollback",
            json!({}),
        )
        .await;
    assert_eq!(back.read::<crate::plane::RolledBack>().version, 1);
    let listed: Modules = stand
        .get(&token.secret, "/v1/tenants/shop/modules")
        .await
        .read();
    assert_eq!(listed.modules.len(), 1);
    let own = stand.get(&token.secret, "/v1/tenants/shop").await;
    assert!(own.body.contains("\"broker\":null"), "{own:?}");
    let removed = stand
        .ask(
            &token.secret,
            "DELETE /v1/tenants/shop/modules/images",
            "",
            b"",
        )
        .await;
    assert_eq!(removed.status, 200, "{removed:?}");
    let audit = stand.get(&token.secret, "/v1/audit?tenant=shop").await;
    let audit: crate::plane::Audit = audit.read();
    let actions: Vec<_> = audit
        .entries
        .iter()
        .map(|entry| entry.action.as_str())
        .collect();
    let expected = [
        "module.remove",
        "module.rollback",
        "module.push",
        "module.push",
        "token.create",
        "tenant.create",
    ];
    assert_eq!(actions, expected);
    assert_eq!(audit.entries[3].request_id.as_deref(), Some("from-ci.1"));
    let others = stand.token(Scope::TenantAdmin, Some("acme")).await;
    assert_eq!(
        stand.get(&others, "/v1/audit?tenant=shop").await.status,
        404
    );
    let theirs: crate::plane::Audit = stand.get(&others, "/v1/audit").await.read();
    assert!(
        theirs
            .entries
            .iter()
            .all(|entry| entry.tenant.as_deref() == Some("acme"))
    );
}

#[tokio::test]
async fn a_kill_is_of_a_tenant_and_of_a_component_the_operators() {
    let stand = Stand::new().await;
    let admin = stand.token(Scope::TenantAdmin, Some("acme")).await;
    let pushed: Pushed = stand.push(&admin, "acme", "images", "a").await.read();
    let kills = "POST /v1/tenants/acme/kills";
    let task = json!({"kind": "task", "name": "images.run", "reason": "loops"});
    assert_eq!(stand.json(&admin, kills, task).await.status, 200);
    let listed = stand.get(&admin, "/v1/tenants/acme/kills").await;
    assert!(listed.body.contains("\"loops\""), "{listed:?}");
    let undo = "DELETE /v1/tenants/acme/kills?kind=task&name=images.run";
    assert_eq!(stand.ask(&admin, undo, "", b"").await.status, 200);
    assert_eq!(
        stand.ask(&admin, undo, "", b"").await.code(),
        Code::NotFound
    );
    let component = json!({"kind": "digest", "name": pushed.digest});
    assert_eq!(
        stand.json(&admin, kills, component.clone()).await.code(),
        Code::Forbidden
    );
    assert_eq!(
        stand.json(&stand.operator, kills, component).await.status,
        200
    );
    let again = stand.push(&admin, "acme", "pictures", "a").await;
    assert_eq!(again.code(), Code::Killed);
    let another = json!({"kind": "tenant", "name": "other"});
    assert_eq!(
        stand.json(&admin, kills, another).await.code(),
        Code::InvalidRequest
    );
}

#[tokio::test]
async fn bad_requests_are_answered_with_what_is_wrong() {
    let stand = Stand::new().await;
    let token = &stand.operator;
    let kind = "content-type: application/json\r\n";
    let deep = "[".repeat(100_000);
    for (what, headers, body, code) in [
        ("GET /nowhere", "", "", Code::NotFound),
        ("DELETE /v1/tenants", "", "", Code::MethodNotAllowed),
        ("GET /v1/tenants?limit=0", "", "", Code::InvalidRequest),
        ("GET /v1/tenants?limit=1001", "", "", Code::InvalidRequest),
        ("GET /v1/tenants?limt=5", "", "", Code::InvalidRequest),
        ("GET /v1/tenants?after=%FF", "", "", Code::InvalidRequest),
        ("GET /v1/tenants/%FF", "", "", Code::NotFound),
        ("POST /v1/tenants", kind, "{", Code::InvalidRequest),
        ("POST /v1/tenants", kind, &deep, Code::InvalidRequest),
        (
            "POST /v1/tenants",
            kind,
            "{\"name\":\"Bad Name\"}",
            Code::InvalidRequest,
        ),
        ("POST /v1/tenants", "", "{}", Code::UnsupportedMediaType),
        (
            "PUT /v1/tenants/acme/modules/images",
            kind,
            "{}",
            Code::UnsupportedMediaType,
        ),
        (
            "PUT /v1/tenants/acme/modules/images",
            "content-type: application/wasm\r\n",
            "x",
            Code::ComponentRefused,
        ),
    ] {
        let answer = stand.ask(token, what, headers, body.as_bytes()).await;
        assert_eq!(answer.code(), code, "{what}: {answer:?}");
    }
    let wrong = stand
        .ask(token, "DELETE /v1/tenants", "x-request-id: a\"b\r\n", b"")
        .await;
    assert!(wrong.head.contains("\r\nallow: "), "{wrong:?}");
    assert!(!wrong.head.contains("a\"b"), "{wrong:?}");
    let large = format!(
        "POST /v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{kind}content-length: {}\r\n\r\n",
        sent::BODY_BYTES + 1
    );
    assert_eq!(stand.send(large.as_bytes()).await.code(), Code::TooLarge);
    let upload = large.replace("POST /v1/tenants", "PUT /v1/tenants/acme/modules/m");
    let upload = upload.replace("application/json", "application/wasm");
    let upload = upload.replace("1048577", &(celeriac_sandbox::UPLOAD_BYTES + 1).to_string());
    assert_eq!(stand.send(upload.as_bytes()).await.code(), Code::TooLarge);
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_again() {
    let stand = Stand::with(Limits {
        token_per_minute: 12,
        address_per_minute: 30,
        ..limits()
    })
    .await;
    let one = stand.token(Scope::ReadOnly, Some("acme")).await;
    for _ in 0..2 {
        assert_eq!(stand.get(&one, "/v1/tenants/acme").await.status, 200);
    }
    let answer = stand.get(&one, "/v1/tenants/acme").await;
    assert_eq!(answer.code(), Code::RateLimited);
    assert!(answer.head.contains("\r\nretry-after: "), "{answer:?}");
    let other = stand.get(&stand.operator, "/v1/tenants/acme").await;
    assert_eq!(other.status, 200, "{other:?}");
    assert_eq!(stand.get("", "/health/live").await.status, 200);
    assert_eq!(
        stand.get("", "/health/live").await.code(),
        Code::RateLimited
    );
}

#[tokio::test]
async fn one_connection_too_many_is_told_and_a_slow_client_is_left() {
    let stand = Stand::with(Limits {
        connections: 1,
        header: Duration::from_millis(200),
        body: Duration::from_millis(200),
        ..limits()
    })
    .await;
    let mut slow = TcpStream::connect(stand.address).await.unwrap();
    slow.write_all(b"GET /health").await.unwrap();
    let over = stand.get("", "/health/live").await;
    assert_eq!(over.code(), Code::TooBusy);
    assert!(over.head.contains("\r\nretry-after: 1"), "{over:?}");
    let mut rest = Vec::new();
    let ended = slow.read_to_end(&mut rest).await;
    assert!(ended.is_err() || rest.is_empty(), "{rest:?}");
    drop(slow);
    // The next one is let in as soon as the one before is gone.
    let begun = format!(
        "POST /v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 9\r\n\r\n{{",
        stand.operator
    );
    let answer = loop {
        let answer = stand.send(begun.as_bytes()).await;
        if answer.status != 503 {
            break answer;
        }
    };
    assert_eq!(answer.code(), Code::RequestTimeout);
}

#[tokio::test]
async fn a_stop_ends_the_edge_once_what_is_under_way_is_done() {
    let mut stand = Stand::new().await;
    let mut stream = TcpStream::connect(stand.address).await.unwrap();
    let head = format!(
        "POST /v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 15\r\n\r\n",
        stand.operator
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut goes_on = [0; 12];
    stream.read_exact(&mut goes_on).await.unwrap();
    assert_eq!(&goes_on, b"HTTP/1.1 100");
    stand.shutdown.stop();
    stream.write_all(b"{\"name\":\"late\"}").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("HTTP/1.1 201"), "{rest}");
    assert!(stand.tasks.join_next().await.unwrap().unwrap().is_ok());
    assert_eq!(stand.house.registry.generation().await.unwrap(), 0);
}

/// The file that holds the document.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

/// After a change of the API: `CELERIAC_TEST_RENEW=1 cargo nextest run -p celeriac --lib
/// -E 'test(the_document_of_the_api_is_the_golden_file)'`, and look at what it changed.
#[test]
fn the_document_of_the_api_is_the_golden_file() {
    let now = format!("{}\n", document());
    if std::env::var_os("CELERIAC_TEST_RENEW").is_some() {
        std::fs::write(GOLDEN, &now).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(
        golden == now,
        "docs/openapi.json is not what the routes say; renew it, see above this test"
    );
}

#[test]
fn every_code_is_told_by_some_operation() {
    let document = document();
    for code in Code::ALL {
        // The router answers these before any operation.
        let by_none = code == Code::MethodNotAllowed;
        let word = format!("`{}`", code.text());
        assert!(by_none || document.contains(&word), "{word}");
    }
}

#[test]
fn trouble_of_ours_is_told_without_its_details() {
    use crate::database::DatabaseError;
    use crate::registry::RegistryError;
    let full = || RegistryError::Storage {
        path: "/secret/place".into(),
        source: std::io::Error::from(std::io::ErrorKind::StorageFull),
    };
    let away = || RegistryError::Database(DatabaseError::Closed);
    for (problem, code) in [
        (trouble::registry(full()), Code::StorageFull),
        (trouble::registry(away()), Code::Unavailable),
        (
            trouble::platform(crate::platform::PlatformError::Sql(
                crate::sql::SqlError::Misconfigured {
                    reason: "no such host /secret/place".to_owned(),
                },
            )),
            Code::Unavailable,
        ),
    ] {
        assert_eq!((problem.code, problem.code.status()), (code, 503));
        assert!(!problem.message.contains("secret") && !problem.hint.contains("secret"));
        assert!(problem.detail.is_some() && problem.retry_after.is_some());
    }
}
