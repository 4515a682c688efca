//! The replica of a control plane's registry in a folder of its own.

use super::fixture::{House, component, name, tenant, us};
use crate::plane::{ComponentView, KillKind, KillView, WorkerModules};
use crate::policy::canary::{Ends, Rule};
use crate::registry::{
    CanaryEnds, CanaryState, Fetched, Followed, ModuleCopy, RegistryError, ReplicaError,
    Resolution, Wishes,
};
use crate::task::{Portion, TaskName};
use jiff::Timestamp;

/// Where the control plane would be.
const URL: &str = "https://plane.example";
/// Room for whatever the tests have.
const ROOM: u64 = 64 << 20;

/// What a control plane tells of its modules.
async fn told(plane: &House) -> WorkerModules {
    let (installation, generation, modules) = plane.registry.places().await.unwrap();
    WorkerModules {
        installation,
        generation,
        modules: Some(modules),
    }
}

async fn read(plane: &House) -> ModuleCopy {
    ModuleCopy::read(URL, told(plane).await).unwrap().unwrap()
}

/// Fetches a component that was described.
async fn fetch(
    plane: &House,
    worker: &House,
    copy: &ModuleCopy,
    one: ComponentView,
) -> Result<Fetched, RegistryError> {
    worker.registry.expect(copy, &one).await?;
    let digest = one.digest.parse().unwrap();
    let bytes = plane.registry.component(digest).await.unwrap();
    worker.registry.take(one, bytes).await
}

/// Describes what a worker lacks.
async fn lacking(plane: &House, worker: &House, copy: &ModuleCopy) -> Vec<ComponentView> {
    let lacking = worker.registry.lacking(copy).await.unwrap();
    plane.registry.descriptions(&lacking).await.unwrap()
}

/// Follows all of a control plane.
pub(super) async fn follow(plane: &House, worker: &House) -> Followed {
    let copy = read(plane).await;
    let mut fetched = Vec::new();
    for one in lacking(plane, worker, &copy).await {
        fetched.extend(fetch(plane, worker, &copy, one).await);
    }
    worker.registry.follow(copy, fetched).await.unwrap()
}

fn changed(changed: usize) -> Followed {
    Followed { changed, stuck: 0 }
}

/// The version that a worker would run of a module of `default`.
async fn version(worker: &House, module: &str) -> Option<u32> {
    let modules = worker.registry.modules(&us()).await.unwrap();
    let mut modules = modules.into_iter();
    modules
        .find(|one| one.name == name(module))
        .map(|one| one.version)
}

pub(super) fn replica_error(error: RegistryError) -> ReplicaError {
    let told = error.to_string();
    let RegistryError::Replica(error) = error else {
        panic!("{told}");
    };
    error
}

#[tokio::test]
async fn a_replica_runs_what_its_control_plane_has_and_follows_pushes_and_removals() {
    let (plane, worker) = (House::open().await, House::replica(ROOM).await);
    plane.push_text("images", "one").await;
    let theirs = component(&["run"], "theirs");
    plane.push_as("acme", "images", &theirs).await.unwrap();
    assert_eq!(follow(&plane, &worker).await, changed(2));
    let resolver = worker.registry.resolver("w").await.unwrap();
    let task: TaskName = "images.run".parse().unwrap();
    for (owner, text) in [(us(), "one"), (tenant("acme"), "theirs")] {
        match resolver.resolve(&owner, &task).await.unwrap() {
            Resolution::Known(code) => assert_eq!(code.task.doc, text),
            Resolution::Unknown => panic!("{owner}"),
        }
    }
    // Nothing new moves nothing.
    let before = worker.registry.generation().await.unwrap();
    assert_eq!(follow(&plane, &worker).await, changed(0));
    assert_eq!(worker.registry.generation().await.unwrap(), before);
    plane.push_text("images", "two").await;
    plane.push_text("images", "three").await;
    plane
        .registry
        .remove(&tenant("acme"), &name("images"))
        .await
        .unwrap();
    assert_eq!(follow(&plane, &worker).await, changed(2));
    assert_eq!(version(&worker, "images").await, Some(3));
    let theirs = worker.registry.modules(&tenant("acme")).await.unwrap();
    assert!(theirs.is_empty());
    plane
        .registry
        .rollback(&us(), &name("images"), Some(1))
        .await
        .unwrap();
    assert_eq!(follow(&plane, &worker).await, changed(1));
    assert_eq!(version(&worker, "images").await, Some(1));
}

