//! Each wall, proven by running into it: a test starts this test program again, which puts
//! up walls in the thread of that one test and tries one thing.

mod needed;

use super::{Openings, Wall, Walls, cage, cell, files, wall};
use crate::defence::{Defence, named, without};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Names what the second program tries, and where.
const TRY: &str = "CELERIAC_TEST_TRY";
const PLACE: &str = "CELERIAC_TEST_PLACE";
/// Names the walls that it does without.
const WITHOUT: &str = "CELERIAC_TEST_WITHOUT";
/// Somebody who is not root.
const NOBODY: u32 = 65_532;
/// Signal of a system call that is not allowed.
const SIGSYS: i32 = 31;
/// Signal of a process that ends itself.
const SIGABRT: i32 = 6;
/// Numbers of errors: not permitted, no access, no such call.
const EPERM: i32 = 1;
const EACCES: i32 = 13;

/// Runs the attempt in a process of its own.
fn attempt(what: &str, place: &Path) -> Output {
    attempt_without(what, &[], place)
}

/// Runs it without some of the walls.
fn attempt_without(what: &str, without: &[Defence], place: &Path) -> Output {
    second(what, without, place).output().unwrap()
}

/// The second program.
fn second(what: &str, without: &[Defence], place: &Path) -> Command {
    // By this path somebody else may start it, too, wherever it is.
    let mut second = Command::new("/proc/self/exe");
    second
        .args([
            "--exact",
            "confine::tests::tries_what_it_is_told",
            "--nocapture",
        ])
        .env(TRY, what)
        .env(WITHOUT, format!("{without:?}"))
        .env(PLACE, place)
        // A backtrace would read files.
        .env_remove("RUST_BACKTRACE");
    second
}

/// Returns what the attempt said of itself.
fn told(what: &str, place: &Path) -> String {
    told_without(what, &[], place)
}

fn told_without(what: &str, without: &[Defence], place: &Path) -> String {
    let output = attempt_without(what, without, place);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = text.lines().find_map(|line| line.strip_prefix("told: "));
    told.unwrap_or_else(|| panic!("{what}: {output:?}"))
        .to_owned()
}

/// What a denied thing looks like.
fn number<T>(done: io::Result<T>) -> String {
    match done {
        Ok(_) => "done".to_owned(),
        Err(error) => format!("error {}", error.raw_os_error().unwrap_or_default()),
    }
}

#[test]
fn tries_what_it_is_told() {
    let Ok(what) = std::env::var(TRY) else {
        return;
    };
    let place = PathBuf::from(std::env::var_os(PLACE).unwrap());
    let port = port(&place);
    let (walls, what) = what.split_once(' ').unwrap();
    let _away = without(&named(&std::env::var(WITHOUT).unwrap()));
    if walls == "user" {
        become_nobody();
    }
    let made = match walls {
        "no" => Walls::default(),
        "cage" => cage(),
        "cell" => cell(false),
        "networked" => cell(true),
        "files" => {
            let mut walls = Walls::default();
            files::cage(&mut walls);
            walls
        }
        _ => wall(&Openings {
            writes: [place.join("data")].into(),
            reads: [place.join("certificates")].into(),
            listens: [port].into(),
        }),
    };
    let told = match what {
        "walls" => made.to_string(),
        other => done(other, &place, port),
    };
    println!("\ntold: {told}");
}

/// Does for this thread what a worker does for itself before it has others.
fn become_nobody() {
    use rustix::process::{Gid, Uid};
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    set_thread_groups(&[]).unwrap();
    set_thread_res_gid(group, group, group).unwrap();
    set_thread_res_uid(user, user, user).unwrap();
}

/// The port that was opened: a number in the file `port`, else none.
fn port(place: &Path) -> u16 {
    let text = fs::read_to_string(place.join("port")).unwrap_or_default();
    text.trim().parse().unwrap_or(1)
}

fn look_up() -> String {
    match ("localhost", 0).to_socket_addrs() {
        Ok(found) => format!("found {}", found.count() > 0),
        Err(_) => "nobody answers".to_owned(),
    }
}

