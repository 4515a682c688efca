use super::{Resolution, Resolver, Room};
use crate::registry::resolver::module::Loaded;
use crate::registry::tests::{House, component, name, us};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

async fn known(resolver: &Resolver, task: &str) -> Option<Arc<Loaded>> {
    match resolver
        .resolve(&us(), &task.parse().unwrap())
        .await
        .unwrap()
    {
        Resolution::Known(loaded) => Some(loaded),
        Resolution::Unknown => None,
    }
}

/// A worker that runs until it is stopped.
struct Running {
    resolver: Resolver,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    async fn start(house: &House) -> Self {
        let resolver = house.registry.resolver("celery@here").await.unwrap();
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (worker, token) = (resolver.clone(), stop.clone());
        tasks.spawn(async move { worker.run(token).await });
        let started = house.database.watch();
        wait(house, started, 1).await;
        Self {
            resolver,
            stop,
            tasks,
        }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap();
    }
}

/// Waits until so many workers said that they run.
async fn wait(house: &House, mut watcher: crate::database::Watcher, workers: u32) {
    let seen = async {
        while house
            .registry
            .wait_live(0, Duration::ZERO)
            .await
            .unwrap()
            .workers
            < workers
        {
            watcher.changed().await.unwrap();
        }
    };
    tokio::time::timeout(LONG, seen).await.unwrap();
}

#[tokio::test]
async fn a_task_is_known_by_module_and_name() {
    let house = House::open().await;
    let pushed = house
        .push(
            "shop.images",
            &component(&["thumbnail", "resize"], "Makes it small."),
        )
        .await
        .unwrap();
    let resolver = house.registry.resolver("w").await.unwrap();
    let loaded = known(&resolver, "shop.images.resize").await.unwrap();
    assert_eq!(
        (loaded.module.as_str(), loaded.version, loaded.digest),
        ("shop.images", 1, pushed.digest)
    );
    assert_eq!(
        (loaded.task.name.as_str(), loaded.task.doc.as_str()),
        ("resize", "Makes it small.")
    );
    for unknown in [
        "shop.images.crop",
        "images.resize",
        "shop.resize",
        "shop.images.thumbnail2",
    ] {
        assert!(known(&resolver, unknown).await.is_none(), "{unknown}");
    }
    let names: Vec<_> = resolver
        .tasks(&us())
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["shop.images.resize", "shop.images.thumbnail"]);
}

#[tokio::test]
async fn the_same_code_is_handed_out_again_and_again() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    let resolver = house.registry.resolver("w").await.unwrap();
    let first = known(&resolver, "images.run").await.unwrap();
    assert!(Arc::ptr_eq(
        &first,
        &known(&resolver, "images.run").await.unwrap()
    ));
}

#[tokio::test]
async fn a_running_worker_takes_a_new_version_and_attempts_keep_theirs() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    let worker = Running::start(&house).await;
    let old = known(&worker.resolver, "images.run").await.unwrap();
    let pushed = house.push_text("images", "two").await;
    let live = house
        .registry
        .wait_live(pushed.generation, LONG)
        .await
        .unwrap();
    assert_eq!((live.workers, live.live), (1, 1));
    let new = known(&worker.resolver, "images.run").await.unwrap();
    assert_eq!((old.version, new.version), (1, 2));
    assert_eq!(old.task.doc, "one");
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_of_another_process_follows_push_rollback_and_removal() {
    let house = House::open().await;
    let other = house.beside().await;
    let worker = Running::start(&other).await;
    assert!(known(&worker.resolver, "images.run").await.is_none());
    house.push_text("images", "one").await;
    let generation = house.push_text("images", "two").await.generation;
    assert_eq!(
        house
            .registry
            .wait_live(generation, LONG)
            .await
            .unwrap()
            .live,
        1
    );
    assert_eq!(
        known(&worker.resolver, "images.run").await.unwrap().version,
        2
    );

    let generation = house
        .registry
        .rollback(&us(), &name("images"), None)
        .await
        .unwrap()
        .generation;
    assert_eq!(
        house
            .registry
            .wait_live(generation, LONG)
            .await
            .unwrap()
            .live,
        1
    );
    assert_eq!(
        known(&worker.resolver, "images.run").await.unwrap().version,
        1
    );

    let generation = house.registry.remove(&us(), &name("images")).await.unwrap();
    assert_eq!(
        house
            .registry
            .wait_live(generation, LONG)
            .await
            .unwrap()
            .live,
        1
    );
    assert!(known(&worker.resolver, "images.run").await.is_none());
    worker.stop().await;
}