#[tokio::test]
async fn another_installation_replaces_all_of_the_one_before() {
    let (plane, other) = (House::open().await, House::open().await);
    let worker = House::replica(ROOM).await;
    plane.push_text("images", "one").await;
    plane.push_text("mail", "one").await;
    other.push_text("images", "other").await;
    follow(&plane, &worker).await;
    let (first, _) = worker.registry.copied(URL).await.unwrap().modules.unwrap();
    assert_eq!(follow(&other, &worker).await, changed(2));
    let (second, _) = worker.registry.copied(URL).await.unwrap().modules.unwrap();
    assert_ne!(first, second);
    assert_eq!(version(&worker, "mail").await, None);
    let modules = worker.registry.modules(&us()).await.unwrap();
    assert_eq!(modules[0].tasks[0].doc, "other");
}

#[tokio::test]
async fn code_of_another_installation_does_not_stay_where_its_successor_cannot_be_had() {
    let (plane, other) = (House::open().await, House::open().await);
    let worker = House::replica(ROOM).await;
    plane.push_text("images", "one").await;
    other.push_text("images", "other").await;
    follow(&plane, &worker).await;
    let copy = read(&other).await;
    let followed = worker.registry.follow(copy, Vec::new()).await.unwrap();
    assert_eq!((followed.changed, followed.stuck), (1, 1));
    assert_eq!(version(&worker, "images").await, None);
    assert_eq!(follow(&other, &worker).await, changed(1));
    // Within one installation what is here goes on.
    other.push_text("images", "newer").await;
    let copy = read(&other).await;
    let followed = worker.registry.follow(copy, Vec::new()).await.unwrap();
    assert_eq!((followed.changed, followed.stuck), (0, 1));
    assert_eq!(version(&worker, "images").await, Some(1));
}

#[tokio::test]
async fn bytes_that_are_not_the_component_are_thrown_away_and_the_module_stays() {
    let (plane, worker) = (House::open().await, House::replica(ROOM).await);
    plane.push_text("images", "one").await;
    follow(&plane, &worker).await;
    plane.push_text("images", "two").await;
    plane.push_text("mail", "one").await;
    let copy = read(&plane).await;
    let mut fetched = Vec::new();
    for one in lacking(&plane, &worker, &copy).await {
        let is_mail = one.tasks[0].to_string().contains("one");
        if is_mail {
            fetched.push(fetch(&plane, &worker, &copy, one).await.unwrap());
            continue;
        }
        let digest = one.digest.parse().unwrap();
        let true_bytes = plane.registry.component(digest).await.unwrap();
        let mut bytes = true_bytes.to_vec();
        bytes[20] ^= 1;
        let taken = worker.registry.take(one.clone(), bytes.into()).await;
        let error = replica_error(taken.unwrap_err());
        assert_eq!(error, ReplicaError::Tampered { digest });
        // Neither is what is shorter than it was said to be.
        let shorter = ComponentView {
            bytes: one.bytes + 1,
            ..one
        };
        let taken = worker.registry.take(shorter, true_bytes).await;
        assert_eq!(
            replica_error(taken.unwrap_err()),
            ReplicaError::Tampered { digest }
        );
    }
    let files = worker.files("components").len();
    let followed = worker.registry.follow(copy, fetched).await.unwrap();
    assert_eq!((followed.changed, followed.stuck), (1, 1));
    assert_eq!(worker.files("components").len(), files);
    assert_eq!(version(&worker, "images").await, Some(1));
    assert_eq!(version(&worker, "mail").await, Some(1));
    // It does not count as followed until it is.
    let (_, number) = worker.registry.copied(URL).await.unwrap().modules.unwrap();
    assert_eq!(number, 0);
    assert_eq!(follow(&plane, &worker).await, changed(1));
    assert_eq!(version(&worker, "images").await, Some(2));
}

