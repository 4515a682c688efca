use super::*;
use crate::clock::Clock;
use crate::platform::{Actor, Terms};
use crate::registry::tests::House;
use crate::sql::Sql;

async fn platform() -> (Platform, Clock, House) {
    // Makes the tables.
    let house = House::open().await;
    let sql = Sql::sqlite(&house.path().join("celeriac.db"));
    let clock = house.clock.clone();
    let platform = Platform::open(sql, clock.clone()).await.unwrap();
    (platform, clock, house)
}

fn key(text: &str) -> CallKey {
    CallKey::parse(text).unwrap()
}

fn ours(id: &TaskId, again: bool) -> Claim {
    Claim::Ours {
        id: id.clone(),
        again,
    }
}

#[test]
fn a_key_is_visible_ascii_of_at_most_255_bytes() {
    for good in ["a", "order 17".replace(' ', "-").as_str(), &"~".repeat(255)] {
        assert!(CallKey::parse(good).is_some(), "{good}");
    }
    for bad in ["", "a b", "ä", "a\n", "\u{7f}", &"x".repeat(256)] {
        assert_eq!(CallKey::parse(bad), None, "{bad}");
    }
}

#[tokio::test]
async fn the_same_request_gets_the_same_task_and_another_one_none() {
    let (platform, _, _house) = platform().await;
    let (tenant, key) = (TenantName::default(), key("k"));
    let (first, second) = (TaskId::random(), TaskId::random());
    let claim = async |body: u8, id: &TaskId| {
        let claimed = platform.claim_call(&tenant, &key, &[body; 32], id).await;
        claimed.unwrap()
    };
    assert_eq!(claim(1, &first).await, ours(&first, false));
    assert_eq!(claim(1, &second).await, Claim::UnderWay);
    assert_eq!(claim(2, &second).await, Claim::Other);
    platform
        .end_claim(&tenant, &key, ClaimEnd::Sent)
        .await
        .unwrap();
    assert_eq!(claim(1, &second).await, Claim::Sent(first.clone()));
    assert_eq!(claim(2, &second).await, Claim::Other);
    // Whoever comes late does not make it unsent.
    platform
        .end_claim(&tenant, &key, ClaimEnd::Again)
        .await
        .unwrap();
    assert_eq!(claim(1, &second).await, Claim::Sent(first));
}

#[tokio::test]
async fn a_claim_whose_holder_failed_or_vanished_goes_to_the_next_with_the_same_id() {
    let (platform, clock, _house) = platform().await;
    let (tenant, key) = (TenantName::default(), key("k"));
    let (first, second) = (TaskId::random(), TaskId::random());
    let claim = async |id: &TaskId| {
        let claimed = platform.claim_call(&tenant, &key, &[1; 32], id).await;
        claimed.unwrap()
    };
    assert_eq!(claim(&first).await, ours(&first, false));
    platform
        .end_claim(&tenant, &key, ClaimEnd::Again)
        .await
        .unwrap();
    assert_eq!(claim(&second).await, ours(&first, true));
    assert_eq!(claim(&second).await, Claim::UnderWay);
    // One that was refused leaves nothing.
    platform
        .end_claim(&tenant, &key, ClaimEnd::Never)
        .await
        .unwrap();
    assert_eq!(claim(&second).await, ours(&second, false));
    platform
        .end_claim(&tenant, &key, ClaimEnd::Never)
        .await
        .unwrap();
    assert_eq!(claim(&first).await, ours(&first, false));
    clock.advance(LEASE);
    assert_eq!(claim(&second).await, ours(&first, true));
    assert_eq!(claim(&second).await, Claim::UnderWay);
}

#[tokio::test]
async fn keys_are_each_tenants_own_and_kept_for_a_day() {
    let (platform, clock, _house) = platform().await;
    let acme: TenantName = "acme".parse().unwrap();
    let actor = Actor::on_the_machine();
    let made = platform.create_tenant(&actor, &acme, Terms::default());
    made.await.unwrap();
    let key = key("k");
    let ids: Vec<_> = (0..3).map(|_| TaskId::random()).collect();
    let claim = async |tenant: &TenantName, id: &TaskId| {
        platform.claim_call(tenant, &key, &[1; 32], id).await
    };
    let default = TenantName::default();
    assert_eq!(
        claim(&default, &ids[0]).await.unwrap(),
        ours(&ids[0], false)
    );
    assert_eq!(claim(&acme, &ids[1]).await.unwrap(), ours(&ids[1], false));
    clock.advance(KEY_KEPT);
    assert_eq!(claim(&acme, &ids[2]).await.unwrap(), ours(&ids[2], false));
    let nobody = claim(&"nobody".parse().unwrap(), &ids[0]).await;
    assert!(matches!(nobody, Err(PlatformError::NotFound { .. })));
    // With its tenant a key goes.
    platform.delete_tenant(&actor, &acme, true).await.unwrap();
    platform
        .create_tenant(&actor, &acme, Terms::default())
        .await
        .unwrap();
    assert_eq!(claim(&acme, &ids[0]).await.unwrap(), ours(&ids[0], false));
}

#[tokio::test]
async fn of_fifty_claims_at_once_one_is_the_first() {
    let (platform, _, _house) = platform().await;
    let (tenant, key) = (TenantName::default(), key("k"));
    let claims = (0..50).map(|_| async {
        let id = TaskId::random();
        platform
            .claim_call(&tenant, &key, &[1; 32], &id)
            .await
            .unwrap()
    });
    let claims = futures::future::join_all(claims).await;
    let first = claims
        .iter()
        .filter(|claim| matches!(claim, Claim::Ours { .. }));
    assert_eq!(first.count(), 1);
    let rest = claims.iter().filter(|claim| **claim == Claim::UnderWay);
    assert_eq!(rest.count(), 49);
}

#[tokio::test]
async fn a_tenant_has_only_so_many_keys() {
    let (platform, _, _house) = platform().await;
    let tenant = TenantName::default();
    let fill = async |link: &mut Link| {
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
             INSERT INTO call_keys SELECT 'default', 'n' || i, x'00', 'id', $2, 0, 1 FROM n";
        let most = i64::try_from(KEYS).unwrap() - 1;
        let values = vec![Value::from(most), Value::from(platform.clock.now_ms())];
        link.execute(sql, values).await
    };
    platform.sql.transaction(true, fill).await.unwrap();
    let claim = async |text: &str| {
        let id = TaskId::random();
        platform
            .claim_call(&tenant, &key(text), &[1; 32], &id)
            .await
    };
    assert!(claim("last").await.is_ok());
    let full = claim("more").await.unwrap_err().to_string();
    assert!(
        full.starts_with("there are 100000 idempotency keys"),
        "{full}"
    );
    // Those that are there still stand for their tasks.
    assert_eq!(claim("last").await.unwrap(), Claim::UnderWay);
}

#[tokio::test]
async fn the_secret_of_ids_is_made_once() {
    let (platform, clock, house) = platform().await;
    let tenant = TenantName::default();
    let id = platform.issuer().await.unwrap().issue(&tenant);
    let sql = Sql::sqlite(&house.path().join("celeriac.db"));
    let other = Platform::open(sql, clock).await.unwrap();
    assert!(other.issuer().await.unwrap().is_issued(&tenant, &id));
}
