//! What a tenant may not store more of.

use super::super::stand::Stand;
use crate::plane::{Code, Failure, Modules};
use crate::registry::tests::component;
use crate::task::Scope;
use serde_json::json;

#[tokio::test]
async fn a_push_over_the_quota_of_bytes_is_refused_and_one_within_it_is_not() {
    let stand = Stand::new().await;
    let size = component(&["run"], "one").len();
    let change = json!({"quota": {"module_bytes": 2 * size}});
    let what = "PATCH /v1/tenants/acme";
    let changed = stand.json(&stand.operator, what, change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let deploy = stand.token(Scope::Deploy, Some("acme")).await;
    for module in ["one", "two"] {
        let pushed = stand.push(&deploy, "acme", module, module).await;
        assert_eq!(pushed.status, 200, "{pushed:?}");
    }
    // Not even an operator pushes more for it than it may have.
    for token in [&deploy, &stand.operator] {
        let refused = stand.push(token, "acme", "three", "six").await;
        assert_eq!(refused.code(), Code::QuotaExceeded);
        let told: Failure = refused.read();
        for word in ["acme", "module_bytes", &(2 * size).to_string()] {
            assert!(told.error.message.contains(word), "{word}: {told:?}");
        }
    }
    assert_eq!(
        stand.push(&deploy, "acme", "three", "one").await.status,
        200
    );
    assert_eq!(
        stand
            .push(&stand.operator, "other", "three", "six")
            .await
            .status,
        200
    );
    let what = "DELETE /v1/tenants/acme/modules/two";
    assert_eq!(stand.json(&deploy, what, json!({})).await.status, 200);
    assert_eq!(stand.push(&deploy, "acme", "four", "six").await.status, 200);
    let all = stand.get(&deploy, "/v1/tenants/acme/modules").await;
    let all: Modules = all.read();
    let names = all.modules.iter().map(|module| module.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["four", "one", "three"]);
}
