//! Components that are announced while they are pushed, and replicas that prepare for them.

use super::fixture::{House, component, name, tenant, us};
use super::replica::{follow, replica_error};
use crate::plane::ComponentView;
use crate::registry::{COMING, ComingComponent, Digest, ReplicaError, Wishes};
use bytes::Bytes;

fn coming(bytes: &Bytes) -> ComingComponent {
    ComingComponent {
        tenant: us(),
        digest: Digest::of(bytes),
        bytes: bytes.len() as u64,
    }
}

#[tokio::test]
async fn a_component_is_announced_while_it_is_compiled_for_its_tenant() {
    let house = House::open().await;
    let bytes = component(&["run"], "one");
    let mut board = house.registry.coming();
    let heard = async {
        let now = board.wait_for(|now| now.number == 1).await;
        now.unwrap().components.clone()
    };
    let (heard, pushed) = futures::future::join(heard, house.push("images", &bytes)).await;
    assert_eq!(heard, [coming(&bytes)]);
    pushed.unwrap();
    let now = || house.registry.coming().borrow().clone();
    assert!(now().components.is_empty());
    assert!(!house.registry.is_coming(Digest::of(&bytes)));
    // What the tenant has is not compiled again.
    house.push("mail", &bytes).await.unwrap();
    assert_eq!(now().number, 1);
    house.push_as("acme", "images", &bytes).await.unwrap();
    assert_eq!(now().number, 2);
}

#[tokio::test]
async fn a_push_that_only_looks_is_not_announced() {
    let house = House::open().await;
    let wishes = Wishes {
        dry: true,
        ..Wishes::default()
    };
    let (owner, module) = (us(), name("images"));
    let bytes = component(&["run"], "one");
    let registry = &house.registry;
    let mut silent = |_| {};
    let pushed = registry.push_as(&owner, &module, bytes, &wishes, &mut silent);
    pushed.await.unwrap();
    assert_eq!(registry.coming().borrow().number, 0);
}

#[tokio::test]
async fn no_more_than_eight_components_are_announced_at_once() {
    let house = House::open().await;
    let of = |number: usize| coming(&Bytes::from(number.to_string()));
    let announced = (0..=COMING).map(|number| house.registry.announce(of(number)));
    let mut announced: Vec<_> = announced.collect();
    assert!(announced.pop().unwrap().is_none());
    assert!(announced.iter().all(Option::is_some));
    let now = || house.registry.coming().borrow().clone();
    assert_eq!((now().number, now().components.len()), (8, COMING));
    assert!(house.registry.is_coming(of(3).digest));
    drop(announced);
    assert_eq!((now().number, now().components.len()), (8, 0));
}

#[tokio::test]
async fn a_replica_that_is_prepared_neither_fetches_nor_compiles_again() {
    let (plane, worker) = (House::open().await, House::replica(64 << 20).await);
    let bytes = component(&["run"], "one");
    let one = coming(&bytes);
    assert!(worker.registry.wants(&one).await.unwrap());
    worker
        .registry
        .keep(one.digest, bytes.clone())
        .await
        .unwrap();
    worker.registry.prepare(&one).await.unwrap();
    assert!(!worker.registry.wants(&one).await.unwrap());
    assert_eq!(worker.compilations(), 1);
    assert!(worker.registry.modules(&us()).await.unwrap().is_empty());
    plane.push("images", &bytes).await.unwrap();
    let described = plane.registry.descriptions(&[one.digest]).await.unwrap();
    let prepared = worker.registry.prepared(&described[0]).await.unwrap();
    assert_eq!(prepared, Some(bytes));
    follow(&plane, &worker).await;
    let resolver = worker.registry.resolver("w").await.unwrap();
    let task = "images.run".parse().unwrap();
    resolver.resolve(&us(), &task).await.unwrap();
    assert_eq!(worker.compilations(), 1);
}

#[tokio::test]
async fn a_replica_prepares_for_nothing_that_is_another_or_that_it_cannot_keep() {
    let bytes = component(&["run"], "one");
    let one = coming(&bytes);
    let worker = House::replica(bytes.len() as u64).await;
    let other = component(&["run"], "two");
    let error = worker.registry.keep(one.digest, other).await.unwrap_err();
    let error = replica_error(error);
    assert!(matches!(error, ReplicaError::Tampered { .. }), "{error}");
    assert!(worker.files("components").is_empty());
    let large = ComingComponent {
        bytes: celeriac_sandbox::UPLOAD_BYTES + 1,
        ..one.clone()
    };
    let error = replica_error(worker.registry.wants(&large).await.unwrap_err());
    assert!(matches!(error, ReplicaError::TooLarge { .. }), "{error}");
    let more = ComingComponent {
        tenant: tenant("acme"),
        bytes: one.bytes + 1,
        ..one
    };
    let error = replica_error(worker.registry.wants(&more).await.unwrap_err());
    assert!(matches!(error, ReplicaError::Full { .. }), "{error}");
    let unreadable = ComponentView {
        digest: "x".to_owned(),
        bytes: 1,
        tasks: Vec::new(),
        imports: Vec::new(),
    };
    let prepared = worker.registry.prepared(&unreadable).await.unwrap();
    assert_eq!(prepared, None);
}
