//! Names of versions, breaks, pins and canaries.

use super::fixture::{House, component, component_that, name, us};
use crate::policy::canary::Rule;
use crate::registry::{
    Aim, CanaryInfo, CanaryOrder, CanaryState, Loaded, Pushed, RegistryError, Resolution, Resolver,
    VersionRefused, Wishes,
};
use crate::task::{Portion, TaskId, TaskName, Wanted};
use bytes::Bytes;
use std::fs;
use std::sync::Arc;

impl House {
    async fn wish(&self, bytes: &Bytes, wishes: &Wishes) -> Result<Pushed, RegistryError> {
        let (tenant, module) = (us(), name("shop"));
        self.registry
            .push_as(&tenant, &module, bytes.clone(), wishes, &mut |_| {})
            .await
    }

    /// Pushes one task `run` whose text makes it a new one.
    async fn wish_text(&self, text: &str, wishes: &Wishes) -> Result<Pushed, RegistryError> {
        self.wish(&component(&["run"], text), wishes).await
    }

    async fn canary(&self) -> Option<CanaryInfo> {
        self.registry.canary(&us(), &name("shop")).await.unwrap()
    }

    async fn current(&self) -> u32 {
        let versions = self.registry.versions(&us(), &name("shop")).await.unwrap();
        versions.iter().find(|one| one.current).unwrap().version
    }
}

fn plain() -> Wishes {
    Wishes::default()
}

fn called(release: &str) -> Wishes {
    Wishes {
        release: Some(release.parse().unwrap()),
        ..plain()
    }
}

fn canary(percent: u8) -> Wishes {
    Wishes {
        canary: Some((Portion::percent(percent), Rule::default())),
        ..plain()
    }
}

