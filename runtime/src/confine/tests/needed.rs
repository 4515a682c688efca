//! Each wall is needed: without it, the same attempt succeeds or comes to another wall.
//!
//! These tests are root's: walls mean most to whoever may do anything.

use super::{EACCES, EPERM, NOBODY, SIGSYS};
use super::{attempt_without, place, second, told, told_without};
use crate::defence::Defence;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::Stdio;

const LANDLOCK: Defence = Defence::Landlock;
const CALLS: Defence = Defence::Calls;
const PRIVILEGES: Defence = Defence::Privileges;

/// Checks how attempts behind some walls end without others.
fn assert_ends(walls: &str, without: &[Defence], ends: &[(&str, &str)]) {
    let place = place();
    for (what, end) in ends {
        let told = told_without(&format!("{walls} {what}"), without, place.path());
        assert_eq!(told, *end, "{walls} without {without:?}: {what}");
    }
}

#[test]
fn without_the_filter_landlock_alone_keeps_files_ports_and_processes() {
    let (no_access, not_permitted) = (format!("error {EACCES}"), format!("error {EPERM}"));
    let denied = [
        "read",
        "read of the system",
        "list",
        "write",
        "connect",
        "listen",
        "run a program",
        "run itself",
    ];
    let denied = denied.map(|what| (what, no_access.as_str()));
    assert_ends("cage", &[CALLS], &denied);
    assert_ends(
        "cage",
        &[CALLS],
        &[
            ("signal a stranger", &not_permitted),
            ("signal itself", "done"),
            // Root's powers are gone, and that is all that is left against these.
            ("change its root", &not_permitted),
            // What nothing but the filter keeps.
            ("datagrams", "done"),
            ("start a thread", "done"),
            ("share less", "done"),
        ],
    );
}

#[test]
fn without_landlock_the_filter_alone_kills_a_compiler_that_asks_for_more() {
    let place = place();
    for what in [
        "read",
        "write",
        "connect",
        "listen",
        "run a program",
        "signal a stranger",
    ] {
        let output = attempt_without(&format!("cage {what}"), &[LANDLOCK], place.path());
        assert_eq!(output.status.signal(), Some(SIGSYS), "{what}: {output:?}");
    }
}

#[test]
fn without_both_a_compiler_reads_writes_and_sends_what_it_likes() {
    let done = [
        "read",
        "read of the system",
        "list",
        "write",
        "listen",
        "run a program",
        "run itself",
        "signal a stranger",
    ];
    assert_ends("cage", &[CALLS, LANDLOCK], &done.map(|what| (what, "done")));
    // Somebody may listen there, and would have been heard.
    assert_ends("cage", &[CALLS, LANDLOCK], &[("connect", "error 111")]);
}

#[test]
fn without_landlock_a_worker_reaches_files_programs_ports_and_processes_of_others() {
    let done = [
        "read",
        "list",
        "write",
        "write of the kernel",
        "run a program",
        "listen",
        "signal a stranger",
    ];
    assert_ends("wall", &[LANDLOCK], &done.map(|what| (what, "done")));
}

#[test]
fn without_the_filter_a_worker_makes_calls_it_never_needs() {
    let not_permitted = format!("error {EPERM}");
    assert_ends("wall", &[], &[("share less", &not_permitted)]);
    assert_ends("wall", &[CALLS], &[("share less", "done")]);
}

#[test]
fn without_the_filter_a_worker_lacks_the_powers_of_root_and_without_both_it_is_root() {
    let not_permitted = format!("error {EPERM}");
    let denied = [("change its root", not_permitted.as_str())];
    for without in [&[][..], &[CALLS], &[PRIVILEGES]] {
        assert_ends("wall", without, &denied);
    }
    let both = [CALLS, PRIVILEGES];
    assert_ends("wall", &both, &[("change its root", "done")]);
}

#[test]
fn without_its_powers_taken_a_worker_becomes_whoever_it_likes() {
    let not_permitted = format!("error {EPERM}");
    let what = "become somebody else";
    assert_ends("wall", &[], &[(what, &not_permitted)]);
    assert_ends("wall", &[PRIVILEGES], &[(what, "done")]);
}

#[test]
fn without_landlock_and_its_powers_taken_a_worker_looks_into_other_processes() {
    let no_access = format!("error {EACCES}");
    let denied = [("look into its parent", no_access.as_str())];
    for without in [&[][..], &[LANDLOCK]] {
        assert_ends("wall", without, &denied);
    }
    // Landlock alone denies it to whoever has no powers, and on some kernels to root.
    let both = [LANDLOCK, PRIVILEGES];
    assert_ends("wall", &both, &[("look into its parent", "done")]);
}

#[test]
fn without_landlock_a_worker_looks_into_other_processes_of_its_user() {
    let look = |without: &[Defence]| looks(("no", &[]), ("wall", without));
    assert_eq!(look(&[]), format!("error {EACCES}"));
    assert_eq!(look(&[LANDLOCK]), "done");
}

#[test]
fn without_a_user_of_its_own_a_worker_reads_what_only_root_may_read() {
    let place = place();
    let key = place.path().join("certificates/key.pem");
    fs::write(&key, "x").unwrap();
    for (path, mode) in [(place.path(), 0o755), (key.as_path(), 0o600)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    assert_eq!(told("user read a certificate", place.path()), "done");
    let denied = format!("error {EACCES}");
    assert_eq!(told("user read a key", place.path()), denied);
    // All walls stand, and the folder is one that it was told to read.
    assert_eq!(told("wall read a key", place.path()), "done");
}

/// Has a process look into another of the same user, each behind walls but some.
fn looks(into: (&str, &[Defence]), looks: (&str, &[Defence])) -> String {
    let place = place();
    let place = place.path();
    fs::set_permissions(place, Permissions::from_mode(0o755)).unwrap();
    let program = |(walls, without): (&str, &[Defence]), what: &str| {
        let mut program = second(&format!("{walls} {what}"), without, place);
        program.uid(NOBODY).gid(NOBODY);
        program
    };
    let mut other = program(into, "be looked into")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    fs::write(place.join("data/other"), other.id().to_string()).unwrap();
    let looked = program(looks, "look into another").output().unwrap();
    drop(other.stdin.take());
    assert!(lines.any(|line| line.unwrap() == "told: done"));
    assert!(other.wait().unwrap().success());
    let text = String::from_utf8_lossy(&looked.stdout).into_owned();
    let told = text.lines().find_map(|line| line.strip_prefix("told: "));
    told.unwrap_or_else(|| panic!("{looked:?}")).to_owned()
}

#[test]
fn without_a_closed_memory_processes_of_the_same_user_look_into_a_worker() {
    let look = |without: &[Defence]| looks(("wall", without), ("no", &[]));
    assert_eq!(look(&[]), format!("error {EACCES}"));
    assert_eq!(look(&[Defence::Dumps]), "done");
}
