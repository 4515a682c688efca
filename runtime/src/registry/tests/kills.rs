//! The kill switch, over one data folder and several processes.

use super::fixture::{House, component, name, us};
use crate::registry::kills::KILLS;
use crate::registry::{Aim, Digest, Guarded, RegistryError, Resolution, Resolver};
use crate::task::TaskName;
use std::sync::Arc;
use std::time::Duration;

fn task(text: &str) -> TaskName {
    text.parse().unwrap()
}

fn module(text: &str) -> Aim {
    Aim::Module(us(), name(text))
}

/// A house with the module `m` of the tasks `a` and `b`, and `n` with a task `a`.
async fn house() -> House {
    let house = House::open().await;
    house.push("m", &component(&["a", "b"], "")).await.unwrap();
    house.push("n", &component(&["a"], "other")).await.unwrap();
    house
}

async fn guard(resolver: &Resolver, name: &str) -> Guarded {
    match resolver.resolve(&us(), &task(name)).await.unwrap() {
        Resolution::Known(code) => resolver.guard(&code),
        Resolution::Unknown => panic!("{name} is not there"),
    }
}

/// The reason for which a task must not run.
fn why(resolver: &Resolver, name: &str) -> Option<String> {
    let kill = resolver.killed(&us(), &task(name))?;
    Some(kill.reason.clone())
}

#[tokio::test]
async fn a_kill_hits_its_task_its_module_or_its_component_and_nothing_else() {
    let house = house().await;
    let resolver = house.registry.resolver("w").await.unwrap();
    let digest = house.registry.versions(&us(), &name("m")).await.unwrap()[0].digest;
    for (aim, hit) in [
        (Aim::Task(us(), task("m.a")), ["m.a", "", ""]),
        (module("m"), ["m.a", "m.b", ""]),
        (Aim::Digest(digest), ["m.a", "m.b", ""]),
        (module("n"), ["n.a", "", ""]),
    ] {
        let before = [
            guard(&resolver, "m.a").await,
            guard(&resolver, "m.b").await,
            guard(&resolver, "n.a").await,
        ];
        house
            .registry
            .kill(aim.clone(), "why", false)
            .await
            .unwrap();
        assert!(before.iter().all(|guarded| guarded.killed().is_none()));
        resolver.obey().await.unwrap();
        for (guarded, name) in before.iter().zip(["m.a", "m.b", "n.a"]) {
            let is_hit = hit.contains(&name);
            assert_eq!(guarded.killed().is_some(), is_hit, "{aim}: {name} runs");
            let now = guard(&resolver, name).await;
            assert_eq!(now.killed().is_some(), is_hit, "{aim}: {name} starts");
            let said = is_hit.then(|| "why".to_owned());
            assert_eq!(why(&resolver, name), said, "{aim}: {name} comes");
            if is_hit {
                assert_eq!(guarded.ended().await.aim, aim);
            }
        }
        house.registry.unkill(aim.clone()).await.unwrap().unwrap();
        resolver.obey().await.unwrap();
        assert_eq!(why(&resolver, "m.a"), None, "{aim}");
        assert_eq!(house.registry.unkill(aim).await.unwrap(), None);
    }
    assert_eq!(resolver.guarded(), 0);
}

#[tokio::test]
async fn other_processes_obey_and_those_that_start_later_do() {
    let house = house().await;
    let other = house.beside().await;
    let (one, two) = (
        house.registry.resolver("one").await.unwrap(),
        other.registry.resolver("two").await.unwrap(),
    );
    let runs = guard(&two, "m.a").await;
    let stop = tokio_util::sync::CancellationToken::new();
    let (first, second, ends) = (one.clone(), two.clone(), stop.clone());
    let work = async { tokio::join!(first.run(ends.clone()), second.run(ends)) };
    let kill = async {
        // Both have said that they run.
        let generation = one.generation();
        let wait = || {
            house
                .registry
                .wait_live(generation, Duration::from_secs(30))
        };
        while wait().await.unwrap().workers < 2 {
            tokio::task::yield_now().await;
        }
        let number = house.registry.kill(module("m"), "", false).await.unwrap();
        let wait = Duration::from_secs(30);
        let live = house.registry.wait_obeyed(number, wait).await.unwrap();
        stop.cancel();
        live
    };
    let (_, live) = tokio::join!(work, kill);
    assert_eq!((live.workers, live.live), (2, 2));
    assert_eq!(runs.ended().await.aim, module("m"));
    let later = house.beside().await.registry.resolver("w").await.unwrap();
    assert_eq!(why(&later, "m.b"), Some(String::new()));
}

#[tokio::test]
async fn a_kill_outlives_new_versions_and_the_end_of_the_module() {
    let house = house().await;
    let registry = &house.registry;
    registry.kill(module("m"), "bad", false).await.unwrap();
    let another = component(&["a", "b", "run"], "another");
    house.push("m", &another).await.unwrap();
    let resolver = registry.resolver("w").await.unwrap();
    assert_eq!(why(&resolver, "m.run"), Some("bad".to_owned()));
    registry.remove(&us(), &name("m")).await.unwrap();
    let resolver = registry.resolver("w").await.unwrap();
    assert_eq!(why(&resolver, "m.run"), Some("bad".to_owned()));
    // What was removed may still run.
    registry.unkill(module("m")).await.unwrap().unwrap();
    registry.kill(module("m"), "", true).await.unwrap();
    let kills = registry.kills(&us()).await.unwrap();
    assert_eq!((kills.len(), kills[0].hold), (1, true));
}

#[tokio::test]
async fn a_killed_component_is_not_taken_in_under_any_name() {
    let house = house().await;
    let file = component(&["a"], "a new one");
    let aim = Aim::Digest(Digest::of(&file));
    house
        .registry
        .kill(aim.clone(), "evil", false)
        .await
        .unwrap();
    let compiled = house.compilations();
    let error = house.push("fresh", &file).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("is killed: evil; `celeriac kill --undo --digest"),
        "{said}"
    );
    assert_eq!(house.compilations(), compiled);
    house.registry.unkill(aim).await.unwrap();
    house.push("fresh", &file).await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_not_killed() {
    let house = house().await;
    let kill = |aim| house.registry.kill(aim, "", false);
    let said = kill(module("nn")).await.unwrap_err().to_string();
    assert!(said.contains("there is no module \"nn\""), "{said}");
    let said = kill(Aim::Task(us(), task("m.c")))
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("module m has no task \"c\""), "{said}");
    for reason in ["x".repeat(501), "a\nb".to_owned(), "\u{1b}[2J".to_owned()] {
        let told = house.registry.kill(module("m"), &reason, false).await;
        assert!(matches!(told, Err(RegistryError::Reason { most: 500 })));
    }
    let longest = "x".repeat(500);
    house
        .registry
        .kill(module("m"), &longest, false)
        .await
        .unwrap();
    assert_eq!(
        house.registry.kills(&us()).await.unwrap()[0].reason,
        longest
    );
}

#[tokio::test]
async fn a_thousand_kills_are_the_most() {
    let house = Arc::new(house().await);
    let aim = |number: u32| Aim::Digest(Digest::of(&number.to_le_bytes()));
    for number in 0..KILLS {
        house.registry.kill(aim(number), "", false).await.unwrap();
    }
    let full = house.registry.kill(aim(KILLS), "", false).await;
    assert!(matches!(
        full,
        Err(RegistryError::KillsFull { most: KILLS })
    ));
    // One that is there may change.
    house.registry.kill(aim(7), "again", false).await.unwrap();
    assert_eq!(
        house.registry.all_kills().await.unwrap().len(),
        KILLS as usize
    );
}