fn done(what: &str, place: &Path, port: u16) -> String {
    match what {
        "read" => number(fs::read(place.join("secret"))),
        "read a certificate" => number(fs::read(place.join("certificates/ca.pem"))),
        "read a key" => number(fs::read(place.join("certificates/key.pem"))),
        "read of hosts" => number(fs::read("/etc/hosts")),
        "read of itself" => number(fs::read("/proc/self/environ")),
        "read a program" => number(fs::read("/usr/bin/env")),
        "look a name up" => look_up(),
        "ask a service" => number(UnixDatagram::unbound()),
        "limit its parent" => number(limit_parent()),
        "outlive its parent" => {
            number(rustix::process::set_parent_process_death_signal(None).map_err(io::Error::from))
        }
        "list" => number(fs::read_dir(place)),
        "read of the system" => number(fs::read("/etc/passwd")),
        "write" => number(fs::write(place.join("new"), "x")),
        "write data" => number(data(&place.join("data"))),
        "write of the kernel" => number(fs::write("/proc/self/oom_score_adj", "0")),
        "leave data" => number(fs::rename(place.join("data/own"), place.join("gone"))),
        "connect" => number(TcpStream::connect("127.0.0.1:1")),
        "listen" => number(TcpListener::bind("127.0.0.1:0")),
        "listen there" => number(TcpListener::bind(("127.0.0.1", port))),
        "datagrams" => number(UdpSocket::bind("127.0.0.1:0")),
        "run a program" => number(Command::new("/bin/true").status()),
        "run itself" => number(Command::new("/proc/self/exe").arg("--list").output()),
        "signal a stranger" => number(
            rustix::process::test_kill_process(rustix::process::Pid::INIT).map_err(io::Error::from),
        ),
        "signal itself" => number(
            rustix::process::test_kill_process(rustix::process::getpid()).map_err(io::Error::from),
        ),
        "start a thread" => number(
            std::thread::Builder::new()
                .spawn(|| ())
                .map(std::thread::JoinHandle::join),
        ),
        "change its root" => number(std::os::unix::fs::chroot("/")),
        "look into its parent" => {
            let parent = std::os::unix::process::parent_id();
            number(fs::read(format!("/proc/{parent}/environ")))
        }
        "become somebody else" => {
            use rustix::process::Uid;
            let user = Uid::from_raw(NOBODY);
            let done = rustix::thread::set_thread_res_uid(user, user, user);
            number(done.map_err(io::Error::from))
        }
        "look into another" => {
            let other = fs::read_to_string(place.join("data/other")).unwrap();
            number(fs::read(format!("/proc/{other}/environ")))
        }
        "be looked into" => {
            println!("\nready");
            io::stdout().flush().unwrap();
            number(io::stdin().read_to_end(&mut Vec::new()))
        }
        "share less" => number(share_less()),
        "panic" => {
            let caught = std::panic::catch_unwind(|| panic!("as a compiler may"));
            format!("caught {}", caught.is_err())
        }
        "abort" => std::process::abort(),
        "compute" => {
            let numbers: Vec<u64> = (0..100_000).collect();
            let sum: u64 = numbers.iter().sum();
            format!("sum {sum}")
        }
        other => panic!("nobody knows how to {other}"),
    }
}

/// Sets a limit of another process of the same user to what it is.
fn limit_parent() -> io::Result<()> {
    use rustix::process::{Resource, getppid, getrlimit, prlimit};
    let same = getrlimit(Resource::Nofile);
    prlimit(getppid(), Resource::Nofile, same)?;
    Ok(())
}

fn data(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder.join("below"))?;
    fs::write(folder.join("aside"), "x")?;
    fs::rename(folder.join("aside"), folder.join("below/there"))?;
    fs::read(folder.join("below/there"))?;
    fs::remove_file(folder.join("below/there"))
}

/// Makes a call that anybody may make and no worker does.
#[expect(deprecated, reason = "what replaces it is unsafe for open files only")]
fn share_less() -> io::Result<()> {
    use rustix::thread::{UnshareFlags, unshare};
    Ok(unshare(UnshareFlags::FS)?)
}

/// A folder with something of everything.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for folder in ["data", "certificates"] {
        fs::create_dir(place.path().join(folder)).unwrap();
    }
    for file in ["secret", "data/own", "certificates/ca.pem"] {
        fs::write(place.path().join(file), "x").unwrap();
    }
    place
}

#[test]
fn this_kernel_has_every_wall() {
    let place = place();
    let all: Vec<_> = Wall::ALL.iter().map(|wall| wall.name()).collect();
    for walls in ["cage walls", "wall walls", "cell walls", "networked walls"] {
        assert_eq!(told(walls, place.path()), all.join(", "));
    }
}

#[test]
fn whatever_a_caged_process_asks_of_the_system_kills_it() {
    let place = place();
    for what in [
        "read",
        "list",
        "read of the system",
        "write",
        "connect",
        "listen",
        "datagrams",
        "run a program",
        "run itself",
        "start a thread",
        "signal a stranger",
        "change its root",
        "look into its parent",
        "share less",
    ] {
        let output = attempt(&format!("cage {what}"), place.path());
        assert_eq!(output.status.signal(), Some(SIGSYS), "{what}: {output:?}");
        let control = match what {
            // Nobody listens there.
            "connect" => "error 111",
            _ => "done",
        };
        let told = told(&format!("no {what}"), place.path());
        assert_eq!(told, control, "{what}");
    }
}

