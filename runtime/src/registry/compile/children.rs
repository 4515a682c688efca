//! Each limit of the compiler's child, reached by a real one: this test program again, which
//! limits and cages itself as `celeriac compile` does, and then does what a compiler would
//! that was exhausted or taken over by what it read.
//!
//! Without its limit the same attack succeeds, or comes to the wall that its test names.

use super::{AT_ONCE, CODE_BYTES, CompileError, Compiler, WALL, child};
use crate::confine;
use crate::defence::{Defence, named, without};
use crate::registry::tests::{component, component_of, component_that};
use bytes::Bytes;
use celeriac_sandbox::{Engine, EngineSettings, Pooling};
use rustix::process::{Gid, Resource, Rlimit, Uid, getrlimit, setrlimit};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What the child tries, what it does without, and where it has a file.
const ATTACK: &str = "CELERIAC_TEST_ATTACK";
const WITHOUT: &str = "CELERIAC_TEST_WITHOUT";
const PLACE: &str = "CELERIAC_TEST_PLACE";
/// Somebody who is not root, for whom limits on processes are.
const NOBODY: u32 = 65_532;
/// CPU time after which the children here are ended, seconds: nobody waits for 60.
const CPU_SECONDS: u64 = 1;
/// What a child says that did what it was told.
const DONE: &str = "done";
/// Numbers of errors: try again, no access, too many files.
const EAGAIN: i32 = 11;
const EACCES: i32 = 13;
const EMFILE: i32 = 24;
/// The walls that keep a compiler from what its other limits are for.
const WALLS: [Defence; 2] = [Defence::Calls, Defence::Landlock];
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// A compiler whose child does `attack` without some of its defences.
fn child_that(attack: &str, without: &[Defence], place: &Path) -> Compiler {
    let test = "registry::compile::children::does_what_it_is_told";
    // A compiler is the first thread; the memory of others is kept by rules of its own, for
    // which a file is read.
    let script = format!(
        "export MALLOC_ARENA_MAX=1 {ATTACK}='{attack}' {WITHOUT}='{without:?}' {PLACE}='{}'; \
        exec 3>&1 >/dev/null; exec \"$0\" --exact {test} --nocapture",
        place.display()
    );
    let program = std::env::current_exe().unwrap();
    Compiler::program(
        "/bin/sh",
        ["-c".into(), script.into(), program.into_os_string()],
    )
}

/// Returns what a child did: its own words, or those of the refusal.
async fn end_of(attack: &str, without: &[Defence]) -> String {
    end_with(component(&["run"], ""), attack, without).await
}

async fn end_with(component: Bytes, attack: &str, without: &[Defence]) -> String {
    let place = tempfile::tempdir().unwrap();
    let compiler = child_that(attack, without, place.path());
    match compiler.compile(component).await {
        Ok(words) => String::from_utf8(words).unwrap(),
        Err(CompileError::Refused { reason }) => reason,
        Err(other) => panic!("{attack}: {other:?}"),
    }
}

#[test]
fn does_what_it_is_told() {
    let Ok(attack) = std::env::var(ATTACK) else {
        return;
    };
    let mut output = File::create("/dev/fd/3").unwrap();
    let place = std::env::var_os(PLACE).unwrap();
    let mut file = File::create(Path::new(&place).join("file")).unwrap();
    let mut code = None;
    if attack == "run code" {
        let mut component = Vec::new();
        io::stdin().read_to_end(&mut component).unwrap();
        code = Some((engine(), celeriac_sandbox::compile(&component).unwrap()));
    }
    become_nobody();
    // The first look at the clock finds out how to look at it.
    let _first = cpu_seconds();
    let _away = without(&named(&std::env::var(WITHOUT).unwrap()));
    child::limit_this_process().unwrap();
    hasten();
    let _walls = confine::cage();
    let done = match attack.as_str() {
        "compile" => {
            let done = child::compile(io::stdin(), io::sink());
            done.map_err(|(_, words)| io::Error::other(words))
        }
        "compute" => compute(),
        "fill the memory" => fill_memory(),
        "write without end" => write_without_end(&mut output),
        "write much" => output.write_all(&vec![b'x'; MIB]),
        "wait" => loop {
            std::thread::park();
        },
        "open files" => open_files(),
        "write a large file" => write_far(&mut file),
        "start a thread" => start_thread(),
        "run code" => code.map_or(Ok(()), |(engine, code)| {
            let loaded = engine.load(&code).map(drop);
            loaded.map_err(io::Error::other)
        }),
        other => panic!("nobody knows how to {other}"),
    };
    let words = match done {
        Ok(()) => DONE.to_owned(),
        Err(error) => match error.raw_os_error() {
            Some(number) => number.to_string(),
            None => error.to_string(),
        },
    };
    output.write_all(words.as_bytes()).unwrap();
    std::process::exit(0);
}