fn refused(result: Result<Pushed, RegistryError>) -> VersionRefused {
    match result {
        Err(RegistryError::Version(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

async fn runs(resolver: &Resolver, id: &str) -> Arc<Loaded> {
    let task: TaskName = "shop.run".parse().unwrap();
    let id = TaskId::parse(id).unwrap();
    match resolver.resolve_for(&us(), &task, &id).await.unwrap() {
        Resolution::Known(code) => code,
        Resolution::Unknown => panic!("{task} is unknown"),
    }
}

/// How many of a hundred tasks a version gets.
async fn share(resolver: &Resolver, version: u32) -> usize {
    let mut found = 0;
    for id in 0..100 {
        let code = runs(resolver, &format!("id-{id}")).await;
        found += usize::from(code.version == version);
    }
    found
}

#[tokio::test]
async fn a_push_that_breaks_callers_is_refused_unless_it_may() {
    let house = House::open().await;
    let two = component(&["run", "walk"], "two");
    house.wish(&two, &plain()).await.unwrap();
    let error = refused(house.wish_text("one", &plain()).await);
    let text = "shop would break callers of version 1:\n  walk is gone; calls of it fail with NotRegistered";
    assert_eq!(error.to_string(), text);
    assert_eq!(house.current().await, 1);

    let looked = Wishes {
        dry: true,
        ..plain()
    };
    let looked = house.wish_text("one", &looked).await.unwrap();
    assert_eq!((looked.breaks.len(), looked.version), (1, 0));
    assert_eq!(looked.changes.removed, ["walk"]);

    let may = Wishes {
        breaking: true,
        ..plain()
    };
    let pushed = house.wish_text("one", &may).await.unwrap();
    assert_eq!((pushed.version, pushed.runs), (2, true));
    assert_eq!(pushed.before.unwrap().version, 1);
    let versions = house.registry.versions(&us(), &name("shop")).await.unwrap();
    assert_eq!(versions[0].breaks, looked.breaks);
    assert!(versions[1].breaks.is_empty());
}

#[tokio::test]
async fn names_of_versions_are_unique_rise_and_are_found_again() {
    let house = House::open().await;
    house.wish_text("a", &called("1.9.0")).await.unwrap();
    house.wish_text("b", &called("1.10.0")).await.unwrap();
    let error = refused(house.wish_text("c", &called("1.9.0")).await);
    assert_eq!(
        error.to_string(),
        "shop 1.9.0 is there already: it is version 1"
    );
    let error = refused(house.wish_text("c", &called("1.9.5")).await);
    assert_eq!(
        error.to_string(),
        "shop runs 1.10.0, and 1.9.5 is not higher"
    );
    let older = Wishes {
        older: true,
        ..called("1.9.5")
    };
    let pushed = house.wish_text("c", &older).await.unwrap();
    assert_eq!((pushed.version, pushed.runs), (3, true));

    let number = |wanted: &str| {
        let (house, wanted) = (&house, wanted.parse::<Wanted>().unwrap());
        async move { house.registry.number(&us(), &name("shop"), &wanted).await }
    };
    assert_eq!(number("1.10.0").await.unwrap(), 2);
    assert_eq!(number("2").await.unwrap(), 2);
    let error = number("3.0.0").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "module shop has no version 3.0.0; it has 1.9.5, 1.10.0, 1.9.0"
    );
    // The same bytes under the name they have make no new version; under another they do.
    let again = house.wish_text("c", &called("1.9.5")).await.unwrap();
    assert!(again.unchanged);
    assert_eq!(
        house
            .wish_text("c", &called("2.0.0"))
            .await
            .unwrap()
            .version,
        4
    );
}

#[tokio::test]
async fn a_pinned_version_stays_whatever_is_pushed() {
    let house = House::open().await;
    for text in ["a", "b"] {
        house.wish_text(text, &plain()).await.unwrap();
    }
    let (tenant, shop) = (us(), name("shop"));
    assert_eq!(
        house
            .registry
            .pin(&tenant, &shop, Some(1))
            .await
            .unwrap()
            .version,
        1
    );
    let pushed = house.wish_text("c", &plain()).await.unwrap();
    assert_eq!((pushed.version, pushed.runs), (3, false));
    assert_eq!(house.current().await, 1);
    let error = refused(house.wish_text("d", &canary(5)).await).to_string();
    assert_eq!(
        error,
        "shop is pinned to version 1, and no canary runs beside that"
    );
    assert!(house.registry.modules(&tenant).await.unwrap()[0].pinned);
    house.registry.pin(&tenant, &shop, None).await.unwrap();
    assert_eq!(house.current().await, 1);
    assert!(house.wish_text("d", &plain()).await.unwrap().runs);
    let none = house.registry.pin(&tenant, &shop, Some(9)).await;
    assert!(
        matches!(none, Err(RegistryError::UnknownVersion { .. })),
        "{none:?}"
    );
}

#[tokio::test]
async fn a_canary_gets_its_share_by_the_ids_of_tasks_until_it_is_promoted() {
    let house = House::open().await;
    let error = refused(house.wish_text("a", &canary(5)).await);
    assert!(matches!(error, VersionRefused::Alone { .. }));
    house.wish_text("a", &plain()).await.unwrap();
    let resolver = house.registry.resolver("w").await.unwrap();
    let pushed = house.wish_text("b", &canary(30)).await.unwrap();
    assert_eq!((pushed.version, pushed.runs), (2, false));
    resolver.catch_up().await.unwrap();
    let some = share(&resolver, 2).await;
    assert!((15..45).contains(&some), "{some}");
    assert_eq!(share(&resolver, 2).await, some);
    assert_eq!(house.current().await, 1);

    let (tenant, shop) = (us(), name("shop"));
    let more = CanaryOrder::To(Portion::percent(60));
    house.registry.steer(&tenant, &shop, more).await.unwrap();
    resolver.catch_up().await.unwrap();
    assert!(share(&resolver, 2).await > some);
    house
        .registry
        .steer(&tenant, &shop, CanaryOrder::Promote)
        .await
        .unwrap();
    resolver.catch_up().await.unwrap();
    assert_eq!(share(&resolver, 2).await, 100);
    assert_eq!(house.canary().await.unwrap().state, CanaryState::Promoted);
    let none = house
        .registry
        .steer(&tenant, &shop, CanaryOrder::Abort)
        .await;
    assert!(matches!(
        none,
        Err(RegistryError::Version(VersionRefused::NoCanary { .. }))
    ));
}

#[tokio::test]
async fn runs_of_several_workers_add_up_and_end_a_canary_that_fails() {
    let house = House::open().await;
    house.wish_text("a", &plain()).await.unwrap();
    house.wish_text("b", &canary(50)).await.unwrap();
    let other = house.beside().await;
    let workers = [
        house.registry.resolver("one").await.unwrap(),
        other.registry.resolver("two").await.unwrap(),
    ];
    let mut ended = [0, 0];
    for id in 0..40 {
        let worker = &workers[id % 2];
        let code = runs(worker, &format!("id-{id}")).await;
        let is_canary = code.version == 2;
        assert!(worker.ended(&code, is_canary).is_some());
        ended[usize::from(is_canary)] += 1;
        if ended[1] == 19 {
            break;
        }
    }
    for worker in &workers {
        worker.add_up().await;
    }
    let counted = house.canary().await.unwrap();
    assert_eq!(
        (counted.canary.ended, counted.canary.failed),
        (ended[1], ended[1])
    );
    assert_eq!(
        (counted.current.ended, counted.current.failed),
        (ended[0], 0)
    );
    assert_eq!(counted.state, CanaryState::Runs);

    let code = (0..).map(|id| format!("x-{id}"));
    let mut canaries = Vec::new();
    for id in code.take(200) {
        let code = runs(&workers[0], &id).await;
        if code.version == 2 {
            canaries.push(code);
        }
    }
    for code in &canaries[..20] {
        workers[0].ended(code, true);
    }
    workers[0].add_up().await;
    let over = house.canary().await.unwrap();
    assert_eq!(over.state, CanaryState::Aborted);
    assert!(
        over.reason.contains("runs failed, and 0 of"),
        "{}",
        over.reason
    );
    assert_eq!(workers[0].aborted(), 1);
    workers[1].catch_up().await.unwrap();
    assert_eq!(share(&workers[1], 1).await, 100);
    assert!(workers[1].ended(&canaries[0], true).is_none());
}

#[tokio::test]
async fn a_push_a_rollback_a_pin_and_a_removal_end_a_canary() {
    let house = House::open().await;
    let (tenant, shop) = (us(), name("shop"));
    house.wish_text("a", &plain()).await.unwrap();
    house.wish_text("b", &plain()).await.unwrap();
    let reason = || async {
        let ended = house.canary().await.unwrap();
        assert_eq!(ended.state, CanaryState::Aborted);
        ended.reason
    };
    house.wish_text("c", &canary(5)).await.unwrap();
    house.wish_text("d", &plain()).await.unwrap();
    assert_eq!(reason().await, "version 4 was pushed");
    house.wish_text("e", &canary(5)).await.unwrap();
    house
        .registry
        .rollback(&tenant, &shop, Some(2))
        .await
        .unwrap();
    assert_eq!(reason().await, "the module was rolled back to version 2");
    house.wish_text("f", &canary(5)).await.unwrap();
    house.registry.pin(&tenant, &shop, Some(1)).await.unwrap();
    assert_eq!(reason().await, "the module was pinned to version 1");
    house.registry.remove(&tenant, &shop).await.unwrap();
    house.wish_text("g", &plain()).await.unwrap();
    assert_eq!(house.canary().await, None);
    assert!(house.wish_text("h", &plain()).await.unwrap().runs);
}

#[tokio::test]
async fn a_canary_that_cannot_be_loaded_or_is_killed_is_aborted() {
    let house = House::open().await;
    house.wish_text("a", &plain()).await.unwrap();
    let bad = component_that("unreachable", &["run"], "b");
    let pushed = house.wish(&bad, &canary(100)).await.unwrap();
    let file = format!("components/{}.wasm", pushed.digest.hex());
    fs::remove_file(house.path().join(file)).unwrap();
    fs::remove_dir_all(house.path().join("artifacts")).unwrap();
    fs::create_dir(house.path().join("artifacts")).unwrap();
    let other = house.beside().await;
    let resolver = other.registry.resolver("w").await.unwrap();
    let again = component(&["run"], "a");
    // The current version lost its code with it, and is pushed again.
    fs::write(
        house.path().join(format!(
            "components/{}.wasm",
            crate::registry::Digest::of(&again).hex()
        )),
        &again,
    )
    .unwrap();
    assert_eq!(runs(&resolver, "any").await.version, 1);
    let ended = house.canary().await.unwrap();
    assert_eq!(ended.state, CanaryState::Aborted);
    assert!(
        ended.reason.starts_with("it cannot be loaded: "),
        "{}",
        ended.reason
    );

    let pushed = house.wish_text("c", &canary(100)).await.unwrap();
    house
        .registry
        .kill(Aim::Digest(pushed.digest), "", false)
        .await
        .unwrap();
    let ended = house.canary().await.unwrap();
    assert_eq!(ended.state, CanaryState::Aborted);
    assert_eq!(ended.reason, "its component was killed");
}
