//! A registry in a folder of its own, and components made by hand.

use crate::clock::Clock;
use crate::database::Database;
use crate::registry::compile::child;
use crate::registry::{Compiler, Pushed, Registry, RegistryError, Store};
use crate::task::{ModuleName, TenantName};
use bytes::Bytes;
use celeriac_sandbox::{Engine, EngineSettings, Pooling};
use jiff::Timestamp;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// Bytes of one `task-info` in memory, by the canonical ABI.
const INFO: usize = 200;
/// Where in it `at-most-once` is.
const AT_MOST_ONCE: usize = 176;
/// Where the list of `task-info` begins, and where its texts do.
const INFOS: usize = 1_024;
const TEXTS: usize = 16_384;
/// Where the result of every task is.
const RETURNED: u32 = 64;

/// One process on a data folder that several can share.
pub(crate) struct House {
    dir: Arc<TempDir>,
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    pub(crate) registry: Registry,
}

impl House {
    pub(crate) async fn open() -> Self {
        let clock = Clock::manual(Timestamp::from_second(1_700_000_000).unwrap());
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let compiler = compiler(dir.path(), "compile");
        Self::with(dir, clock, compiler).await
    }

    /// Opens an empty folder as the replica of a control plane, with so many bytes of room.
    pub(crate) async fn replica(room: u64) -> Self {
        let empty = Self::open().await;
        empty.as_replica(room).await
    }

    /// Opens the same folder as a replica, as another process would.
    pub(crate) async fn as_replica(&self, room: u64) -> Self {
        let compiler = compiler(self.path(), "compile");
        let (dir, clock) = (Arc::clone(&self.dir), self.clock.clone());
        Self::with_room(dir, clock, compiler, Some(room)).await
    }

    /// Opens the same folder as another process would: nothing in memory is shared.
    pub(crate) async fn beside(&self) -> Self {
        Self::with(
            Arc::clone(&self.dir),
            self.clock.clone(),
            compiler(self.path(), "compile"),
        )
        .await
    }

    /// Opens the same folder with a shell script for a compiler.
    pub(crate) async fn beside_with(&self, script: &str) -> Self {
        let compiler = Compiler::program("/bin/sh", ["-c", script]);
        Self::with(Arc::clone(&self.dir), self.clock.clone(), compiler).await
    }

    async fn with(dir: Arc<TempDir>, clock: Clock, compiler: Compiler) -> Self {
        Self::with_room(dir, clock, compiler, None).await
    }

