//! How many bytes the modules of a tenant may have, over two machines at once.

use super::{Stage, component, module, push, tenant};
use celeriac::platform::{Actor, Terms};

use celeriac::registry::{Pushed, Registry, RegistryError, Rule, Wishes};
use celeriac::task::{Portion, Quota, TenantName};

/// Makes tenant `acme`, whose modules may have so many bytes.
async fn acme(stage: &Stage, bytes: u64) -> TenantName {
    let (acme, me) = (tenant("acme"), Actor::on_the_machine());
    let terms = Terms {
        quota: Quota {
            module_bytes: Some(bytes),
            ..Quota::default()
        },
        ..Terms::default()
    };
    let platform = stage.platform().await;
    platform.create_tenant(&me, &acme, terms).await.unwrap();
    acme
}

async fn wish(registry: &Registry, number: u8, wishes: &Wishes) -> Result<Pushed, RegistryError> {
    let (acme, bytes) = (tenant("acme"), component(number));
    registry
        .push_as(&acme, &module(), bytes, wishes, &mut |_| {})
        .await
}

fn is_over(result: &Result<Pushed, RegistryError>) -> bool {
    matches!(result, Err(RegistryError::ModuleBytes { .. }))
}

pub(super) async fn of_two_pushes_at_once_one_has_room(stage: Stage) {
    let size = u64::try_from(component(1).len()).unwrap();
    acme(&stage, 3 * size - 1).await;
    let plain = Wishes::default();
    wish(&stage.here, 1, &plain).await.unwrap();
    let (one, other) = tokio::join!(wish(&stage.here, 2, &plain), wish(&stage.there, 3, &plain));
    assert!(is_over(&one) != is_over(&other), "{one:?} {other:?}");
    let refused = wish(&stage.here, 4, &plain).await.unwrap_err().to_string();
    for word in ["acme", &(2 * size).to_string(), &(3 * size - 1).to_string()] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
    // Whoever has none is bound by none.
    assert_eq!(push(&stage.here, "zeta", 4).await.0, 1);
}

pub(super) async fn what_a_kept_version_names_counts_once_and_a_canary_counts(stage: Stage) {
    let size = u64::try_from(component(1).len()).unwrap();
    let acme = acme(&stage, 2 * size).await;
    let plain = Wishes::default();
    wish(&stage.here, 1, &plain).await.unwrap();
    let canary = Wishes {
        canary: Some((Portion::percent(5), Rule::default())),
        ..Wishes::default()
    };
    wish(&stage.there, 2, &canary).await.unwrap();
    for wishes in [&plain, &canary] {
        assert!(is_over(&wish(&stage.here, 3, wishes).await));
    }
    let dry = Wishes {
        dry: true,
        ..Wishes::default()
    };
    assert!(is_over(&wish(&stage.here, 3, &dry).await));
    // What is there already adds nothing, under another name too.
    let again = "again".parse().unwrap();
    let report = &mut |_| {};
    let pushed = stage.there.push(&acme, &again, component(1), report).await;
    pushed.unwrap();
    assert_eq!(wish(&stage.here, 2, &plain).await.unwrap().version, 3);
    stage.there.remove(&acme, &module()).await.unwrap();
    wish(&stage.here, 3, &plain).await.unwrap();
    assert!(is_over(&wish(&stage.here, 4, &plain).await));
}
