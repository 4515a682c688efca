use super::{House, component, name, us};
use crate::registry::rows::{REFUSALS, Refuse, VERSIONS_KEPT};
use crate::registry::{Collected, Digest, FOREIGN_ARTIFACT_KEPT, GRACE};
use std::fs;
use std::time::Duration;

#[tokio::test]
async fn what_is_in_use_or_new_stays() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    house.push_text("images", "two").await;
    assert_eq!(
        house.registry.collect_garbage().await.unwrap(),
        Collected::default()
    );
    house.clock.advance(10 * FOREIGN_ARTIFACT_KEPT);
    assert_eq!(
        house.registry.collect_garbage().await.unwrap(),
        Collected::default()
    );
    assert_eq!(
        house
            .registry
            .rollback(&us(), &name("images"), None)
            .await
            .unwrap()
            .version,
        1
    );
}

#[tokio::test]
async fn files_of_a_push_that_never_ended_go_after_the_grace() {
    let house = House::open().await;
    let broken = house.beside_with("exit 3").await;
    broken
        .push("images", &component(&["run"], ""))
        .await
        .unwrap_err();
    let aside = house.path().join("artifacts/.aside-0123");
    fs::write(&aside, b"half").unwrap();
    let file = fs::File::options().write(true).open(&aside).unwrap();
    file.set_modified(house.clock.now().into()).unwrap();
    house.clock.advance(GRACE - Duration::from_secs(1));
    assert_eq!(house.registry.collect_garbage().await.unwrap().files, 0);
    house.clock.advance(Duration::from_secs(1));
    let collected = house.registry.collect_garbage().await.unwrap();
    assert_eq!(collected.files, 2);
    assert!(collected.bytes > 4);
    assert!(house.files("components").is_empty() && house.files("artifacts").is_empty());
}

#[tokio::test]
async fn files_of_a_removed_module_go_after_the_grace() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    house.registry.remove(&us(), &name("images")).await.unwrap();
    house.clock.advance(GRACE);
    assert_eq!(house.registry.collect_garbage().await.unwrap().files, 2);
}

#[tokio::test]
async fn a_push_makes_the_old_file_it_comes_back_to_new_again() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    house.registry.remove(&us(), &name("images")).await.unwrap();
    house.clock.advance(GRACE);
    let broken = house.beside_with("exit 3").await;
    fs::remove_file(house.files("artifacts").remove(0)).unwrap();
    broken
        .push("images", &component(&["run"], "one"))
        .await
        .unwrap_err();
    assert_eq!(house.registry.collect_garbage().await.unwrap().files, 0);
    assert_eq!(house.files("components").len(), 1);
}

#[tokio::test]
async fn the_newest_ten_versions_and_the_current_one_stay() {
    let house = House::open().await;
    for n in 0..VERSIONS_KEPT + 3 {
        house.push_text("images", &n.to_string()).await;
    }
    house
        .registry
        .rollback(&us(), &name("images"), Some(2))
        .await
        .unwrap();
    house.clock.advance(GRACE);
    let collected = house.registry.collect_garbage().await.unwrap();
    assert_eq!((collected.versions, collected.files), (2, 4));
    let versions = house
        .registry
        .versions(&us(), &name("images"))
        .await
        .unwrap();
    let kept: Vec<_> = versions.iter().rev().map(|one| one.version).collect();
    assert_eq!(kept, [2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
}

#[tokio::test]
async fn an_artifact_for_another_engine_stays_a_week() {
    let house = House::open().await;
    let pushed = house.push_text("images", "one").await;
    let foreign = house.path().join(format!(
        "artifacts/{}-0123456789abcdef.cwasm",
        pushed.digest.hex()
    ));
    fs::write(&foreign, b"older").unwrap();
    let file = fs::File::options().write(true).open(&foreign).unwrap();
    file.set_modified(house.clock.now().into()).unwrap();
    house
        .clock
        .advance(FOREIGN_ARTIFACT_KEPT - Duration::from_secs(1));
    assert_eq!(house.registry.collect_garbage().await.unwrap().files, 0);
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(house.registry.collect_garbage().await.unwrap().files, 1);
    assert!(!foreign.exists());
}

#[tokio::test]
async fn no_more_than_a_thousand_refusals_are_remembered() {
    let house = House::open().await;
    let refuse = |n: u32| Refuse {
        tenant: us(),
        digest: Digest::of(&n.to_le_bytes()),
        compatibility: "engine".to_owned(),
        reason: "r".repeat(10_000),
        now_ms: house.clock.now_ms() + i64::from(n),
    };
    let writes = (0..=REFUSALS).map(|n| house.registry.store().write(refuse(n)));
    futures::future::try_join_all(writes).await.unwrap();
    house.registry.collect_garbage().await.unwrap();
    let mut conn = house.database.read().await.unwrap();
    let sql = "SELECT count(*), max(length(reason)), min(refused_at) FROM refusals";
    let left: (u32, u32, i64) = sqlx::query_as(sql).fetch_one(&mut *conn).await.unwrap();
    assert_eq!(left, (REFUSALS, 4_096, house.clock.now_ms() + 1));
}
