//! Every route of the document, and paths that no route has, with the tokens of a tenant that
//! asks for what is another's. A route that is added is tried here without being named.

use super::super::stand::Stand;
use crate::api::v1::document;
use crate::plane::Audit;
use crate::task::Scope;
use serde_json::{Value, json};

const SCOPES: [Scope; 4] = [
    Scope::TenantAdmin,
    Scope::Deploy,
    Scope::Call,
    Scope::ReadOnly,
];
/// What everybody may see.
const OPEN: [&str; 3] = ["/health/live", "/health/ready", "/v1/openapi.json"];

/// All routes, as a method and a path with the query that it cannot be without.
fn routes() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut routes = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            if method != "parameters" {
                routes.push((method.to_uppercase(), path.clone() + &query(operation)));
            }
        }
    }
    routes
}

fn query(operation: &Value) -> String {
    let all = operation["parameters"].as_array();
    let needed = all
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true);
    let filled = needed.map(|parameter| match parameter["name"].as_str().unwrap() {
        "kind" => "kind=module".to_owned(),
        "name" => "name=images".to_owned(),
        name => panic!("{name}: say here what stands there"),
    });
    let filled: Vec<String> = filled.collect();
    match filled.is_empty() {
        true => String::new(),
        false => format!("?{}", filled.join("&")),
    }
}

/// The same path, about one tenant and things that it may have.
fn filled(path: &str, tenant: &str, id: &str) -> String {
    let path = path.replace("{tenant}", tenant).replace("{id}", id);
    let path = path.replace("{module}", "images");
    let path = path.replace("{digest}", &"a".repeat(64));
    assert!(!path.contains('{'), "{path}: say here what stands there");
    path
}

/// The id of a token, which stands in its text.
fn id_of(token: &str) -> String {
    token.split('_').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn on_every_route_another_tenant_looks_like_none() {
    let stand = Stand::new().await;
    stand.push(&stand.operator, "other", "images", "a").await;
    let theirs = id_of(&stand.token(Scope::Call, Some("other")).await);
    for scope in SCOPES {
        let token = stand.token(scope, Some("acme")).await;
        let all = routes().into_iter();
        for (method, path) in all.filter(|(_, path)| path.contains("{tenant}")) {
            let mut told = Vec::new();
            for tenant in ["other", "nobody"] {
                let what = format!("{method} {}", filled(&path, tenant, &theirs));
                let answer = stand.json(&token, &what, json!({})).await;
                // What is for operators alone is so whoever the tenant is.
                let is_refused = [403, 404].contains(&answer.status);
                assert!(is_refused, "{scope} {what}: {answer:?}");
                told.push(answer.words(tenant));
            }
            assert_eq!(told[0], told[1], "{scope} {method} {path}");
        }
    }
    let all = stand.get(&stand.operator, "/v1/tenants/other/modules");
    assert!(all.await.body.contains("images"));
}

#[tokio::test]
async fn what_is_of_no_tenant_is_refused_to_tenants_and_the_audit_shows_them_their_own() {
    let stand = Stand::new().await;
    stand.push(&stand.operator, "other", "images", "a").await;
    let operators = id_of(&stand.operator);
    for scope in SCOPES {
        let token = stand.token(scope, Some("acme")).await;
        for (method, path) in routes() {
            let is_open = OPEN.contains(&path.as_str());
            if path.contains("{tenant}") || is_open || path == "/v1/audit" {
                continue;
            }
            let what = format!("{method} {}", filled(&path, "", &operators));
            let answer = stand.json(&token, &what, json!({})).await;
            let is_refused = [403, 404].contains(&answer.status);
            assert!(is_refused, "{scope} {what}: {answer:?}");
        }
        let audit = stand.get(&token, "/v1/audit").await;
        if audit.status == 200 {
            let audit: Audit = audit.read();
            let whose = audit.entries.iter().map(|entry| entry.tenant.as_deref());
            assert!(whose.clone().all(|whose| whose == Some("acme")), "{scope}");
            assert!(whose.count() > 0);
        }
        let others = stand.get(&token, "/v1/audit?tenant=other").await;
        assert!([403, 404].contains(&others.status), "{others:?}");
    }
    let still = stand.get(&stand.operator, "/v1/tenants").await;
    assert_eq!(still.status, 200);
}

#[tokio::test]
async fn no_way_of_writing_a_path_leads_to_another_tenant() {
    let stand = Stand::new().await;
    stand.push(&stand.operator, "other", "images", "a").await;
    let token = stand.token(Scope::TenantAdmin, Some("acme")).await;
    for path in [
        "/v1/tenants/acme/../other/modules",
        "/v1/tenants/acme%2F..%2Fother/modules",
        "/v1/tenants/acme%2f%2e%2e%2fother/modules",
        "/v1/tenants/acme/modules/..%2F..%2Fother%2Fmodules%2Fimages",
        "/v1/tenants/acme/modules/../../other/modules/images",
        "/v1/tenants//other/modules",
        "/v1/tenants/OTHER/modules",
        "/v1/tenants/other%00/modules",
        "/v1/tenants/%6fther/modules",
        "/v1/tenants/other;acme/modules",
        "/v1/tenants/other,acme/modules",
        "/v1/tenants/acme%0d%0aother/modules",
        "/v1/tenants/*/modules",
        "http://x/v1/tenants/other/modules",
        "/v1/tenants/acme/modules?tenant=other",
        "/v1/tenants/other/modules?tenant=acme",
    ] {
        let answer = stand.get(&token, path).await;
        let is_refused = [400, 404].contains(&answer.status);
        assert!(is_refused, "{path}: {answer:?}");
        assert!(!answer.body.contains("sha256:"), "{path}: {answer:?}");
    }
    for header in ["x-tenant", "x-original-url", "x-rewrite-url", "forwarded"] {
        let header = format!("{header}: /v1/tenants/other/modules\r\n");
        let what = "GET /v1/tenants/acme/modules";
        let answer = stand.ask(&token, what, &header, b"").await;
        assert_eq!(answer.status, 200);
        assert!(!answer.body.contains("images"), "{header}: {answer:?}");
    }
}
