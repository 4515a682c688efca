//! Names of versions, pins and canaries, over two machines.

use super::{Stage, component, module, tenant};

use celeriac::registry::{
    CanaryEnds, CanaryOrder, CanaryState, Ends, Pushed, Registry, RegistryError, Rule,
    VersionRefused, Wishes,
};
use celeriac::task::{Portion, Wanted};

async fn wish(registry: &Registry, number: u8, wishes: &Wishes) -> Result<Pushed, RegistryError> {
    let (acme, bytes) = (tenant("acme"), component(number));
    registry
        .push_as(&acme, &module(), bytes, wishes, &mut |_| {})
        .await
}

fn called(release: &str) -> Wishes {
    Wishes {
        release: Some(release.parse().unwrap()),
        ..Wishes::default()
    }
}

fn canary() -> Wishes {
    let rule = Rule {
        runs: 20,
        points: Portion::percent(5),
    };
    Wishes {
        canary: Some((Portion::percent(50), rule)),
        ..Wishes::default()
    }
}

async fn current(registry: &Registry) -> u32 {
    let versions = registry.versions(&tenant("acme"), &module()).await.unwrap();
    versions.iter().find(|one| one.current).unwrap().version
}

pub(super) async fn names_and_pins_of_versions_are_seen_everywhere(stage: Stage) {
    let (here, there, acme) = (&stage.here, &stage.there, tenant("acme"));
    wish(here, 1, &called("1.0.0")).await.unwrap();
    let taken = wish(there, 2, &called("1.0.0")).await.unwrap_err();
    let is_taken = matches!(
        &taken,
        RegistryError::Version(VersionRefused::Taken { version: 1, .. })
    );
    assert!(is_taken, "{taken}");
    let older = wish(there, 2, &called("0.9.0")).await.unwrap_err();
    let is_older = matches!(&older, RegistryError::Version(VersionRefused::Older { .. }));
    assert!(is_older, "{older}");
    wish(there, 2, &called("1.1.0")).await.unwrap();
    let wanted: Wanted = "1.0.0".parse().unwrap();
    let number = here.number(&acme, &module(), &wanted).await.unwrap();
    assert_eq!(number, 1);
    assert_eq!(
        here.pin(&acme, &module(), Some(1)).await.unwrap().version,
        1
    );
    let waits = wish(there, 3, &called("1.2.0")).await.unwrap();
    assert!(!waits.runs && current(there).await == 1);
    let refused = wish(there, 4, &canary()).await.unwrap_err();
    let is_pinned = matches!(
        &refused,
        RegistryError::Version(VersionRefused::Pinned { version: 1, .. })
    );
    assert!(is_pinned, "{refused}");
    there.pin(&acme, &module(), None).await.unwrap();
    assert!(wish(here, 4, &Wishes::default()).await.unwrap().runs);
    assert_eq!(current(there).await, 4);
}

pub(super) async fn a_canary_is_counted_by_all_machines_and_ended_by_one(stage: Stage) {
    let (here, there, acme) = (&stage.here, &stage.there, tenant("acme"));
    wish(here, 1, &Wishes::default()).await.unwrap();
    let pushed = wish(there, 2, &canary()).await.unwrap();
    assert!(!pushed.runs && current(here).await == 1);
    let change = CanaryOrder::To(Portion::percent(20));
    here.steer(&acme, &module(), change).await.unwrap();
    let ends = |failed| CanaryEnds {
        tenant: acme.clone(),
        module: module(),
        version: 2,
        canary: Ends { ended: 10, failed },
        current: Ends {
            ended: 10,
            failed: 0,
        },
    };
    // Each alone is too few to be judged by.
    assert_eq!(here.tally(ends(0)).await.unwrap(), None);
    let told = there.canary(&acme, &module()).await.unwrap().unwrap();
    assert_eq!(told.share, Portion::percent(20));
    assert_eq!((told.canary.ended, told.state), (10, CanaryState::Runs));
    let mut aborted = None;
    for registry in [there, here, there, here, there, here, there, here] {
        aborted = aborted.or(registry.tally(ends(10)).await.unwrap());
    }
    assert!(aborted.is_some());
    let over = there.canary(&acme, &module()).await.unwrap().unwrap();
    assert_eq!(over.state, CanaryState::Aborted);
    wish(here, 3, &canary()).await.unwrap();
    let promoted = there.steer(&acme, &module(), CanaryOrder::Promote).await;
    assert_eq!(promoted.unwrap().version, 3);
    assert_eq!(current(here).await, 3);
}
