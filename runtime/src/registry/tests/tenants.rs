//! Two tenants with modules of the same name: nothing of one touches the other's.

use super::fixture::{House, component, name, tenant};
use crate::database::{SqliteConnection, Statement};
use crate::registry::rows::{MODULES, MODULES_OF_ALL};
use crate::registry::{Aim, Digest, GRACE, PushStep, RegistryError, Resolution, Resolver};
use crate::task::TaskName;
use bytes::Bytes;
use std::fs;

/// A house where both tenants have the module `m`: `acme` three versions, `zeta` one.
async fn house() -> House {
    let house = House::open().await;
    for text in ["one", "two", "three"] {
        push(&house, "acme", text).await;
    }
    push(&house, "zeta", "other").await;
    house
}

async fn push(house: &House, owner: &str, text: &str) -> u32 {
    let pushed = house.push_as(owner, "m", &component(&["run"], text)).await;
    pushed.unwrap().version
}

async fn versions(house: &House, owner: &str) -> Vec<(u32, bool)> {
    let found = house.registry.versions(&tenant(owner), &name("m")).await;
    let found = found.unwrap_or_default().into_iter();
    found.map(|one| (one.version, one.current)).collect()
}

/// What the task `m.run` of a tenant says of itself.
async fn doc(resolver: &Resolver, owner: &str) -> Option<String> {
    let task: TaskName = "m.run".parse().unwrap();
    match resolver.resolve(&tenant(owner), &task).await.unwrap() {
        Resolution::Known(code) => {
            assert_eq!(code.tenant, tenant(owner));
            Some(code.task.doc.clone())
        }
        Resolution::Unknown => None,
    }
}

#[tokio::test]
async fn modules_of_one_name_are_apart_in_every_way() {
    let house = house().await;
    let (acme, zeta, m) = (tenant("acme"), tenant("zeta"), name("m"));
    assert_eq!(
        versions(&house, "acme").await,
        [(3, true), (2, false), (1, false)]
    );
    assert_eq!(versions(&house, "zeta").await, [(1, true)]);
    let resolver = house.registry.resolver("w").await.unwrap();
    assert_eq!(doc(&resolver, "acme").await.as_deref(), Some("three"));
    assert_eq!(doc(&resolver, "zeta").await.as_deref(), Some("other"));
    assert_eq!(doc(&resolver, "default").await, None);

    // Zeta has one version: there is none before it, whatever Acme has.
    let none = house.registry.rollback(&zeta, &m, None).await;
    assert!(matches!(
        none,
        Err(RegistryError::NoEarlier { current: 1, .. })
    ));
    let none = house.registry.rollback(&zeta, &m, Some(2)).await;
    assert!(matches!(none, Err(RegistryError::UnknownVersion { have, .. }) if have == [1]));
    house.registry.rollback(&acme, &m, None).await.unwrap();
    assert_eq!(versions(&house, "zeta").await, [(1, true)]);

    house.registry.remove(&acme, &m).await.unwrap();
    assert_eq!(versions(&house, "acme").await, []);
    assert_eq!(versions(&house, "zeta").await, [(1, true)]);
    let resolver = house.registry.resolver("w").await.unwrap();
    assert_eq!(doc(&resolver, "acme").await, None);
    assert_eq!(doc(&resolver, "zeta").await.as_deref(), Some("other"));
    assert_eq!(push(&house, "acme", "four").await, 4);
    assert_eq!(push(&house, "zeta", "more").await, 2);
}

#[tokio::test]
async fn lists_and_suggestions_know_only_the_tenants_own_modules() {
    let house = house().await;
    house
        .push_as("acme", "images", &component(&["run"], ""))
        .await
        .unwrap();
    let zeta = tenant("zeta");
    let names: Vec<_> = house.registry.modules(&zeta).await.unwrap();
    let names: Vec<_> = names.iter().map(|module| module.name.as_str()).collect();
    assert_eq!(names, ["m"]);
    // The same words for what another has and for what nobody has.
    let said = async |module: &str| {
        let unknown = house.registry.versions(&zeta, &name(module)).await;
        unknown.unwrap_err().to_string().replace(module, "X")
    };
    assert_eq!(said("images").await, said("nobodys").await);
    assert_eq!(said("imagse").await, said("nobodys").await);
    let resolver = house.registry.resolver("w").await.unwrap();
    let tasks: Vec<_> = resolver
        .tasks(&zeta)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(tasks, ["m.run"]);
    let missing = |task: &str| resolver.missing(&zeta, &task.parse().unwrap()).to_string();
    assert_eq!(
        missing("images.run").replace("images", "X"),
        missing("nobody.run").replace("nobody", "X")
    );
    assert!(!resolver.knows(&zeta, &"images.run".parse().unwrap()));
    assert!(resolver.knows(&tenant("acme"), &"images.run".parse().unwrap()));
}

