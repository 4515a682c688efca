//! Versions over HTTP: breaks, names, pins and canaries.

use crate::api::v1::stand::{Answer, Stand};
use crate::plane::{Canary, Code, Pinned, Pushed, RolledBack, Versions};
use crate::registry::tests::component;
use crate::task::{Portion, Scope};
use serde_json::json;

const MODULE: &str = "/v1/tenants/acme/modules/images";

impl Stand {
    async fn put(&self, query: &str, tasks: &[&str], text: &str) -> Answer {
        let kind = "content-type: application/wasm\r\n";
        let what = format!("PUT {MODULE}{query}");
        self.ask(&self.operator, &what, kind, &component(tasks, text))
            .await
    }

    async fn post(&self, path: &str, body: serde_json::Value) -> Answer {
        let what = format!("POST {MODULE}{path}");
        self.json(&self.operator, &what, body).await
    }
}

#[tokio::test]
async fn a_push_that_breaks_callers_is_refused_unless_the_query_says_otherwise() {
    let stand = Stand::new().await;
    stand.put("", &["run", "walk"], "a").await;
    let refused = stand.put("", &["run"], "b").await;
    assert_eq!(refused.code(), Code::BreaksCallers);
    assert!(refused.body.contains("walk is gone"), "{refused:?}");
    let looked: Pushed = stand.put("?dry_run=true", &["run"], "b").await.read();
    assert_eq!((looked.version, looked.breaks.len()), (0, 1));
    let pushed: Pushed = stand.put("?breaking=true", &["run"], "b").await.read();
    assert_eq!((pushed.version, pushed.runs), (2, true));
    assert_eq!(pushed.changes.removed, ["walk"]);
    let versions: Versions = stand.get(&stand.operator, MODULE).await.read();
    assert_eq!(versions.versions[0].breaks, pushed.breaks);
    for wrong in [
        "?breaking=perhaps",
        "?version=1",
        "?canary=5",
        "?force=true",
    ] {
        let answer = stand.put(wrong, &["run"], "c").await;
        assert_eq!(answer.code(), Code::InvalidRequest, "{wrong}");
    }
}

#[tokio::test]
async fn versions_have_names_and_pins_and_a_canary_is_steered() {
    let stand = Stand::new().await;
    let alone = stand.put("?canary=5%25", &["run"], "a").await;
    assert_eq!(alone.code(), Code::Conflict);
    stand.put("?version=1.0.0", &["run"], "a").await;
    let again = stand.put("?version=1.0.0", &["run"], "b").await;
    assert_eq!(again.code(), Code::AlreadyExists);
    let older = stand.put("?version=0.9.0", &["run"], "b").await;
    assert_eq!(older.code(), Code::Conflict);
    let begun: Pushed = stand
        .put("?version=1.1.0&canary=5%25", &["run"], "b")
        .await
        .read();
    assert_eq!((begun.version, begun.runs), (2, false));
    let more = json!({"order": "to", "share": "12.5%"});
    let more: Canary = stand.post("/canary", more).await.read();
    let canary = more.canary.unwrap();
    assert_eq!((canary.share.as_str(), canary.version), ("12.50%", 2));
    for wrong in [
        json!({"order": "to"}),
        json!({"order": "abort", "share": "5%"}),
        json!({}),
    ] {
        let answer = stand.post("/canary", wrong.clone()).await;
        assert_eq!(answer.code(), Code::InvalidRequest, "{wrong}");
    }
    let over: Canary = stand
        .post("/canary", json!({"order": "promote"}))
        .await
        .read();
    assert_eq!(over.canary.unwrap().state, "promoted");
    let none = stand.post("/canary", json!({"order": "abort"})).await;
    assert_eq!(none.code(), Code::Conflict);

    let pinned: Pinned = stand.post("/pin", json!({"version": "1.0.0"})).await.read();
    assert_eq!((pinned.version, pinned.pinned), (1, true));
    let waits: Pushed = stand.put("", &["run"], "c").await.read();
    assert_eq!((waits.version, waits.runs), (3, false));
    let unknown = stand.post("/pin", json!({"version": "7.0.0"})).await;
    assert_eq!(unknown.code(), Code::NotFound);
    let free: Pinned = stand.post("/pin", json!({})).await.read();
    assert_eq!((free.version, free.pinned), (1, false));
}

#[tokio::test]
async fn a_rollback_takes_a_number_or_a_name_and_a_canary_its_rule() {
    let stand = Stand::new().await;
    stand.put("?version=1.0.0", &["run"], "a").await;
    stand.put("?version=1.1.0", &["run"], "b").await;
    let back = stand.post("/rollback", json!({"release": "1.0.0"})).await;
    let back: RolledBack = back.read();
    assert_eq!((back.from, back.version), (2, 1));
    let to: RolledBack = stand.post("/rollback", json!({"version": 2})).await.read();
    assert_eq!(to.version, 2);
    for (wrong, code) in [
        (json!({"release": "9.0.0"}), Code::NotFound),
        (json!({"release": "new"}), Code::InvalidRequest),
        (
            json!({"release": "1.0.0", "version": 1}),
            Code::InvalidRequest,
        ),
    ] {
        let answer = stand.post("/rollback", wrong.clone()).await;
        assert_eq!(answer.code(), code, "{wrong}");
    }
    let wrong = stand
        .put("?canary=5%25&canary_points=much", &["run"], "c")
        .await;
    assert_eq!(wrong.code(), Code::InvalidRequest);
    let rule = "?canary=5%25&canary_points=2%25&canary_runs=7";
    let begun: Pushed = stand.put(rule, &["run"], "c").await.read();
    assert!(!begun.runs);
    let (acme, images) = ("acme".parse().unwrap(), "images".parse().unwrap());
    let registry = &stand.house.registry;
    let canary = registry.canary(&acme, &images).await.unwrap().unwrap();
    assert_eq!(
        (canary.rule.runs, canary.rule.points),
        (7, Portion::percent(2))
    );
}

#[tokio::test]
async fn canaries_and_pins_of_others_look_like_what_is_not_there() {
    let stand = Stand::new().await;
    stand.push(&stand.operator, "other", "images", "a").await;
    let token = stand.token(Scope::TenantAdmin, Some("acme")).await;
    for what in ["GET canary", "POST canary", "POST pin"] {
        let (method, path) = what.split_once(' ').unwrap();
        let mut told = Vec::new();
        for tenant in ["other", "nobody"] {
            let what = format!("{method} /v1/tenants/{tenant}/modules/images/{path}");
            let answer = stand.json(&token, &what, json!({})).await;
            assert_eq!(answer.code(), Code::NotFound, "{what}");
            told.push(answer.words(tenant));
        }
        assert_eq!(told[0], told[1], "{what}");
    }
}