    async fn with_room(
        dir: Arc<TempDir>,
        clock: Clock,
        compiler: Compiler,
        room: Option<u64>,
    ) -> Self {
        let database = Database::open(dir.path(), clock.clone()).await.unwrap();
        let settings = EngineSettings {
            pooling: Pooling::Never,
            ..EngineSettings::default()
        };
        let engine = Engine::new(&settings).unwrap();
        let store = Store::file(database.clone());
        let store = match room {
            Some(room) => store.as_replica(room),
            None => store,
        };
        let registry = Registry::open(store, dir.path(), engine, compiler)
            .await
            .unwrap();
        Self {
            dir,
            clock,
            database,
            registry,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) async fn push(
        &self,
        module: &str,
        component: &Bytes,
    ) -> Result<Pushed, RegistryError> {
        self.push_as("default", module, component).await
    }

    /// Pushes for another tenant.
    pub(crate) async fn push_as(
        &self,
        owner: &str,
        module: &str,
        component: &Bytes,
    ) -> Result<Pushed, RegistryError> {
        let push = &mut |_| {};
        self.registry
            .push(&tenant(owner), &name(module), component.clone(), push)
            .await
    }

    /// Pushes a component with one task, whose text makes it a new one.
    pub(crate) async fn push_text(&self, module: &str, text: &str) -> Pushed {
        self.push(module, &component(&["run"], text)).await.unwrap()
    }

    /// Counts how often a compiler was started.
    pub(crate) fn compilations(&self) -> usize {
        fs::read_to_string(self.path().join("compilations"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    /// Lists the files of a folder.
    pub(crate) fn files(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// The tenant of whatever belongs to nobody else.
pub(crate) fn us() -> TenantName {
    TenantName::default()
}

pub(crate) fn tenant(text: &str) -> TenantName {
    text.parse().unwrap()
}

pub(crate) fn name(text: &str) -> ModuleName {
    text.parse().unwrap()
}

/// Compiles in a child process that is this test program, see
/// [`acts_as_the_compiler_when_it_is_started_as_one`], and counts that.
fn compiler(dir: &Path, role: &str) -> Compiler {
    let count = dir.join("compilations");
    let test = "registry::tests::fixture::acts_as_the_compiler_when_it_is_started_as_one";
    let script = format!(
        "echo compile >> {}; export CELERIAC_COMPILES={role}; exec 3>&1 >/dev/null; exec \"$0\" --exact {test} --nocapture",
        count.display()
    );
    let program = std::env::current_exe().unwrap();
    Compiler::program(
        "/bin/sh",
        ["-c".into(), script.into(), program.into_os_string()],
    )
}

#[test]
fn acts_as_the_compiler_when_it_is_started_as_one() {
    let Some(role) = std::env::var_os("CELERIAC_COMPILES") else {
        return;
    };
    let mut output = File::create("/dev/fd/3").unwrap();
    let limited = child::limit_this_process().map_err(|error| (child::TROUBLE, error.to_string()));
    let done = limited.and_then(|()| {
        if role == "limits" {
            output
                .write_all(&fs::read("/proc/self/limits").unwrap())
                .unwrap();
            return Ok(());
        }
        child::compile(std::io::stdin(), output)
    });
    std::process::exit(match done {
        Ok(()) => 0,
        Err((code, words)) => {
            eprintln!("{words}");
            i32::from(code)
        }
    });
}

#[tokio::test]
async fn the_child_limits_itself() {
    let dir = tempfile::tempdir().unwrap();
    let text = compiler(dir.path(), "limits")
        .compile(Bytes::new())
        .await
        .unwrap();
    let text = String::from_utf8(text).unwrap();
    let limit = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        let mut words = line.split_whitespace();
        (
            words.next().unwrap().to_owned(),
            words.next().unwrap().to_owned(),
        )
    };
    let pair = |soft: &str, hard: &str| (soft.to_owned(), hard.to_owned());
    assert_eq!(limit("Max cpu time"), pair("60", "62"));
    assert_eq!(limit("Max address space"), pair("4294967296", "4294967296"));
    assert_eq!(limit("Max file size"), pair("268435456", "268435456"));
    assert_eq!(limit("Max core file size"), pair("0", "0"));
    assert_eq!(limit("Max open files"), pair("64", "64"));
    assert_eq!(limit("Max processes"), pair("0", "0"));
}

/// Makes a component that describes the given tasks, each of which returns 7; `text`
/// becomes their documentation. One that is called `once` runs at most once.
pub(crate) fn component(tasks: &[&str], text: &str) -> Bytes {
    component_that("nop", tasks, text)
}

/// Makes one whose tasks do something first, in WebAssembly text.
pub(crate) fn component_that(does: &str, tasks: &[&str], text: &str) -> Bytes {
    component_of(&core(does, tasks, text))
}

/// Makes one of a module in WebAssembly text.
pub(crate) fn component_of(core: &str) -> Bytes {
    let mut resolve = wit_parser::Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = resolve.push_dir(&wit).unwrap();
    let world = resolve.select_world(&[package], Some("task")).unwrap();
    let mut module = wat::parse_str(core).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default().module(&module).unwrap();
    encoder.encode().unwrap().into()
}

fn core(does: &str, tasks: &[&str], text: &str) -> String {
    let mut infos = Vec::new();
    let mut texts = Vec::new();
    for task in tasks {
        let mut info = Vec::new();
        for text in [task, text] {
            info.extend(u32::try_from(TEXTS + texts.len()).unwrap().to_le_bytes());
            info.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            texts.extend(text.bytes());
        }
        info.resize(INFO, 0);
        info[AT_MOST_ONCE] = u8::from(*task == "once");
        infos.extend(info);
    }
    assert!(INFOS + infos.len() <= TEXTS && TEXTS + texts.len() <= 65_536);
    let returned = [0, 0, RETURNED + 32, 16, RETURNED + 48, 1];
    let returned: Vec<u8> = returned
        .iter()
        .flat_map(|word: &u32| word.to_le_bytes())
        .collect();
    let mut list = u32::try_from(INFOS).unwrap().to_le_bytes().to_vec();
    list.extend(u32::try_from(tasks.len()).unwrap().to_le_bytes());
    format!(
        r#"(module
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (data (i32.const {RETURNED}) "{}") (data (i32.const {}) "application/json7")
            (data (i32.const 16) "{}") (data (i32.const {INFOS}) "{}") (data (i32.const {TEXTS}) "{}")
            (func (export "celeriac:task/manifest@0.1.0#describe") (result i32) i32.const 16)
            (func (export "celeriac:task/handler@0.1.0#run")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {does} i32.const {RETURNED})
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                global.get $free (global.set $free (i32.add (global.get $free) (local.get 3)))))"#,
        escape(&returned),
        RETURNED + 32,
        escape(&list),
        escape(&infos),
        escape(&texts)
    )
}

fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").unwrap();
        text
    })
}
