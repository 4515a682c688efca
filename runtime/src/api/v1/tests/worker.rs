//! What workers follow, fetch and tell over HTTP.

use crate::api::v1::stand::{Answer, Stand};
use crate::plane::{
    Code, Described, Pushed, WorkerComing, WorkerModules, WorkerOrders, WorkerPresence,
};
use crate::task::Scope;
use serde_json::json;
use std::time::Duration;

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

const PATHS: [&str; 8] = [
    "GET /v1/worker/modules",
    "GET /v1/worker/orders",
    "GET /v1/worker/coming",
    "POST /v1/worker/components",
    "GET /v1/worker/components/0000000000000000000000000000000000000000000000000000000000000000",
    "POST /v1/worker/presence",
    "DELETE /v1/worker/presence/x",
    "POST /v1/worker/canaries",
];

#[tokio::test]
async fn workers_alone_follow_and_a_workers_token_does_nothing_else() {
    let stand = Stand::new().await;
    stand.push(&stand.operator, "acme", "images", "a").await;
    for scope in Scope::ALL {
        if scope == Scope::Worker {
            continue;
        }
        let tenant = scope.is_of_a_tenant().then_some("acme");
        let token = stand.token(scope, tenant).await;
        for what in PATHS {
            let answer = stand.json(&token, what, json!({})).await;
            assert_eq!(answer.code(), Code::Forbidden, "{scope} {what}");
        }
    }
    for what in PATHS {
        assert_eq!(stand.json("", what, json!({})).await.status, 401, "{what}");
    }
    let worker = stand.token(Scope::Worker, None).await;
    for (what, code) in [
        ("GET /v1/tenants", Code::Forbidden),
        ("POST /v1/tenants", Code::Forbidden),
        ("GET /v1/tokens", Code::Forbidden),
        ("POST /v1/tokens", Code::Forbidden),
        ("GET /v1/audit", Code::Forbidden),
        ("GET /v1/tenants/acme", Code::NotFound),
        ("GET /v1/tenants/acme/modules", Code::NotFound),
        ("PUT /v1/tenants/acme/modules/images", Code::NotFound),
        ("POST /v1/tenants/acme/tasks", Code::NotFound),
        ("POST /v1/tenants/acme/kills", Code::NotFound),
        ("POST /v1/tenants/acme/tokens", Code::NotFound),
    ] {
        let answer = stand.json(&worker, what, json!({})).await;
        assert_eq!(answer.code(), code, "{what}");
    }
}

/// Asks as a worker while a component is pushed, and returns both answers.
async fn while_pushed(stand: &Stand, worker: &str, path: &str) -> (Answer, Answer) {
    let asked = stand.get(worker, path);
    let pushed = stand.push(&stand.operator, "acme", "images", "a");
    let both = futures::future::join(asked, pushed);
    tokio::time::timeout(LONG, both).await.unwrap()
}

#[tokio::test]
async fn a_worker_hears_of_a_push_before_it_is_published() {
    let stand = Stand::new().await;
    let worker = stand.token(Scope::Worker, None).await;
    let path = "/v1/worker/coming?wait=30";
    let first: WorkerComing = stand.get(&worker, path).await.read();
    assert_eq!((first.number, first.components.len()), (0, 0));
    let path = format!("{path}&number=0");
    let (told, pushed) = while_pushed(&stand, &worker, &path).await;
    let (told, pushed): (WorkerComing, Pushed) = (told.read(), pushed.read());
    assert_eq!((told.number, told.components.len()), (1, 1));
    let one = &told.components[0];
    assert_eq!((one.tenant.as_str(), &one.digest), ("acme", &pushed.digest));
    let past: WorkerComing = stand.get(&worker, "/v1/worker/coming").await.read();
    assert_eq!((past.number, past.components.len()), (1, 0));
    let long = stand.get(&worker, "/v1/worker/coming?wait=31").await;
    assert_eq!(long.code(), Code::InvalidRequest);
}

