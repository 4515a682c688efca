use super::{House, component, name, us};
use crate::database::SqliteConnection;
use crate::database::{DatabaseError, Statement};
use crate::defence::{Defence, without};
use crate::registry::rows::{MODULES, Publish, Published};
use crate::registry::{Digest, PushStep, RegistryError};
use bytes::Bytes;
use futures::future::join_all;
use std::collections::BTreeSet;
use std::time::Duration;

/// Takes only what a task of a multi-threaded runtime can run.
fn sendable<T: Send>(future: T) -> T {
    future
}

#[tokio::test]
async fn every_answer_of_the_registry_can_be_awaited_on_any_thread() {
    let house = House::open().await;
    let (registry, images) = (&house.registry, name("images"));
    let bytes = component(&["run"], "");
    sendable(registry.push(&us(), &images, bytes, &mut |_| {}))
        .await
        .unwrap();
    sendable(registry.modules(&us())).await.unwrap();
    sendable(registry.versions(&us(), &images)).await.unwrap();
    sendable(registry.rollback(&us(), &images, Some(1)))
        .await
        .unwrap();
    let resolver = sendable(registry.resolver("w")).await.unwrap();
    sendable(resolver.resolve(&us(), &"images.run".parse().unwrap()))
        .await
        .unwrap();
    sendable(registry.wait_live(1, Duration::ZERO))
        .await
        .unwrap();
    sendable(registry.collect_garbage()).await.unwrap();
    sendable(registry.remove(&us(), &images)).await.unwrap();
}

#[tokio::test]
async fn a_push_makes_version_1_and_tells_how_far_it_is() {
    let house = House::open().await;
    let bytes = component(&["thumbnail", "resize"], "");
    let mut steps = Vec::new();
    let pushed = house
        .registry
        .push(&us(), &name("images"), bytes.clone(), &mut |step| {
            steps.push(step);
        })
        .await
        .unwrap();
    assert_eq!(
        (pushed.version, pushed.unchanged, pushed.generation),
        (1, false, 1)
    );
    assert_eq!(pushed.digest, Digest::of(&bytes));
    let tasks: Vec<_> = pushed.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(tasks, ["thumbnail", "resize"]);
    assert!(pushed.asks_for.is_empty());
    assert!(matches!(
        steps.as_slice(),
        [
            PushStep::Checked { .. },
            PushStep::Compiling,
            PushStep::Compiled { took: Some(_), .. },
            PushStep::Described { tasks: 2 },
            PushStep::Published
        ]
    ));
    let modules = house.registry.modules(&us()).await.unwrap();
    assert_eq!(modules.len(), 1);
    assert_eq!(
        (modules[0].version, modules[0].bytes),
        (1, bytes.len() as u64)
    );
    assert_eq!(modules[0].tasks, pushed.tasks);
}

#[tokio::test]
async fn the_component_that_runs_already_makes_no_version() {
    let house = House::open().await;
    let bytes = component(&["run"], "");
    house.push("images", &bytes).await.unwrap();
    let again = house.push("images", &bytes).await.unwrap();
    assert_eq!(
        (again.version, again.unchanged, again.generation),
        (1, true, 1)
    );
    assert_eq!(house.compilations(), 1);
}

