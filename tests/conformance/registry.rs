//! What the registry must do, over SQLite and a folder, and over Postgres and a bucket.

mod noted;
mod quotas;
mod versions;

use celeriac::clock::Clock;
use celeriac::database::{Database, FILE_NAME};
use celeriac::platform::Platform;
use celeriac::registry::{
    Aim, Bucket, BucketError, Compiler, Digest, GRACE, Keys, Registry, RegistryError, Resolution,
    Resolver, Store,
};
use celeriac::sql::Sql;
use celeriac::task::{ModuleName, TaskName, TenantName};
use celeriac_sandbox::{Engine, EngineSettings, Pooling};
use std::path::Path;
use std::time::Duration;
use support::{Moto, Postgres};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(40);

/// Two machines on one registry.
struct Stage {
    clock: Clock,
    here: Registry,
    there: Registry,
    machines: [TempDir; 2],
    servers: Option<(Postgres, Moto)>,
}

fn target() -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("..")
}

fn keys() -> Option<Keys> {
    Some(Keys {
        id: "key".to_owned(),
        secret: "secret".to_owned(),
    })
}

async fn open(store: Store, dir: &Path) -> Result<Registry, RegistryError> {
    let settings = EngineSettings {
        pooling: Pooling::Never,
        ..EngineSettings::default()
    };
    let engine = Engine::new(&settings).unwrap();
    let compiler = Compiler::program(env!("CARGO_BIN_EXE_celeriac"), ["compile"]);
    Registry::open(store, dir, engine, compiler).await
}

impl Stage {
    /// Two processes of one machine, on one file and one folder.
    async fn folder() -> Self {
        let machines = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let clock = Clock::manual(Clock::System.now());
        let dir = machines[0].path();
        let process = async || {
            let file = Database::open(dir, clock.clone()).await.unwrap();
            open(Store::file(file), dir).await.unwrap()
        };
        let (here, there) = (process().await, process().await);
        Self {
            clock,
            here,
            there,
            machines,
            servers: None,
        }
    }

    /// Two machines that share servers, and nothing else.
    async fn servers() -> Self {
        let machines = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (postgres, moto) = (Postgres::start(), Moto::start(&target()));
        // Objects are dated by the server.
        let clock = Clock::manual(Clock::System.now());
        let machine = async |dir: &TempDir| {
            let sql = Sql::postgres(&postgres.url()).unwrap();
            let store = Store::server(sql, clock.clone()).await.unwrap();
            let bucket = Bucket::new(&moto.url("some/components"), keys()).unwrap();
            open(store.with_bucket(bucket), dir.path()).await.unwrap()
        };
        let (here, there) = tokio::join!(machine(&machines[0]), machine(&machines[1]));
        Self {
            clock,
            here,
            there,
            machines,
            servers: Some((postgres, moto)),
        }
    }

    /// Returns the database of its rows.
    fn sql(&self) -> Sql {
        match &self.servers {
            Some((postgres, _)) => Sql::postgres(&postgres.url()).unwrap(),
            None => Sql::sqlite(&self.machines[0].path().join(FILE_NAME)),
        }
    }

    /// Opens the tables of tenants, which are beside its rows.
    async fn platform(&self) -> Platform {
        let opened = Platform::open(self.sql(), self.clock.clone());
        opened.await.unwrap()
    }

    /// Writes something else in place of a component.
    fn damage(&self, digest: Digest) {
        let name = format!("components/{}.wasm", digest.hex());
        match &self.servers {
            Some((_, moto)) => moto.write(&format!("some/{name}"), "no component"),
            None => std::fs::write(self.machines[0].path().join(name), "no component").unwrap(),
        }
    }
}

/// A component with one task, and an empty part that makes it another one.
fn component(number: u8) -> bytes::Bytes {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = target().join("../guests/components/numbers.wasm");
    let path = if path.exists() {
        path
    } else {
        root.join("target/guests/components/numbers.wasm")
    };
    let mut bytes = std::fs::read(&path).expect("`cargo xtask guests` makes it");
    // A custom section with a name of one letter.
    bytes.extend([0, 3, 1, b'n', number]);
    bytes.into()
}

fn tenant(text: &str) -> TenantName {
    text.parse().unwrap()
}

fn module() -> ModuleName {
    "numbers".parse().unwrap()
}

