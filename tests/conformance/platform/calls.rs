//! Idempotency keys and ids of calls over HTTP.

use super::{Stage, me, name, rows_behaviours};
use celeriac::platform::{CallKey, Claim, ClaimEnd, LEASE, PlatformError, Terms};
use celeriac::sql::{Kind, SqlError};
use celeriac::task::TaskId;

rows_behaviours! {
    a_key_is_one_task_whichever_process_is_asked,
    keys_go_with_their_tenant_and_a_successor_has_none,
    ids_are_known_to_every_process_and_to_their_tenant_alone,
}

mod check {
    use super::*;

    fn key() -> CallKey {
        CallKey::parse("order-17").unwrap()
    }

    pub(super) async fn a_key_is_one_task_whichever_process_is_asked(stage: Stage) {
        let (tenant, key) = (name("default"), key());
        let ids: Vec<TaskId> = (0..10).map(|_| TaskId::random()).collect();
        let claims = ids.iter().enumerate().map(|(number, id)| {
            let platform = [&stage.platform, &stage.others][number % 2];
            platform.claim_call(&tenant, &key, &[1; 32], id)
        });
        let claims = futures::future::join_all(claims).await;
        let first = |claim: &Result<Claim, PlatformError>| {
            if let Ok(Claim::Ours { id, again: false }) = claim {
                Some(id.clone())
            } else {
                None
            }
        };
        let ours = claims.iter().filter_map(first);
        let ours: Vec<TaskId> = ours.collect();
        let [id] = ours.as_slice() else {
            panic!("{claims:?}");
        };
        let ask = async |body: u8| {
            let (body, fresh) = ([body; 32], TaskId::random());
            let asked = stage.others.claim_call(&tenant, &key, &body, &fresh);
            asked.await.unwrap()
        };
        assert_eq!(ask(1).await, Claim::UnderWay);
        assert_eq!(ask(2).await, Claim::Other);
        stage.clock.advance(LEASE);
        let again = Claim::Ours {
            id: id.clone(),
            again: true,
        };
        assert_eq!(ask(1).await, again);
        let ended = stage.platform.end_claim(&tenant, &key, ClaimEnd::Sent);
        ended.await.unwrap();
        assert_eq!(ask(1).await, Claim::Sent(id.clone()));
    }

    pub(super) async fn keys_go_with_their_tenant_and_a_successor_has_none(stage: Stage) {
        let (acme, fresh) = (name("acme"), TaskId::random());
        let platform = &stage.platform;
        let terms = Terms::default();
        platform
            .create_tenant(me(), &acme, terms.clone())
            .await
            .unwrap();
        let claim = async || platform.claim_call(&acme, &key(), &[1; 32], &fresh).await;
        claim().await.unwrap();
        platform.delete_tenant(me(), &acme, true).await.unwrap();
        let left = stage.sql.transaction(false, async |link| {
            link.rows("SELECT count(*) FROM call_keys", Vec::new(), &[Kind::Int])
                .await
        });
        let left: Result<Vec<_>, SqlError> = left.await;
        assert_eq!(left.unwrap()[0].int(), Some(0));
        let nobody = claim().await.unwrap_err();
        assert!(matches!(nobody, PlatformError::NotFound { .. }), "{nobody}");
        platform.create_tenant(me(), &acme, terms).await.unwrap();
        let first = Claim::Ours {
            id: fresh.clone(),
            again: false,
        };
        assert_eq!(claim().await.unwrap(), first);
    }

    pub(super) async fn ids_are_known_to_every_process_and_to_their_tenant_alone(stage: Stage) {
        let (ours, theirs) = tokio::join!(stage.platform.issuer(), stage.others.issuer());
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        let id = ours.issue(&name("acme"));
        assert!(theirs.is_issued(&name("acme"), &id));
        assert!(!theirs.is_issued(&name("zeta"), &id));
        assert!(!ours.is_issued(&name("acme"), &TaskId::random()));
    }
}