#[tokio::test]
async fn a_component_of_two_modules_is_compiled_once() {
    let house = House::open().await;
    let bytes = component(&["run"], "");
    house.push("images", &bytes).await.unwrap();
    house.push("pictures", &bytes).await.unwrap();
    house.beside().await.push("photos", &bytes).await.unwrap();
    assert_eq!(house.compilations(), 1);
    assert_eq!(house.registry.modules(&us()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_earlier_component_pushed_again_becomes_a_new_version() {
    let house = House::open().await;
    house.push_text("images", "one").await;
    house.push_text("images", "two").await;
    let again = house.push_text("images", "one").await;
    assert_eq!((again.version, again.unchanged), (3, false));
}

#[tokio::test]
async fn what_is_no_component_is_refused_and_leaves_nothing() {
    let house = House::open().await;
    for bytes in [b"fn main() {}".as_slice(), b"\x7fELF\x02\x01", b""] {
        let error = house
            .push("reports", &Bytes::from_static(bytes))
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("refused: reports: the file is "),
            "{error}"
        );
    }
    assert!(house.registry.modules(&us()).await.unwrap().is_empty());
    assert!(house.files("components").is_empty());
    assert_eq!(house.compilations(), 0);
}

#[tokio::test]
async fn a_component_that_describes_no_task_is_refused() {
    let house = House::open().await;
    let error = house
        .push("reports", &component(&[], ""))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("describes 0 tasks"), "{error}");
    assert!(house.registry.modules(&us()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_of_the_compiler_is_remembered_for_an_hour() {
    let house = House::open().await;
    let broken = house.beside_with("echo too many types >&2; exit 3").await;
    let bytes = component(&["run"], "");
    let error = broken.push("reports", &bytes).await.unwrap_err();
    assert_eq!(error.to_string(), "refused: reports: too many types");
    house.clock.advance(Duration::from_secs(59 * 60));
    let error = house.push("reports", &bytes).await.unwrap_err();
    assert!(
        error.to_string().contains("remembered from 59 min ago"),
        "{error}"
    );
    assert_eq!(house.compilations(), 0);
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(house.push("reports", &bytes).await.unwrap().version, 1);
}

#[tokio::test]
async fn without_a_memory_for_refusals_each_push_of_a_bomb_is_compiled_again() {
    let house = House::open().await;
    let count = house.path().join("compilations");
    let script = format!(
        "echo compile >> {}; echo too deep >&2; exit 3",
        count.display()
    );
    let broken = house.beside_with(&script).await;
    let bomb = component(&["run"], "");
    let push = async || {
        for _ in 0..5 {
            let refused = broken.push("reports", &bomb).await.unwrap_err();
            assert!(refused.to_string().contains("too deep"), "{refused}");
        }
        house.compilations()
    };
    assert_eq!(push().await, 1);
    let _away = without(&[Defence::Remembering]);
    assert_eq!(push().await, 6);
}

#[tokio::test]
async fn trouble_of_the_machine_is_not_blamed_on_the_component() {
    let house = House::open().await;
    let broken = house.beside_with("exec /no/such/compiler").await;
    let bytes = component(&["run"], "");
    let error = broken.push("reports", &bytes).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::CompilerMissing { .. }),
        "{error}"
    );
    assert_eq!(house.push("reports", &bytes).await.unwrap().version, 1);
}

#[tokio::test]
async fn pushes_of_one_module_at_once_each_get_a_version() {
    let house = House::open().await;
    let other = house.beside().await;
    let components: Vec<_> = (0..6)
        .map(|n| component(&["run"], &n.to_string()))
        .collect();
    let pushes = components.iter().enumerate().map(|(n, bytes)| {
        let process = if n % 2 == 0 { &house } else { &other };
        process.push("images", bytes)
    });
    let versions: BTreeSet<_> = join_all(pushes)
        .await
        .into_iter()
        .map(|pushed| pushed.unwrap().version)
        .collect();
    assert_eq!(versions, (1..=6).collect());
    let current = house.registry.modules(&us()).await.unwrap()[0].version;
    assert_eq!(current, 6);
}

#[tokio::test]
async fn pushes_of_one_component_at_once_make_one_version_and_compile_once() {
    let house = House::open().await;
    let bytes = component(&["run"], "");
    let pushes = (0..6).map(|_| house.push("images", &bytes));
    let made = join_all(pushes)
        .await
        .into_iter()
        .filter(|pushed| !pushed.as_ref().unwrap().unchanged);
    assert_eq!(made.count(), 1);
    assert_eq!(house.compilations(), 1);
}

#[tokio::test]
async fn a_push_that_is_dropped_on_the_way_leaves_files_without_rows() {
    let house = House::open().await;
    let slow = house.beside_with("exec cat /dev/zero >/dev/null").await;
    let compiling = tokio::sync::Notify::new();
    let bytes = component(&["run"], "");
    let module = name("images");
    let mut report = |step| {
        if step == PushStep::Compiling {
            compiling.notify_one();
        }
    };
    let us = us();
    tokio::select! {
        pushed = slow.registry.push(&us, &module, bytes.clone(), &mut report) => panic!("{pushed:?}"),
        () = compiling.notified() => {}
    }
    assert!(house.registry.modules(&us).await.unwrap().is_empty());
    assert_eq!(house.files("components").len(), 1);
    assert_eq!(house.push("images", &bytes).await.unwrap().version, 1);
}

#[tokio::test]
async fn a_push_whose_file_is_gone_is_told_so() {
    let house = House::open().await;
    let publish = Publish {
        tenant: us(),
        module: name("images"),
        digest: Digest::of(b""),
        bytes: 0,
        tasks: "[]".to_owned(),
        imports: "[]".to_owned(),
        sweeps: 0,
        file: Some(house.path().join("components/gone.wasm")),
        now_ms: 0,
        against: None,
        release: None,
        older: false,
        breaks: None,
        canary: None,
        most: None,
        dry: false,
    };
    assert_eq!(
        house.registry.store().write(publish).await.unwrap(),
        Published::Swept
    );
}

struct Fill(String);

impl Statement for Fill {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for one in batch {
            sqlx::query(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) \
                 INSERT INTO modules (tenant, name, current, newest) SELECT 'default', 'm' || i, 1, 1 FROM n",
            )
            .bind(MODULES - 1)
            .execute(&mut *conn)
            .await?;
            sqlx::query(
                "INSERT INTO versions (tenant, module, version, digest, pushed_at) SELECT tenant, name, 1, ?, 0 FROM modules WHERE name LIKE 'm%'",
            )
            .bind(&one.0)
            .execute(&mut *conn)
            .await?;
        }
        Ok(vec![(); batch.len()])
    }
}