async fn push(registry: &Registry, owner: &str, number: u8) -> (u32, u64, Digest) {
    let (owner, module) = (tenant(owner), module());
    let report = &mut |_| {};
    let pushed = registry
        .push(&owner, &module, component(number), report)
        .await;
    let pushed = pushed.unwrap();
    (pushed.version, pushed.generation, pushed.digest)
}

async fn current(registry: &Registry, owner: &str) -> Option<u32> {
    let modules = registry.modules(&tenant(owner)).await.unwrap();
    modules.first().map(|module| module.version)
}

/// The version that a task of a tenant runs.
async fn runs(resolver: &Resolver, owner: &str) -> Result<Option<u32>, RegistryError> {
    let task = task(resolver, owner);
    let Some(task) = task else { return Ok(None) };
    Ok(match resolver.resolve(&tenant(owner), &task).await? {
        Resolution::Known(code) => Some(code.version),
        Resolution::Unknown => None,
    })
}

fn task(resolver: &Resolver, owner: &str) -> Option<TaskName> {
    resolver.tasks(&tenant(owner)).into_iter().next()
}

mod check {
    pub(super) use super::noted::*;
    pub(super) use super::quotas::*;
    pub(super) use super::versions::*;
    use super::*;

    pub(super) async fn each_tenant_has_versions_of_its_own_and_other_machines_see_them(
        stage: Stage,
    ) {
        let (here, there) = (&stage.here, &stage.there);
        assert_eq!(push(here, "acme", 1).await.0, 1);
        assert_eq!(push(there, "acme", 2).await.0, 2);
        assert_eq!(push(there, "zeta", 2).await.0, 1);
        assert_eq!(current(here, "acme").await, Some(2));
        assert_eq!(current(here, "zeta").await, Some(1));
        assert_eq!(current(here, "default").await, None);
        let (acme, zeta) = (tenant("acme"), tenant("zeta"));
        let moved = here.rollback(&acme, &module(), None).await.unwrap();
        assert_eq!((moved.from, moved.version), (2, 1));
        assert_eq!(current(there, "acme").await, Some(1));
        let none = here.rollback(&zeta, &module(), None).await;
        assert!(matches!(none, Err(RegistryError::NoEarlier { .. })));
        let listed = there.versions(&acme, &module()).await.unwrap();
        let listed: Vec<_> = listed
            .iter()
            .map(|one| (one.version, one.current))
            .collect();
        assert_eq!(listed, [(2, false), (1, true)]);
        // What the other machine compiled this one loads, or compiles for itself.
        let resolver = here.resolver("w").await.unwrap();
        assert_eq!(runs(&resolver, "acme").await.unwrap(), Some(1));
        assert_eq!(runs(&resolver, "zeta").await.unwrap(), Some(1));
        there.remove(&acme, &module()).await.unwrap();
        assert_eq!(current(here, "acme").await, None);
        assert_eq!(current(here, "zeta").await, Some(1));
        assert_eq!(push(here, "acme", 3).await.0, 3);
    }

    pub(super) async fn a_worker_follows_what_another_machine_changes(stage: Stage) {
        let resolver = stage.there.resolver("w@there").await.unwrap();
        let stop = CancellationToken::new();
        let follow = resolver.run(stop.clone());
        let work = async {
            let watch = async |generation| {
                let wait = || stage.here.wait_live(generation, LONG);
                while wait().await.unwrap().workers < 1 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(wait().await.unwrap().live, 1);
            };
            watch(0).await;
            for number in [1, 2] {
                let (version, generation, _) = push(&stage.here, "acme", number).await;
                watch(generation).await;
                assert_eq!(runs(&resolver, "acme").await.unwrap(), Some(version));
            }
            let aim = Aim::Module(tenant("acme"), module());
            let kills = stage.here.kill(aim.clone(), "why", false).await.unwrap();
            let live = stage.here.wait_obeyed(kills, LONG).await.unwrap();
            assert_eq!(live.live, 1);
            let task = task(&resolver, "acme").unwrap();
            let kill = resolver.killed(&tenant("acme"), &task).unwrap();
            assert_eq!((&kill.aim, kill.reason.as_str()), (&aim, "why"));
            assert!(resolver.killed(&tenant("zeta"), &task).is_none());
            stage.here.unkill(aim).await.unwrap().unwrap();
            stop.cancel();
        };
        tokio::join!(follow, work);
    }