#[tokio::test]
async fn a_kill_of_a_task_a_module_or_a_tenant_is_of_that_tenant_and_one_of_a_component_of_all() {
    let house = house().await;
    let (acme, zeta, m) = (tenant("acme"), tenant("zeta"), name("m"));
    house
        .push_as("zeta", "m", &component(&["run"], "three"))
        .await
        .unwrap();
    let task: TaskName = "m.run".parse().unwrap();
    let digest = Digest::of(&component(&["run"], "three"));
    let resolver = house.registry.resolver("w").await.unwrap();
    for (aim, both) in [
        (Aim::Task(acme.clone(), task.clone()), false),
        (Aim::Module(acme.clone(), m.clone()), false),
        (Aim::Tenant(acme.clone()), false),
        (Aim::Digest(digest), true),
    ] {
        house.registry.kill(aim.clone(), "", false).await.unwrap();
        resolver.obey().await.unwrap();
        assert!(resolver.killed(&acme, &task).is_some(), "{aim}");
        assert_eq!(resolver.killed(&zeta, &task).is_some(), both, "{aim}");
        let seen = house.registry.kills(&zeta).await.unwrap();
        assert_eq!(
            (seen.len(), resolver.kills(&zeta).len()),
            (usize::from(both), usize::from(both))
        );
        assert_eq!(house.registry.kills(&acme).await.unwrap().len(), 1);
        // What another tenant killed nobody else can end.
        if !both {
            let others = match &aim {
                Aim::Task(..) => Aim::Task(zeta.clone(), task.clone()),
                Aim::Module(..) => Aim::Module(zeta.clone(), m.clone()),
                Aim::Tenant(_) | Aim::Digest(_) => Aim::Tenant(zeta.clone()),
            };
            assert_eq!(house.registry.unkill(others).await.unwrap(), None);
        }
        house.registry.unkill(aim).await.unwrap().unwrap();
    }
    let nobody = house
        .registry
        .kill(Aim::Tenant(tenant("nobody")), "", false)
        .await;
    assert!(matches!(nobody, Err(RegistryError::NoModules { .. })));
}

#[tokio::test]
async fn a_component_of_two_tenants_is_one_file_and_stays_while_one_of_them_has_it() {
    let house = House::open().await;
    for owner in ["acme", "zeta"] {
        push(&house, owner, "same").await;
    }
    assert_eq!(
        (
            house.files("components").len(),
            house.files("artifacts").len()
        ),
        (1, 1)
    );
    house
        .registry
        .remove(&tenant("acme"), &name("m"))
        .await
        .unwrap();
    house.clock.advance(GRACE);
    assert_eq!(house.registry.collect_garbage().await.unwrap().files, 0);
    let resolver = house.beside().await.registry.resolver("w").await.unwrap();
    assert_eq!(doc(&resolver, "zeta").await.as_deref(), Some("same"));
    house
        .registry
        .remove(&tenant("zeta"), &name("m"))
        .await
        .unwrap();
    assert_eq!(house.registry.collect_garbage().await.unwrap().files, 2);
}

/// Pushes, and tells which steps there were, with what they said.
async fn steps(house: &House, owner: &str, bytes: &Bytes) -> (Vec<String>, usize) {
    let (before, mut steps) = (house.compilations(), Vec::new());
    let mut report = |step| {
        // How long it took is another matter.
        steps.push(match step {
            PushStep::Compiled { took, bytes } => {
                format!("compiled: {} {bytes}", took.is_some())
            }
            step @ (PushStep::Checked { .. }
            | PushStep::Compiling
            | PushStep::Described { .. }
            | PushStep::Published) => format!("{step:?}"),
        });
    };
    let (owner, module) = (tenant(owner), name("m"));
    let push = house
        .registry
        .push(&owner, &module, bytes.clone(), &mut report);
    push.await.unwrap();
    (steps, house.compilations() - before)
}

#[tokio::test]
async fn a_component_that_only_others_have_is_compiled_again_as_if_nobody_had_it() {
    let house = House::open().await;
    let bytes = component(&["run"], "popular");
    let first = steps(&house, "acme", &bytes).await;
    assert_eq!(first.1, 1);
    // Another tenant sees the very steps of one who is the first, also while it is loaded.
    let resolver = house.registry.resolver("w").await.unwrap();
    assert!(doc(&resolver, "acme").await.is_some());
    let file = house.files("components").remove(0);
    let inode = |path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&file);
    assert_eq!(steps(&house, "zeta", &bytes).await, first);
    assert_ne!(inode(&file), before, "its bytes were written again");
    // Whoever has it already need not wait again.
    assert_eq!(steps(&house, "zeta", &bytes).await.1, 0);
    let resolver = house.registry.resolver("w").await.unwrap();
    assert_eq!(doc(&resolver, "zeta").await.as_deref(), Some("popular"));
}

#[tokio::test]
async fn a_refusal_of_the_compiler_is_remembered_for_the_tenant_that_met_it_alone() {
    let house = House::open().await;
    let broken = house.beside_with("echo too deep >&2; exit 3").await;
    let bytes = component(&["run"], "bomb");
    let said = async |owner: &str| {
        let refused = broken.push_as(owner, "m", &bytes).await.unwrap_err();
        refused.to_string()
    };
    let fresh = said("acme").await;
    assert!(said("acme").await.contains("remembered"));
    assert_eq!(said("zeta").await, fresh);
}

struct Fill(u32);

impl Statement for Fill {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for Self(modules) in batch {
            sqlx::query(
                "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?2 - 1) \
                 INSERT INTO modules (tenant, name, current, newest) SELECT 't' || (i / ?1), 'm' || i, 1, 1 FROM n",
            )
            .bind(MODULES)
            .bind(modules)
            .execute(&mut *conn)
            .await?;
        }
        Ok(vec![(); batch.len()])
    }
}

#[tokio::test]
async fn all_tenants_together_have_no_more_modules_than_a_worker_keeps_pointers_to() {
    let house = House::open().await;
    house
        .database
        .write(Fill(MODULES_OF_ALL - 1))
        .await
        .unwrap();
    push(&house, "acme", "one").await;
    let bytes = component(&["run"], "two");
    let error = house.push_as("zeta", "m", &bytes).await.unwrap_err();
    assert!(
        matches!(
            error,
            RegistryError::Crowded {
                most: MODULES_OF_ALL
            }
        ),
        "{error}"
    );
    assert_eq!(push(&house, "acme", "two").await, 2);
    // Who has as many as one tenant may is told of that.
    let error = house.push_as("t0", "m", &bytes).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::Full { most: MODULES }),
        "{error}"
    );
}
