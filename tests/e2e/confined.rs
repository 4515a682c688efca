//! The walls around a worker and around its compiler, in the real program.

use crate::{stage, success};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use support::{Redis, Server, Stage, until};

/// Every wall that a kernel of today offers.
const WALLS: [&str; 6] = [
    "privileges",
    "core-dumps",
    "files",
    "ports",
    "processes",
    "system-calls",
];
/// A user that every Linux has, and its number.
const NOBODY: &str = "nobody";

/// Returns a line of what the kernel says of a process.
fn status(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.expect("the kernel tells").trim().to_owned()
}

fn words(stage: &Stage) -> serde_json::Value {
    stage.call("text.word_count", "[\"to be or not to be\"]")
}

fn all_stand(server: &Server) {
    assert_eq!(server.banner()["walls"], serde_json::json!(WALLS));
    assert_eq!(server.banner()["missing_walls"], serde_json::json!({}));
    for wall in WALLS {
        let stands = server.metric("celeriac_confinement", &[("wall", wall)]);
        assert!((stands - 1.0).abs() < f64::EPSILON, "{wall}: {stands}");
    }
}

#[test]
fn a_worker_stands_behind_its_walls_and_works() {
    let stage = stage().with("worker.confine", "require");
    let worker = stage.server(&["worker"]);
    all_stand(&worker);
    assert!(
        worker
            .log()
            .contains("walls around this worker: privileges"),
        "{}",
        worker.log()
    );
    // A filter of system calls on every thread.
    let threads = fs::read_dir(format!("/proc/{}/task", worker.pid())).expect("threads");
    for thread in threads {
        let path = thread.expect("a thread").path().join("status");
        // One that just ended has nothing to say.
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        assert!(text.contains("Seccomp:\t2\n"), "{text}");
        assert!(text.contains("NoNewPrivs:\t1\n"), "{text}");
    }
    // Of root's powers those over files and ports are left.
    let powers = status(worker.pid(), "CapEff:");
    let powers = u64::from_str_radix(&powers, 16).expect("a number of bits");
    assert_eq!(powers & !0x41f, 0, "{powers:x}");
    stage.push("text");
    assert_eq!(success(&words(&stage)), 6);
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn dev_stands_behind_the_same_walls() {
    let stage = stage().with("worker.confine", "require");
    let dev = stage.dev();
    all_stand(&dev);
    stage.push("text");
    assert_eq!(success(&words(&stage)), 6);
}

#[test]
fn a_worker_behind_walls_works_over_redis_and_files() {
    let redis = Redis::start();
    let stage = stage()
        .with("worker.confine", "require")
        .with("broker", &redis.url(0));
    let results = stage.path("results");
    fs::create_dir(&results).expect("a folder");
    let stage = stage.with("result_backend", &format!("file://{}", results.display()));
    stage.push("text");
    let worker = stage.server(&["worker"]);
    all_stand(&worker);
    assert_eq!(success(&words(&stage)), 6);
}

#[test]
fn a_worker_behind_walls_works_with_tables_in_a_file() {
    let redis = Redis::start();
    let stage = stage()
        .with("worker.confine", "require")
        .with("broker", &redis.url(0));
    let folder = stage.path("tables");
    fs::create_dir(&folder).expect("a folder");
    let url = format!("db+sqlite:///{}/results.db", folder.display());
    let stage = stage.with("result_backend", &url);
    stage.push("text");
    let _worker = stage.server(&["worker"]);
    assert_eq!(success(&words(&stage)), 6);
}

#[test]
fn without_walls_nothing_is_kept_and_that_is_said() {
    let stage = stage().with("worker.confine", "off");
    let worker = stage.server(&["worker"]);
    assert_eq!(worker.banner()["walls"], serde_json::json!([]));
    assert_eq!(status(worker.pid(), "Seccomp:"), "0");
    assert!(
        worker.log().contains("worker.confine is \"off\""),
        "{}",
        worker.log()
    );
}

/// Puts the component of the stage outside of the data folder, with a link in its place, and
/// takes its native code away, so that a worker must read outside.
fn component_outside(stage: &Stage) {
    let inside = only(&stage.data().join("components"));
    let outside = stage.path("outside.wasm");
    fs::rename(&inside, &outside).expect("a file of the test");
    std::os::unix::fs::symlink(&outside, &inside).expect("a link");
    fs::remove_file(only(&stage.data().join("artifacts"))).expect("a file");
}

fn only(folder: &Path) -> std::path::PathBuf {
    let mut files = fs::read_dir(folder).expect("a folder");
    files.next().expect("a file").expect("a file").path()
}

#[test]
fn a_worker_reads_nothing_outside_of_its_folders() {
    let stage = stage();
    stage.push("text");
    component_outside(&stage);
    let worker = stage.server(&["worker"]);
    let id = stage.send("text.word_count", &["-a", "[\"a b\"]"]);
    until("the denial is told", || {
        worker.log().contains("Permission denied").then_some(())
    });
    drop(worker);
    // The same worker without walls follows the link.
    let stage = stage.with("worker.confine", "off");
    let _worker = stage.server(&["worker"]);
    assert_eq!(success(&stage.ended(&id)), 2);
}

#[test]
fn after_an_upgrade_modules_are_compiled_again_while_their_tasks_wait() {
    let stage = stage();
    stage.push("text");
    stage.push("numbers");
    for entry in fs::read_dir(stage.data().join("artifacts")).expect("a folder") {
        let path = entry.expect("a file").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let (digest, _) = name.split_once('-').expect("DIGEST-ENGINE.cwasm");
        let foreign = path.with_file_name(format!("{digest}-0123456789abcdef.cwasm"));
        fs::rename(&path, foreign).expect("a file of the test");
    }
    // The task waits already when the worker starts.
    let id = stage.send("text.word_count", &["-a", "[\"a b\"]"]);
    let worker = stage.server(&["worker"]);
    assert_eq!(success(&stage.ended(&id)), 2);
    until("both are compiled", || {
        let log = worker.log();
        let told = ["compiling modules for this version", "(1 of 2)", "(2 of 2)"];
        told.iter().all(|words| log.contains(words)).then_some(())
    });
    let artifacts = fs::read_dir(stage.data().join("artifacts")).expect("a folder");
    assert_eq!(artifacts.count(), 4);
}

#[test]
fn root_is_warned_with_the_line_to_write() {
    let stage = stage();
    let worker = stage.server(&["worker"]);
    assert_eq!(
        status(worker.pid(), "Uid:").split_whitespace().next(),
        Some("0")
    );
    assert!(
        worker.log().contains("user = \"celeriac\""),
        "{}",
        worker.log()
    );
}

#[test]
fn a_worker_becomes_the_user_it_is_told_to() {
    let stage = stage()
        .with("worker.user", NOBODY)
        .with("worker.confine", "require");
    given_to_nobody(&stage);
    let worker = stage.server(&["worker"]);
    assert!(!worker.log().contains("runs as root"), "{}", worker.log());
    let owner = fs::metadata(stage.data().join("celeriac.db"))
        .expect("a file")
        .uid();
    assert_ne!(owner, 0);
    for ids in ["Uid:", "Gid:"] {
        let ids = status(worker.pid(), ids);
        let ids: Vec<_> = ids.split_whitespace().collect();
        assert_eq!(ids.len(), 4);
        assert!(!ids.contains(&"0"), "{ids:?}");
    }
    assert_eq!(status(worker.pid(), "CapEff:"), "0000000000000000");
    assert_eq!(status(worker.pid(), "CapPrm:"), "0000000000000000");
    // Root may look into the folder of anybody; what it writes there is root's.
    stage.push("text");
    chown(&stage.data());
    fs::remove_file(only(&stage.data().join("artifacts"))).expect("a file");
    drop(worker);
    let worker = stage.server(&["worker"]);
    assert_eq!(success(&words(&stage)), 6);
    drop(worker);
}

/// Makes the data folder, gives it to nobody, and lets nobody come that far.
fn given_to_nobody(stage: &Stage) {
    fs::set_permissions(stage.folder(), fs::Permissions::from_mode(0o755)).expect("a folder");
    fs::create_dir(stage.data()).expect("a folder");
    chown(&stage.data());
}

fn chown(folder: &Path) {
    let mut command = Command::new("chown");
    command.args(["-R", NOBODY]).arg(folder);
    let ran = support::stage::ran(command);
    assert_eq!(ran.code, 0, "run the tests as root\n{ran}");
}

#[test]
fn a_user_that_cannot_be_is_refused_with_what_to_do() {
    for (user, words) in [
        ("not-there", "/etc/passwd has no such user"),
        ("root", "which is root"),
        ("a b", "the name or the number of a user is wanted"),
    ] {
        let stage = stage().with("worker.user", user);
        stage.run(&["worker"]).refused(2, &[words]);
        assert!(!stage.data().exists(), "something was opened before");
    }
    // A folder that root made is of no use to anybody else.
    let stage = stage().with("worker.user", NOBODY);
    fs::create_dir(stage.data()).expect("a folder");
    stage.run(&["worker"]).refused(4, &["nobody", "chown -R"]);
}

#[test]
fn a_compiler_stands_in_its_cage() {
    let told = stage().run(&["compile", "--walls"]).good();
    assert_eq!(told.out.trim(), WALLS.join(", "));
    let mut compiler = stage()
        .command(&["compile"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let pid = compiler.id();
    until("the cage stands", || {
        (status(pid, "Seccomp:") == "2").then_some(())
    });
    assert_eq!(status(pid, "NoNewPrivs:"), "1");
    assert_eq!(status(pid, "Threads:"), "1");
    assert_eq!(status(pid, "CapEff:"), "0000000000000000");
    let mut input = compiler.stdin.take().expect("a pipe");
    input.write_all(b"no component").expect("it reads");
    drop(input);
    let status = compiler.wait().expect("it ends");
    assert_eq!((status.code(), status.signal()), (Some(3), None));
    let mut complaint = String::new();
    let mut errors = compiler.stderr.take().expect("a pipe");
    errors.read_to_string(&mut complaint).expect("words");
    assert!(!complaint.is_empty());
}