#[tokio::test]
async fn a_worker_hears_of_a_push_while_it_waits_and_fetches_by_digest() {
    let stand = Stand::new().await;
    let worker = stand.token(Scope::Worker, None).await;
    let first: WorkerModules = stand
        .get(&worker, "/v1/worker/modules?wait=30")
        .await
        .read();
    assert_eq!(first.modules.as_deref(), Some(&[][..]));
    let WorkerModules {
        installation,
        generation,
        ..
    } = first;
    let path =
        format!("/v1/worker/modules?wait=30&installation={installation}&generation={generation}");
    let (told, pushed) = while_pushed(&stand, &worker, &path).await;
    let (told, pushed): (WorkerModules, Pushed) = (told.read(), pushed.read());
    assert!(told.generation != generation);
    let modules = told.modules.unwrap();
    let module = &modules[0];
    assert_eq!(
        (module.tenant.as_str(), module.name.as_str()),
        ("acme", "images")
    );
    assert_eq!(
        (module.current.version, &module.current.digest),
        (1, &pushed.digest)
    );
    let wish = json!({"digests": [pushed.digest, "0".repeat(64)]});
    let described = stand.json(&worker, "POST /v1/worker/components", wish);
    let described: Described = described.await.read();
    assert_eq!(described.components.len(), 1);
    assert_eq!(described.components[0].tasks[0]["name"], "run");
    let digits = pushed.digest.trim_start_matches("sha256:");
    let fetched = stand
        .get(&worker, &format!("/v1/worker/components/{digits}"))
        .await;
    assert!(fetched.head.contains("content-type: application/wasm"));
    assert!(fetched.body.starts_with("\0asm"), "{fetched:?}");
    for unknown in ["0".repeat(64), "..%2f..%2fkey".to_owned(), "x".to_owned()] {
        let path = format!("/v1/worker/components/{unknown}");
        assert_eq!(stand.get(&worker, &path).await.code(), Code::NotFound);
    }
    // What is known is not sent again, and numbers of others are not known.
    let same = |installation: &str, generation: u64| {
        format!("/v1/worker/modules?installation={installation}&generation={generation}")
    };
    let path = same(&installation, told.generation);
    let again: WorkerModules = stand.get(&worker, &path).await.read();
    assert_eq!(again.modules, None);
    for path in [
        same("another", told.generation),
        same(&installation, told.generation + 1),
    ] {
        let whole: WorkerModules = stand.get(&worker, &path).await.read();
        assert_eq!(whole.modules.map(|modules| modules.len()), Some(1));
    }
    let long = stand.get(&worker, "/v1/worker/modules?wait=31").await;
    assert_eq!(long.code(), Code::InvalidRequest);
}