    pub(super) async fn machines_that_push_at_once_each_get_a_version(stage: Stage) {
        let pushes = (1..=4).map(|number| {
            let registry = if number % 2 == 0 {
                &stage.here
            } else {
                &stage.there
            };
            push(registry, "acme", number)
        });
        let pushed = futures::future::join_all(pushes).await;
        let mut versions: Vec<_> = pushed.iter().map(|(version, ..)| *version).collect();
        versions.sort_unstable();
        assert_eq!(versions, [1, 2, 3, 4]);
        assert_eq!(stage.here.generation().await.unwrap(), 4);
    }

    pub(super) async fn bytes_that_no_version_names_go_after_the_grace_and_no_others(stage: Stage) {
        push(&stage.here, "acme", 1).await;
        let (.., kept) = push(&stage.here, "zeta", 2).await;
        stage.here.remove(&tenant("acme"), &module()).await.unwrap();
        let files = async || stage.there.collect_garbage().await.unwrap().files;
        assert_eq!(files().await, 0);
        stage.clock.advance(GRACE + Duration::from_secs(60));
        assert!(files().await >= 1);
        assert_eq!(files().await, 0);
        assert_eq!(stage.here.component(kept).await.unwrap(), component(2));
        let gone = stage.here.component(Digest::of(&component(1))).await;
        assert!(
            matches!(gone, Err(RegistryError::Damaged { .. })),
            "{gone:?}"
        );
        // What was swept comes back with its next push.
        assert_eq!(push(&stage.here, "acme", 1).await.0, 2);
        assert_eq!(
            stage
                .there
                .component(Digest::of(&component(1)))
                .await
                .unwrap(),
            component(1)
        );
    }

    pub(super) async fn a_component_that_somebody_changed_is_not_taken_and_a_push_heals_it(
        stage: Stage,
    ) {
        let (.., digest) = push(&stage.here, "acme", 1).await;
        stage.damage(digest);
        let damaged = stage.there.component(digest).await;
        assert!(
            matches!(damaged, Err(RegistryError::Damaged { .. })),
            "{damaged:?}"
        );
        push(&stage.here, "acme", 1).await;
        assert_eq!(stage.there.component(digest).await.unwrap(), component(1));
    }
}

/// Expands each behaviour for both.
macro_rules! registry_behaviours {
    ($($behaviour:ident),* $(,)?) => {
        mod folder {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::check::$behaviour(super::Stage::folder().await).await;
                }
            )*
        }
        mod servers {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::check::$behaviour(super::Stage::servers().await).await;
                }
            )*
        }
    };
}

registry_behaviours! {
    each_tenant_has_versions_of_its_own_and_other_machines_see_them,
    a_worker_follows_what_another_machine_changes,
    machines_that_push_at_once_each_get_a_version,
    bytes_that_no_version_names_go_after_the_grace_and_no_others,
    a_component_that_somebody_changed_is_not_taken_and_a_push_heals_it,
    each_change_of_modules_stands_in_the_audit_or_does_not_happen,
    of_two_pushes_at_once_one_has_room,
    what_a_kept_version_names_counts_once_and_a_canary_counts,
    names_and_pins_of_versions_are_seen_everywhere,
    a_canary_is_counted_by_all_machines_and_ended_by_one,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_missing_fails_the_start_and_one_that_is_away_is_waited_for() {
    let (folder, moto) = (tempfile::tempdir().unwrap(), Moto::start(&target()));
    let start = async |url: &str| {
        let file = Database::open(folder.path(), Clock::System).await.unwrap();
        let bucket = Bucket::new(url, keys()).unwrap();
        open(Store::file(file).with_bucket(bucket), folder.path()).await
    };
    let missing = start(&moto.url_of("nowhere", "components"))
        .await
        .unwrap_err();
    let is_person = matches!(
        &missing,
        RegistryError::Bucket(BucketError::Misconfigured { .. })
    );
    assert!(is_person, "{missing}");
    assert!(
        missing
            .to_string()
            .contains("there is no such bucket; make it"),
        "{missing}"
    );
    let url = moto.url("components");
    drop(moto);
    let waits = start(&url).await.unwrap();
    let report = &mut |_| {};
    let pushed = waits
        .push(&tenant("acme"), &module(), component(1), report)
        .await;
    let away = pushed.unwrap_err();
    assert!(
        matches!(
            &away,
            RegistryError::Bucket(BucketError::Unavailable { .. })
        ),
        "{away}"
    );
    assert!(away.to_string().contains("cannot be reached"), "{away}");
}
