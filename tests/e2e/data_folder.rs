//! Data folders that cannot be used: told plainly, with nothing damaged.

use crate::stage;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::file::File;
use support::{Letter, Stage, until};

/// Commands that open the data folder, each in its own way.
const COMMANDS: [&[&str]; 4] = [&["dev"], &["modules"], &["call", "a.b"], &["queues"]];

fn all_refused(stage: &Stage, data: &Path, words: &[&str]) {
    let data = data.display().to_string();
    for command in COMMANDS {
        stage
            .run(&[command, &["--data", &data]].concat())
            .refused(4, words);
    }
}

#[test]
fn a_file_where_a_folder_should_be_is_named() {
    let stage = stage();
    let file = stage.write("file", "x");
    all_refused(&stage, &file, &["file", "--data"]);
    all_refused(&stage, &file.join("below"), &["below", "--data"]);
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let stage = stage();
    std::fs::create_dir(stage.data()).expect("a folder");
    let content = "this is my diary, not a database. ".repeat(100);
    let file = stage.write(".celeriac/celeriac.db", &content);
    all_refused(&stage, &stage.data(), &["celeriac.db", "not a"]);
    assert_eq!(std::fs::read_to_string(file).expect("it is there"), content);
}

#[test]
fn a_database_of_somebody_else_is_left_alone() {
    let stage = stage();
    stage.json(&["modules"]);
    let mut file = File::open(&stage.data());
    file.run("PRAGMA application_id = 7");
    drop(file);
    all_refused(&stage, &stage.data(), &["celeriac.db"]);
    assert_eq!(File::open(&stage.data()).number("PRAGMA application_id"), 7);
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let stage = stage();
    stage.json(&["modules"]);
    let mut file = File::open(&stage.data());
    file.run("INSERT INTO migrations (number, name, applied_at) VALUES (9999, 'the future', 0)");
    drop(file);
    all_refused(&stage, &stage.data(), &["newer celeriac", "--data"]);
}

/// A small or read-only file system, unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(folder: PathBuf, options: &str) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&folder);
        let ran = support::stage::ran(mount);
        assert_eq!(
            ran.code, 0,
            "a tmpfs is needed to test full and read-only disks: run the tests as root\n{ran}"
        );
        Self(folder)
    }

    fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        mount
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.0);
        assert_eq!(support::stage::ran(mount).code, 0);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let mut unmount = Command::new("umount");
        unmount.arg("-l").arg(&self.0);
        // What stays mounted is reported by the test that cannot remove its folder.
        let _ran = support::stage::ran(unmount);
    }
}

#[test]
fn a_read_only_disk_is_told() {
    let stage = stage();
    let mount = Mount::new(stage.path("disk"), "size=8m");
    let data = mount.0.join("data");
    stage.json(&["modules", "--data", &data.display().to_string()]);
    mount.remount("ro");
    all_refused(&stage, &data, &["writable"]);
    all_refused(&stage, &mount.0.join("other"), &["writable"]);
}

#[test]
fn a_full_disk_is_told_and_what_was_stored_stays() {
    let stage = stage();
    let mount = Mount::new(stage.path("disk"), "size=4m");
    let data = mount.0.join("data").display().to_string();
    stage.json(&[
        "call",
        "text.echo",
        "--id",
        "first",
        "-Q",
        "later",
        "--data",
        &data,
    ]);
    let ballast = mount.0.join("ballast");
    let fill = std::fs::write(&ballast, vec![0; 8 << 20]);
    assert!(fill.is_err(), "the disk is not full");
    let args = format!("[\"{}\"]", "x".repeat(100_000));
    stage
        .run(&[
            "call",
            "text.echo",
            "-a",
            &args,
            "-Q",
            "later",
            "--data",
            &data,
        ])
        .refused(4, &["full", "free some space"]);
    let file = stage.component("text").display().to_string();
    stage
        .run(&["push", &file, "--name", "text", "--data", &data])
        .refused(4, &["space"]);
    std::fs::remove_file(ballast).expect("it is there");
    let queues = stage.json(&["queues", "later", "--data", &data]);
    assert_eq!(queues["queues"][0]["ready"], 1, "{queues}");
}

#[test]
fn a_worker_whose_disk_fills_up_waits_and_loses_nothing() {
    const TASKS: u64 = 40;
    let stage = stage().with("worker.concurrency", "1");
    let mount = Mount::new(stage.data(), "size=64m");
    stage.push("report");
    stage.push("text");
    let dev = stage.dev();
    // Results larger than the room that the file has left, after a task that holds them up.
    let args = format!("[\"{}\"]", "x".repeat(64 << 10));
    let mut letters = vec![Letter::new("report.nap", "nap", "[6000]")];
    letters.extend((1..TASKS).map(|n| Letter::new("text.echo", &format!("t-{n}"), &args)));
    stage.post(&letters);
    until("the nap", || {
        (dev.metric("celeriac_tasks_in_flight", &[]) > 0.5).then_some(())
    });
    let ballast = stage.data().join("ballast");
    let fill = std::fs::write(&ballast, vec![0; 64 << 20]);
    assert!(fill.is_err(), "the disk is not full");
    until("a warning", || dev.log().contains("full").then_some(()));
    std::fs::remove_file(&ballast).expect("it is there");
    let tally = stage.settled();
    assert_eq!(
        (tally.state("SUCCESS"), tally.dead),
        (TASKS, 0),
        "{tally:?}"
    );
    drop(dev);
    drop(mount);
}

#[test]
fn a_missing_folder_is_made_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = stage();
    let data = stage.path("a/b/c");
    stage.json(&["modules", "--data", &data.display().to_string()]);
    let mode = std::fs::metadata(&data)
        .expect("it was made")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}