#[tokio::test]
async fn kills_and_tenants_are_orders_and_each_is_heard_of_at_once() {
    let stand = Stand::new().await;
    let worker = stand.token(Scope::Worker, None).await;
    stand.push(&stand.operator, "acme", "images", "a").await;
    // However many tenants there are, what must not run is heard of first.
    let first: WorkerOrders = stand.get(&worker, "/v1/worker/orders").await.read();
    assert_eq!(
        (first.kills.as_deref(), &first.tenants, first.tenants_number),
        (Some(&[][..]), &None, None)
    );
    let path = format!(
        "/v1/worker/orders?wait=30&installation={}&kills={}",
        first.installation, first.kills_number
    );
    let first: WorkerOrders = stand.get(&worker, &path).await.read();
    assert_eq!(first.kills, None);
    let names = |orders: &WorkerOrders| {
        let all = orders.tenants.iter().flatten();
        all.map(|tenant| tenant.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["acme", "default", "other"]);
    let known = |orders: &WorkerOrders| {
        format!(
            "/v1/worker/orders?wait=30&installation={}&kills={}&tenants={}",
            orders.installation,
            orders.kills_number,
            orders.tenants_number.unwrap()
        )
    };
    let kill = json!({"kind": "module", "name": "images", "reason": "loops"});
    let path = known(&first);
    let (killed, _) = tokio::time::timeout(
        LONG,
        futures::future::join(
            stand.get(&worker, &path),
            stand.json(&stand.operator, "POST /v1/tenants/acme/kills", kill),
        ),
    )
    .await
    .unwrap();
    let killed: WorkerOrders = killed.read();
    assert_eq!(killed.kills.as_ref().unwrap()[0].reason, "loops");
    assert_eq!(killed.tenants, None);
    let wish = json!({"name": "shop", "terms": {"broker": "amqp://s:s3cret@h/s"}});
    let path = known(&killed);
    let (made, _) = tokio::time::timeout(
        LONG,
        futures::future::join(
            stand.get(&worker, &path),
            stand.json(&stand.operator, "POST /v1/tenants", wish),
        ),
    )
    .await
    .unwrap();
    let made: WorkerOrders = made.read();
    assert_eq!((names(&made).len(), made.kills.is_none()), (4, true));
    let shop = made.tenants.as_ref().unwrap().last().unwrap();
    assert_eq!(shop.broker.as_deref(), Some("amqp://s:s3cret@h/s"));
}

#[tokio::test]
async fn a_push_waits_for_workers_elsewhere_and_a_canary_ends_by_what_they_tell() {
    let stand = Stand::new().await;
    let worker = stand.token(Scope::Worker, None).await;
    let presence = |generation, id: &str| WorkerPresence {
        id: id.to_owned(),
        name: "celeriac@elsewhere".to_owned(),
        pid: 1,
        started_at_ms: 0,
        generation,
        kills: 0,
        news: true,
    };
    let tell = async |presence: WorkerPresence| {
        let body = serde_json::to_value(presence).unwrap();
        stand.json(&worker, "POST /v1/worker/presence", body).await
    };
    assert_eq!(tell(presence(9, "w")).await.status, 200);
    let pushed: Pushed = stand
        .push(&stand.operator, "acme", "images", "a")
        .await
        .read();
    assert_eq!((pushed.live.workers, pushed.live.live), (1, 1));
    let left = stand.ask(&worker, "DELETE /v1/worker/presence/w", "", b"");
    assert_eq!(left.await.status, 200);
    let long = tell(presence(9, &"w".repeat(256))).await;
    assert_eq!(long.code(), Code::InvalidRequest);

    let what = "PUT /v1/tenants/acme/modules/images?canary=10%25";
    let kind = "content-type: application/wasm\r\n";
    let bytes = crate::registry::tests::component(&["run"], "b");
    let canary = stand.ask(&stand.operator, what, kind, &bytes).await;
    assert_eq!(canary.status, 200, "{canary:?}");
    let told: WorkerModules = stand.get(&worker, "/v1/worker/modules").await.read();
    let beside = told.modules.unwrap()[0].canary.clone().unwrap();
    assert_eq!((beside.version.version, beside.share_parts), (2, 1_000));
    let ends = json!({"canaries": [{
        "tenant": "acme", "module": "images", "version": 2,
        "canary": {"ended": 1000, "failed": 1000},
        "current": {"ended": 1000, "failed": 0},
    }]});
    let told = stand.json(&worker, "POST /v1/worker/canaries", ends).await;
    assert_eq!(told.status, 200, "{told:?}");
    let told: WorkerModules = stand.get(&worker, "/v1/worker/modules").await.read();
    assert_eq!(told.modules.unwrap()[0].canary, None);
}

#[tokio::test]
async fn what_workers_ask_and_tell_has_limits() {
    let stand = Stand::new().await;
    let worker = stand.token(Scope::Worker, None).await;
    let digests = vec!["0".repeat(64); 257];
    for (what, body) in [
        ("POST /v1/worker/components", json!({"digests": digests})),
        ("POST /v1/worker/components", json!({"digests": ["x"]})),
        (
            "POST /v1/worker/canaries",
            json!({"canaries": vec![json!({
                "tenant": "acme", "module": "m", "version": 1,
                "canary": {"ended": 0, "failed": 0}, "current": {"ended": 0, "failed": 0},
            }); 1_001]}),
        ),
        ("POST /v1/worker/presence", json!({"id": "x"})),
    ] {
        let answer = stand.json(&worker, what, body).await;
        assert_eq!(answer.code(), Code::InvalidRequest, "{what}");
    }
    let most = json!({"digests": vec!["0".repeat(64); 256]});
    let answer = stand
        .json(&worker, "POST /v1/worker/components", most)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}