fn engine() -> Engine {
    let settings = EngineSettings {
        pooling: Pooling::Never,
        ..EngineSettings::default()
    };
    Engine::new(&settings).unwrap()
}

/// Whoever is root becomes somebody else, in this thread.
fn become_nobody() {
    if !confine::is_root() {
        return;
    }
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    set_thread_groups(&[]).unwrap();
    set_thread_res_gid(group, group, group).unwrap();
    set_thread_res_uid(user, user, user).unwrap();
}

/// Brings the end of the CPU time nearer, where there is one.
fn hasten() {
    let set = getrlimit(Resource::Cpu);
    if set.current.is_some() {
        // The second stays behind the first.
        let nearer = Rlimit {
            current: Some(CPU_SECONDS),
            maximum: Some(CPU_SECONDS + 1),
        };
        setrlimit(Resource::Cpu, nearer).unwrap();
    }
}

/// Computes for longer than it may.
fn compute() -> io::Result<()> {
    let enough = i64::try_from(CPU_SECONDS).unwrap() + 2;
    let mut sum = 0_u64;
    while cpu_seconds() < enough {
        sum = black_box((0..100_000_u64).sum::<u64>().wrapping_add(sum));
    }
    Ok(())
}

fn cpu_seconds() -> i64 {
    rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).tv_sec
}

/// Takes more memory than it may, in pieces that any machine has room for.
fn fill_memory() -> io::Result<()> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for _ in 0..5 {
        all.push(black_box(Vec::with_capacity(GIB)));
    }
    drop(black_box(all));
    Ok(())
}

fn write_without_end(output: &mut File) -> io::Result<()> {
    let piece = vec![b'x'; MIB];
    loop {
        output.write_all(&piece)?;
    }
}

fn open_files() -> io::Result<()> {
    let mut files = Vec::new();
    for _ in 0..200 {
        files.push(File::open("/dev/null")?);
    }
    Ok(())
}

/// Writes one byte, so far into a file that it is too large; there is nothing before it.
fn write_far(file: &mut File) -> io::Result<()> {
    file.seek(SeekFrom::Start(CODE_BYTES))?;
    file.write_all(b"x")
}

fn start_thread() -> io::Result<()> {
    let thread = std::thread::Builder::new().spawn(|| ())?;
    drop(thread.join());
    Ok(())
}

#[tokio::test]
async fn a_real_child_that_computes_is_ended_by_its_cpu_limit() {
    let end = end_of("compute", &[]).await;
    assert!(end.contains("of CPU time"), "{end}");
}

#[tokio::test]
async fn a_component_within_all_bounds_that_takes_long_to_compile_is_refused() {
    // Each of them is a few bytes, and two more ways through one function.
    let branch = "(if (local.get 0) (then (local.set 1 (i32.add (local.get 1) (local.get 2)))))";
    let bomb = component_that(&branch.repeat(60_000), &["run"], "");
    celeriac_sandbox::inspect(&bomb).unwrap();
    let end = end_with(bomb, "compile", &[]).await;
    assert!(end.contains("of CPU time"), "{end}");
    assert_eq!(end_of("compile", &[]).await, DONE);
}

#[tokio::test]
async fn without_a_limit_on_cpu_time_a_compiler_computes_until_its_time_is_over() {
    let without = [Defence::CompilerCpu];
    assert_eq!(end_of("compute", &without).await, DONE);
    // The clock on the wall ends it then, whose hand is nearer here.
    let place = tempfile::tempdir().unwrap();
    let mut compiler = child_that("compute", &without, place.path());
    compiler.wall = Duration::from_millis(200);
    let end = compiler.compile(Bytes::new()).await;
    assert!(matches!(end, Err(CompileError::Slow { .. })), "{end:?}");
}

