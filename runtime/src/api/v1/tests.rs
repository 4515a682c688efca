//! Who may do what over HTTP, and what is answered.

mod crossing;
mod document;
mod quotas;
mod usage;
mod versions;
mod worker;

use super::stand::Stand;
use super::*;
use crate::plane::{Failure, Modules, NewTokenView, Pushed, Tenants};
use crate::registry::tests::component;
use crate::task::Scope;
use serde_json::json;

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
            ("GET", "/usage"),
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
async fn a_token_that_asks_for_another_tenant_is_told_whose_it_is() {
    let stand = Stand::new().await;
    let token = stand.token(Scope::ReadOnly, Some("acme")).await;
    for tenant in ["default", "other", "nobody", "No%20name"] {
        let answer = stand
            .get(&token, &format!("/v1/tenants/{tenant}/modules"))
            .await;
        assert_eq!(answer.code(), Code::NotFound, "{tenant}");
        let told: Failure = answer.read();
        let hint = told.error.hint;
        assert!(hint.contains("\"acme\"") && hint.contains("-T"), "{hint}");
    }
    let answer = stand
        .get(&stand.operator, "/v1/tenants/nobody/modules")
        .await;
    let told: Failure = answer.read();
    assert!(!told.error.hint.contains("belongs to the"), "{told:?}");
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