#[tokio::test]
async fn a_component_that_is_said_to_be_larger_than_any_is_not_asked_for() {
    let (plane, worker) = (House::open().await, House::replica(u64::MAX).await);
    plane.push_text("images", "one").await;
    let copy = read(&plane).await;
    let mut one = lacking(&plane, &worker, &copy).await.remove(0);
    one.bytes = celeriac_sandbox::UPLOAD_BYTES + 1;
    let error = replica_error(worker.registry.expect(&copy, &one).await.unwrap_err());
    assert!(matches!(error, ReplicaError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn what_no_module_needs_makes_room_and_what_one_needs_never() {
    let plane = House::open().await;
    let bytes = component(&["run"], "one").len() as u64;
    let worker = House::replica(2 * bytes + bytes / 2).await;
    for text in ["one", "two", "six"] {
        plane.push_text("images", text).await;
        assert_eq!(follow(&plane, &worker).await, changed(1));
    }
    // The first one went for the third.
    assert_eq!(worker.files("components").len(), 2);
    // One that is needed again is there without being fetched.
    let (owner, module) = (us(), name("images"));
    let back = plane.registry.rollback(&owner, &module, None);
    back.await.unwrap();
    let copy = read(&plane).await;
    assert!(worker.registry.lacking(&copy).await.unwrap().is_empty());
    assert_eq!(follow(&plane, &worker).await, changed(1));
    plane.push_text("mail", "ten").await;
    assert_eq!(follow(&plane, &worker).await, changed(1));
    plane.push_text("news", "new").await;
    let copy = read(&plane).await;
    let one = lacking(&plane, &worker, &copy).await.remove(0);
    let error = replica_error(worker.registry.expect(&copy, &one).await.unwrap_err());
    assert!(
        error.to_string().contains("worker.component_cache"),
        "{error}"
    );
    assert_eq!(version(&worker, "images").await, Some(2));
}

#[tokio::test]
async fn code_of_another_engine_makes_room_for_a_component() {
    let plane = House::open().await;
    let bytes = component(&["run"], "one").len() as u64;
    let worker = House::replica(2 * bytes + bytes / 2).await;
    let first = plane.push_text("images", "one").await;
    follow(&plane, &worker).await;
    let foreign = format!("{}-{:016}.cwasm", first.digest.hex(), 0);
    let artifacts = worker.path().join("artifacts");
    std::fs::create_dir_all(&artifacts).unwrap();
    let foreign = artifacts.join(foreign);
    std::fs::write(&foreign, vec![0; usize::try_from(2 * bytes).unwrap()]).unwrap();
    plane.push_text("mail", "two").await;
    assert_eq!(follow(&plane, &worker).await, changed(1));
    assert!(!foreign.exists());
    assert_eq!(worker.files("components").len(), 2);
}

#[tokio::test]
async fn a_canary_is_followed_and_one_that_ended_here_stays_ended() {
    let (plane, worker) = (House::open().await, House::replica(ROOM).await);
    plane.push_text("shop", "a").await;
    let wishes = Wishes {
        canary: Some((Portion::percent(30), Rule::default())),
        ..Wishes::default()
    };
    let bytes = component(&["run"], "b");
    let (owner, module) = (us(), name("shop"));
    plane
        .registry
        .push_as(&owner, &module, bytes, &wishes, &mut |_| {})
        .await
        .unwrap();
    assert_eq!(follow(&plane, &worker).await, changed(1));
    let canary = worker.registry.canary(&owner, &module).await.unwrap();
    let canary = canary.unwrap();
    assert_eq!(
        (canary.version, canary.share, canary.state),
        (2, Portion::percent(30), CanaryState::Runs)
    );
    let ends = CanaryEnds {
        tenant: owner.clone(),
        module: module.clone(),
        version: 2,
        canary: Ends {
            ended: 1_000,
            failed: 1_000,
        },
        current: Ends {
            ended: 1_000,
            failed: 0,
        },
    };
    assert!(worker.registry.tally(ends.clone()).await.unwrap().is_some());
    assert_eq!(follow(&plane, &worker).await, changed(0));
    let canary = worker.registry.canary(&owner, &module).await.unwrap();
    assert_eq!(canary.unwrap().state, CanaryState::Aborted);
    // What the worker tells ends it for all.
    assert!(plane.registry.told(ends, None).await.unwrap().is_some());
    assert_eq!(follow(&plane, &worker).await, changed(1));
    assert_eq!(worker.registry.canary(&owner, &module).await.unwrap(), None);
}

fn kill(name: &str) -> KillView {
    KillView {
        tenant: Some(us()),
        kind: KillKind::Module,
        name: name.to_owned(),
        reason: "loops".to_owned(),
        hold: false,
        killed_at: Timestamp::UNIX_EPOCH.to_string(),
    }
}

#[tokio::test]
async fn kills_and_tenants_that_were_told_are_known_after_a_restart() {
    let (plane, worker) = (House::open().await, House::replica(ROOM).await);
    plane.push_text("images", "one").await;
    follow(&plane, &worker).await;
    let resolver = worker.registry.resolver("w").await.unwrap();
    let task: TaskName = "images.run".parse().unwrap();
    assert!(resolver.killed(&us(), &task).is_none());
    let origin = (URL, "one", 7);
    let told = worker.registry.follow_kills(origin, vec![kill("images")]);
    told.await.unwrap();
    worker.registry.follow_tenants(origin, &[]).await.unwrap();
    resolver.obey().await.unwrap();
    assert!(resolver.killed(&us(), &task).is_some());
    let presence = resolver.presence(None).await.unwrap();
    assert_eq!((presence.kills, presence.news), (7, true));

    let again = worker.as_replica(ROOM).await;
    let resolver = again.registry.resolver("w").await.unwrap();
    assert!(resolver.killed(&us(), &task).is_some());
    let copied = again.registry.copied(URL).await.unwrap();
    assert_eq!(copied.orders, Some(("one".to_owned(), 7, 7)));
    assert!(copied.modules.is_some());
    // Of another control plane nothing is known.
    let other = again.registry.copied("https://other.example").await;
    assert_eq!(other.unwrap(), crate::registry::Copied::default());
    again
        .registry
        .follow_kills(origin, Vec::new())
        .await
        .unwrap();
    resolver.obey().await.unwrap();
    assert!(resolver.killed(&us(), &task).is_none());
}

#[tokio::test]
async fn a_worker_says_how_far_it_is_in_the_numbers_of_its_control_plane() {
    let (plane, worker) = (House::open().await, House::replica(ROOM).await);
    for text in ["one", "two", "three"] {
        plane.push_text("images", text).await;
    }
    follow(&plane, &worker).await;
    let resolver = worker.registry.resolver("w").await.unwrap();
    let told = resolver.presence(None).await.unwrap();
    assert_eq!(told.generation, plane.registry.generation().await.unwrap());
    plane.push_text("images", "four").await;
    follow(&plane, &worker).await;
    // It was not loaded yet.
    let still = resolver.presence(Some(&told)).await.unwrap();
    assert_eq!((still.generation, still.news), (told.generation, false));
    resolver.catch_up().await.unwrap();
    let now = resolver.presence(Some(&still)).await.unwrap();
    assert_eq!(now.generation, plane.registry.generation().await.unwrap());
    assert!(now.news);
}

#[tokio::test]
async fn a_replica_is_changed_by_its_control_plane_alone_and_a_registry_is_made_none() {
    let (plane, worker) = (House::open().await, House::replica(ROOM).await);
    worker.registry.may_be_replica().await.unwrap();
    plane.push_text("images", "one").await;
    follow(&plane, &worker).await;
    worker.registry.may_be_replica().await.unwrap();
    let command = worker.beside().await;
    let refused = command.push("mail", &component(&["run"], "x")).await;
    let error = replica_error(refused.unwrap_err());
    assert!(error.to_string().contains(URL), "{error}");
    let refused = command.registry.remove(&us(), &name("images")).await;
    replica_error(refused.unwrap_err());
    let occupied = plane.as_replica(ROOM).await.registry.may_be_replica().await;
    assert_eq!(replica_error(occupied.unwrap_err()), ReplicaError::Occupied);
}

#[tokio::test]
async fn a_module_that_cannot_be_read_stays_and_keeps_no_other_away() {
    let (plane, worker) = (House::open().await, House::replica(ROOM).await);
    plane.push_text("images", "one").await;
    plane.push_text("mail", "one").await;
    follow(&plane, &worker).await;
    plane.push_text("images", "two").await;
    plane.push_text("mail", "two").await;
    let mut told = told(&plane).await;
    for module in told.modules.iter_mut().flatten() {
        if module.name == "mail" {
            module.current.release = Some("no release".to_owned());
        }
    }
    let copy = ModuleCopy::read(URL, told).unwrap().unwrap();
    let mut fetched = Vec::new();
    for one in lacking(&plane, &worker, &copy).await {
        fetched.extend(fetch(&plane, &worker, &copy, one).await);
    }
    let followed = worker.registry.follow(copy, fetched).await.unwrap();
    assert_eq!((followed.changed, followed.stuck), (1, 1));
    assert_eq!(version(&worker, "images").await, Some(2));
    assert_eq!(version(&worker, "mail").await, Some(1));
}

#[tokio::test]
async fn garbage_of_a_replica_is_what_has_no_room() {
    let (plane, worker) = (House::open().await, House::replica(ROOM).await);
    plane.push_text("images", "one").await;
    follow(&plane, &worker).await;
    plane.push_text("images", "two").await;
    follow(&plane, &worker).await;
    worker
        .clock
        .advance(std::time::Duration::from_secs(100_000));
    worker.registry.collect_garbage().await.unwrap();
    assert_eq!(worker.files("components").len(), 2);
    let small = worker.as_replica(1).await;
    // What is needed stays, though it has no room.
    small.registry.collect_garbage().await.unwrap();
    assert_eq!(small.files("components").len(), 1);
}

#[tokio::test]
async fn more_than_a_control_plane_can_have_is_not_taken() {
    let (plane, worker) = (House::open().await, House::replica(ROOM).await);
    plane.push_text("images", "one").await;
    let mut told = told(&plane).await;
    let module = told.modules.take().unwrap().remove(0);
    told.modules = Some(vec![module; 65_537]);
    let error = ModuleCopy::read(URL, told).unwrap_err();
    assert!(error.to_string().contains("65537 modules"), "{error}");
    let origin = (URL, "one", 1);
    let kills = vec![kill("images"); 10_001];
    let error = worker.registry.follow_kills(origin, kills).await;
    let error = replica_error(error.unwrap_err());
    assert!(error.to_string().contains("10001 kills"), "{error}");
    assert!(worker.registry.all_kills().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_component_that_is_gone_again_is_fetched_again_and_not_pointed_to() {
    let (plane, worker) = (House::open().await, House::replica(ROOM).await);
    plane.push_text("images", "one").await;
    let copy = read(&plane).await;
    let one = lacking(&plane, &worker, &copy).await.remove(0);
    let fetched = fetch(&plane, &worker, &copy, one).await.unwrap();
    for file in worker.files("components") {
        std::fs::remove_file(file).unwrap();
    }
    let followed = worker.registry.follow(copy, vec![fetched]).await.unwrap();
    assert_eq!((followed.changed, followed.stuck), (0, 1));
    assert_eq!(follow(&plane, &worker).await, changed(1));
}