#[tokio::test]
async fn a_real_child_that_is_deaf_to_its_cpu_limit_is_killed() {
    let place = tempfile::tempdir().unwrap();
    let mut deaf = child_that("compute", &[], place.path());
    let script = deaf.arguments[1].to_str().unwrap();
    deaf.arguments[1] = format!("trap '' XCPU; {script}").into();
    let end = deaf.compile(Bytes::new()).await.unwrap_err();
    assert!(matches!(end, CompileError::Refused { .. }), "{end:?}");
    assert!(end.to_string().contains("SIGKILL"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn without_a_clock_on_the_wall_a_compiler_that_waits_waits_as_long_as_its_caller() {
    let place = tempfile::tempdir().unwrap();
    let mut compiler = child_that("wait", &[], place.path());
    // It uses no CPU time, so no other limit is ever reached.
    let end = compiler.compile(Bytes::new()).await;
    assert!(matches!(end, Err(CompileError::Slow { .. })), "{end:?}");
    compiler.wall = Duration::MAX;
    let patience = Duration::from_secs(24 * 60 * 60);
    let end = tokio::time::timeout(patience, compiler.compile(Bytes::new())).await;
    assert!(end.is_err(), "{end:?}");
}

#[tokio::test]
async fn a_real_child_that_takes_memory_is_ended_by_its_address_space() {
    let end = end_of("fill the memory", &[]).await;
    assert!(end.contains("4 GiB of memory"), "{end}");
}

#[tokio::test]
async fn without_a_limit_on_address_space_a_compiler_takes_what_the_machine_has() {
    let end = end_of("fill the memory", &[Defence::CompilerMemory]).await;
    assert_eq!(end, DONE);
}

#[tokio::test]
async fn without_a_largest_code_the_worker_takes_all_that_a_compiler_writes() {
    let place = tempfile::tempdir().unwrap();
    let mut endless = child_that("write without end", &[], place.path());
    endless.code_bytes = 3 * MIB as u64;
    let end = endless.compile(Bytes::new()).await;
    assert!(matches!(&end, Err(CompileError::Refused { reason }) if reason.contains("3145728")));
    let mut much = child_that("write much", &[], place.path());
    much.code_bytes = MIB as u64;
    let end = much.compile(Bytes::new()).await;
    assert!(matches!(end, Err(CompileError::Refused { .. })), "{end:?}");
    much.code_bytes = u64::MAX;
    let code = much.compile(Bytes::new()).await.unwrap();
    assert_eq!(code.len(), MIB + DONE.len());
}

#[tokio::test]
async fn a_file_of_a_real_child_has_a_largest_size_and_without_it_none() {
    let end = end_of("write a large file", &[]).await;
    assert!(end.contains("more than 268435456 bytes"), "{end}");
    let end = end_of("write a large file", &[Defence::CompilerFileSize]).await;
    assert_eq!(end, DONE);
}

#[tokio::test]
async fn a_real_child_opens_no_file_by_its_walls_and_without_them_only_a_few() {
    let open = async |without: &[Defence]| end_of("open files", without).await;
    let end = open(&[]).await;
    assert!(end.contains("no compilation needs"), "{end}");
    assert_eq!(open(&[Defence::Calls]).await, EACCES.to_string());
    assert_eq!(open(&WALLS).await, EMFILE.to_string());
    let all = [Defence::Calls, Defence::Landlock, Defence::CompilerFiles];
    assert_eq!(open(&all).await, DONE);
}

#[tokio::test]
async fn a_real_child_starts_no_thread_by_its_filter_and_without_it_by_its_limit() {
    let start = async |without: &[Defence]| end_of("start a thread", without).await;
    let end = start(&[]).await;
    assert!(end.contains("no compilation needs"), "{end}");
    assert_eq!(start(&[Defence::Calls]).await, EAGAIN.to_string());
    let both = [Defence::Calls, Defence::CompilerProcesses];
    assert_eq!(start(&both).await, DONE);
}

#[tokio::test]
async fn without_a_filter_on_memory_a_compiler_runs_what_it_made() {
    // Without data there is nothing to be done for it but to make its code one.
    let bare = component_of(
        r#"(module (memory (export "memory") 1)
            (func (export "celeriac:task/manifest@0.1.0#describe") (result i32) unreachable)
            (func (export "celeriac:task/handler@0.1.0#run")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))"#,
    );
    let run = async |without: &[Defence]| end_with(bare.clone(), "run code", without).await;
    let end = run(&[]).await;
    assert!(end.contains("no compilation needs"), "{end}");
    assert_eq!(run(&[Defence::Executable]).await, DONE);
    assert_eq!(run(&[Defence::Calls]).await, DONE);
}

#[tokio::test]
async fn without_turns_as_many_compilers_run_as_there_are_uploads() {
    let pair = async |turns: usize, wall: Duration| {
        let place = tempfile::tempdir().unwrap();
        // Each ends when there is another one.
        let script = format!(
            "cd '{}'; : >$$; while set -- *; [ $# -lt 2 ]; do :; done",
            place.path().display()
        );
        let mut compiler = Compiler::program("/bin/sh", ["-c", &script]);
        compiler.turn = Arc::new(Semaphore::new(turns));
        compiler.wall = wall;
        let compile = || compiler.compile(Bytes::new());
        tokio::join!(compile(), compile()).0
    };
    let alone = pair(AT_ONCE, Duration::from_millis(200)).await;
    assert!(matches!(alone, Err(CompileError::Slow { .. })), "{alone:?}");
    assert!(pair(2, WALL).await.is_ok());
}
