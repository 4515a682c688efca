use super::{House, name, us};
use crate::registry::RegistryError;

#[tokio::test]
async fn a_rollback_goes_to_the_version_before_and_back_by_name() {
    let house = House::open().await;
    for text in ["one", "two", "three"] {
        house.push_text("images", text).await;
    }
    let back = house
        .registry
        .rollback(&us(), &name("images"), None)
        .await
        .unwrap();
    assert_eq!((back.from, back.version, back.generation), (3, 2, 4));
    let back = house
        .registry
        .rollback(&us(), &name("images"), None)
        .await
        .unwrap();
    assert_eq!((back.from, back.version), (2, 1));
    let forth = house
        .registry
        .rollback(&us(), &name("images"), Some(3))
        .await
        .unwrap();
    assert_eq!((forth.from, forth.version, forth.generation), (1, 3, 6));
    assert_eq!(house.compilations(), 3);
}

#[tokio::test]
async fn a_rollback_to_where_it_stands_changes_nothing() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    let same = house
        .registry
        .rollback(&us(), &name("images"), Some(1))
        .await
        .unwrap();
    assert_eq!((same.from, same.version, same.generation), (1, 1, 1));
}

#[tokio::test]
async fn a_rollback_past_the_first_version_lists_what_there_is() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    let error = house
        .registry
        .rollback(&us(), &name("images"), None)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, RegistryError::NoEarlier { current: 1, have, .. } if *have == [1]),
        "{error}"
    );
    let error = house
        .registry
        .rollback(&us(), &name("images"), Some(7))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "module images has no version 7; it has 1"
    );
}

#[tokio::test]
async fn a_push_after_a_rollback_takes_the_next_number() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    house.push_text("images", "two").await;
    house
        .registry
        .rollback(&us(), &name("images"), None)
        .await
        .unwrap();
    assert_eq!(house.push_text("images", "two").await.version, 3);
}

#[tokio::test]
async fn versions_are_listed_newest_first_with_the_current_one_marked() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    let second = house.push_text("images", "two").await;
    house
        .registry
        .rollback(&us(), &name("images"), None)
        .await
        .unwrap();
    let versions = house
        .registry
        .versions(&us(), &name("images"))
        .await
        .unwrap();
    let marks: Vec<_> = versions
        .iter()
        .map(|one| (one.version, one.current))
        .collect();
    assert_eq!(marks, [(2, false), (1, true)]);
    assert_eq!(versions[0].digest, second.digest);
    assert_eq!(versions[0].pushed_at, house.clock.now());
}

#[tokio::test]
async fn a_removed_module_is_gone_and_its_numbers_are_not_given_again() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    house.push_text("images", "two").await;
    assert_eq!(
        house.registry.remove(&us(), &name("images")).await.unwrap(),
        3
    );
    assert!(house.registry.modules(&us()).await.unwrap().is_empty());
    for result in [
        house
            .registry
            .versions(&us(), &name("images"))
            .await
            .map(drop),
        house
            .registry
            .rollback(&us(), &name("images"), None)
            .await
            .map(drop),
        house
            .registry
            .remove(&us(), &name("images"))
            .await
            .map(drop),
    ] {
        assert!(
            matches!(result, Err(RegistryError::UnknownModule { .. })),
            "{result:?}"
        );
    }
    assert_eq!(house.push_text("images", "three").await.version, 3);
}

#[tokio::test]
async fn a_mistyped_name_gets_a_suggestion() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    let error = house
        .registry
        .versions(&us(), &name("imagse"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no module \"imagse\"; did you mean \"images\"?"
    );
    let error = house
        .registry
        .versions(&us(), &name("zoo"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no module \"zoo\"; `celeriac modules` lists them"
    );
}

#[test]
fn a_name_that_is_a_path_cannot_be_a_module() {
    for path in ["../x", "/etc/passwd", "a/b", "..", "a/../b", "a\\b", "a\0b"] {
        assert!(path.parse::<crate::task::ModuleName>().is_err(), "{path:?}");
    }
}