#[tokio::test]
async fn one_module_too_many_is_refused() -> Result<(), DatabaseError> {
    let house = House::open().await;
    let first = house.push_text("x1", "one").await;
    house.database.write(Fill(first.digest.hex())).await?;
    let error = house
        .push("x2", &component(&["run"], "two"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::Full { most: MODULES }),
        "{error}"
    );
    assert_eq!(house.push_text("x1", "two").await.version, 2);
    Ok(())
}

/// A compiler that takes its time, refuses, and tells when it is not alone.
const SLOW: &str = r#"
    mkdir "$DIR/alone" 2>/dev/null || touch "$DIR/beside"
    cat >/dev/null
    sleep 0.05
    rmdir "$DIR/alone"
    echo "no" >&2
    exit 3"#;

#[tokio::test]
async fn a_flood_of_different_uploads_is_compiled_one_after_the_other() {
    let house = House::open().await;
    let script = SLOW.replace("$DIR", &house.path().display().to_string());
    let houses = [
        house.beside_with(&script).await,
        house.beside_with(&script).await,
    ];
    let floods: Vec<Bytes> = (0..12)
        .map(|number| component(&["run"], &number.to_string()))
        .collect();
    let pushes = floods.iter().zip(houses.iter().cycle());
    let pushes = pushes.map(|(bytes, house)| house.push("flood", bytes));
    let ended = join_all(pushes).await;
    for error in ended.into_iter().map(Result::unwrap_err) {
        assert!(matches!(error, RegistryError::Refused(_)), "{error}");
    }
    assert!(!house.path().join("beside").exists());
    // What was refused is remembered: none of them is compiled again.
    let again = houses[0].push("flood", &floods[0]).await.unwrap_err();
    assert!(again.to_string().contains("no"), "{again}");
}