#[tokio::test]
async fn without_a_worker_nobody_waits() {
    let house = House::open().await;
    let pushed = house.push_text("images", "one").await;
    let report = house
        .registry
        .wait_live(pushed.generation, LONG)
        .await
        .unwrap();
    assert_eq!((report.workers, report.live), (0, 0));
}

#[tokio::test]
async fn a_worker_that_ended_is_not_waited_for() {
    let house = House::open().await;
    let worker = Running::start(&house).await;
    worker.stop().await;
    assert_eq!(house.registry.wait_live(9, LONG).await.unwrap().workers, 0);
}

#[tokio::test]
async fn a_worker_that_is_silent_for_six_seconds_counts_as_ended() {
    let house = House::open().await;
    let resolver = house.registry.resolver("w").await.unwrap();
    resolver.announce(true).await.unwrap();
    house.clock.advance(Duration::from_millis(5_999));
    assert_eq!(
        house
            .registry
            .wait_live(9, Duration::ZERO)
            .await
            .unwrap()
            .workers,
        1
    );
    house.clock.advance(Duration::from_millis(1));
    assert_eq!(house.registry.wait_live(9, LONG).await.unwrap().workers, 0);
}

#[tokio::test]
async fn a_worker_that_does_not_follow_is_waited_for_no_longer_than_asked() {
    let house = House::open().await;
    let resolver = house.registry.resolver("w").await.unwrap();
    resolver.announce(true).await.unwrap();
    let report = house
        .registry
        .wait_live(1, Duration::from_millis(20))
        .await
        .unwrap();
    assert_eq!((report.workers, report.live), (1, 0));
}

async fn crowded(house: &House, room: Room) -> Resolver {
    for module in ["a", "b", "c"] {
        house.push_text(module, module).await;
    }
    let mut resolver = house.registry.resolver("w").await.unwrap();
    Arc::get_mut(&mut resolver.0).unwrap().room = room;
    resolver
}

fn loaded(resolver: &Resolver) -> Vec<String> {
    let snapshot = resolver.snapshot();
    let mut names: Vec<_> = snapshot
        .order
        .iter()
        .filter(|module| module.is_loaded())
        .map(|module| module.name().to_string())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_was_used_longest_ago_is_unloaded_where_too_many_modules_are_in_use() {
    let house = House::open().await;
    let resolver = crowded(
        &house,
        Room {
            modules: 2,
            bytes: u64::MAX,
        },
    )
    .await;
    let first = known(&resolver, "a.run").await.unwrap();
    known(&resolver, "b.run").await.unwrap();
    known(&resolver, "a.run").await.unwrap();
    known(&resolver, "c.run").await.unwrap();
    assert_eq!(loaded(&resolver), ["a", "c"]);
    known(&resolver, "b.run").await.unwrap();
    assert_eq!(loaded(&resolver), ["b", "c"]);
    assert!(first.component.describe().await.is_ok());
}

#[tokio::test]
async fn one_module_stays_loaded_however_large_it_is() {
    let house = House::open().await;
    let resolver = crowded(
        &house,
        Room {
            modules: 64,
            bytes: 1,
        },
    )
    .await;
    for module in ["a", "b", "c"] {
        assert!(known(&resolver, &format!("{module}.run")).await.is_some());
        assert_eq!(loaded(&resolver), [module]);
    }
}