#[test]
fn a_caged_process_computes_and_may_end_badly_by_itself() {
    let place = place();
    assert_eq!(told("cage compute", place.path()), "sum 4999950000");
    assert_eq!(told("cage panic", place.path()), "caught true");
    let output = attempt("cage abort", place.path());
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
}

#[test]
fn a_worker_keeps_its_own_files_and_loses_those_of_others() {
    let place = place();
    let told = |what: &str| told(what, place.path());
    for what in [
        "wall write data",
        "wall read a certificate",
        "wall read of the system",
    ] {
        assert_eq!(told(what), "done", "{what}");
    }
    for what in [
        "wall read",
        "wall list",
        "wall write",
        "wall write of the kernel",
    ] {
        assert_eq!(told(what), format!("error {EACCES}"), "{what}");
    }
    // A file that leaves its folder would have fewer walls around it.
    assert_ne!(told("wall leave data"), "done");
    assert!(place.path().join("data/own").exists());
}

#[test]
fn a_worker_starts_no_program_but_its_own() {
    let place = place();
    assert_eq!(told("wall run itself", place.path()), "done");
    assert_eq!(told("wall start a thread", place.path()), "done");
    let error = format!("error {EACCES}");
    assert_eq!(told("wall run a program", place.path()), error);
}

#[test]
fn a_worker_listens_where_it_was_told_and_connects_anywhere() {
    let place = place();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    fs::write(place.path().join("port"), free.to_string()).unwrap();
    assert_eq!(told("wall listen there", place.path()), "done");
    let error = format!("error {EACCES}");
    assert_eq!(told("wall listen", place.path()), error);
    // Nobody listens there; that is the server's word, not the wall's.
    assert_eq!(told("wall connect", place.path()), "error 111");
    assert_eq!(told("wall datagrams", place.path()), "done");
}

#[test]
fn a_worker_touches_no_other_process_and_makes_no_call_of_administrators() {
    let place = place();
    for (what, is) in [
        ("signal a stranger", EPERM),
        ("look into its parent", EACCES),
        ("change its root", EPERM),
        ("share less", EPERM),
    ] {
        let error = format!("error {is}");
        assert_eq!(told(&format!("wall {what}"), place.path()), error, "{what}");
        assert_eq!(
            told(&format!("no {what}"), place.path()),
            "done",
            "{what}: as root"
        );
    }
}

/// What nobody in a process of guests can do, whether it has a network or not.
#[test]
fn guests_apart_have_no_files_no_programs_and_no_other_process() {
    let place = place();
    for (what, is) in [
        ("read", EACCES),
        ("list", EACCES),
        ("write", EACCES),
        ("read of the system", EACCES),
        ("read of itself", EACCES),
        ("read a program", EACCES),
        ("look into its parent", EACCES),
        ("run a program", EPERM),
        // It has no /dev/null to give to it.
        ("run itself", EACCES),
        ("signal a stranger", EPERM),
        ("limit its parent", EPERM),
        ("outlive its parent", EPERM),
        ("ask a service", EPERM),
        ("change its root", EPERM),
        ("share less", EPERM),
    ] {
        let error = format!("error {is}");
        for walls in ["cell", "networked"] {
            let told = told(&format!("{walls} {what}"), place.path());
            assert_eq!(told, error, "{walls} {what}");
        }
        let without = told(&format!("no {what}"), place.path());
        assert_eq!(without, "done", "{what}: as root");
    }
    for walls in ["cell", "networked"] {
        for (what, is) in [("start a thread", "done"), ("compute", "sum 4999950000")] {
            assert_eq!(told(&format!("{walls} {what}"), place.path()), is);
        }
        let output = attempt(&format!("{walls} abort"), place.path());
        assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    }
}

#[test]
fn guests_apart_have_a_network_only_where_they_are_to_have_one() {
    let place = place();
    let denied = format!("error {EPERM}");
    for (what, with) in [
        // Nobody listens there; that is the server's word, not the wall's.
        ("connect", "error 111"),
        ("datagrams", "done"),
        ("look a name up", "found true"),
    ] {
        assert_eq!(told(&format!("networked {what}"), place.path()), with);
    }
    for what in ["connect", "datagrams", "listen"] {
        assert_eq!(
            told(&format!("cell {what}"), place.path()),
            denied,
            "{what}"
        );
    }
    assert_eq!(told("cell look a name up", place.path()), "nobody answers");
    assert_eq!(told("networked read of hosts", place.path()), "done");
    let closed = format!("error {EACCES}");
    assert_eq!(told("cell read of hosts", place.path()), closed);
    // It serves nobody.
    assert_eq!(told("networked listen", place.path()), closed);
}
