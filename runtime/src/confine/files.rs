//! What Landlock keeps: files, programs, TCP ports, and other processes.

use super::names;
use super::walls::{Wall, Walls};
use crate::defence::{Defence, stands};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, Compatible as _, LandlockStatus, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
    RulesetError, Scope,
};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The newest version of Landlock whose restrictions were thought through here. With a newer
/// kernel nothing more is taken away; with an older one, what it does not know.
const TESTED: ABI = ABI::V8;
/// The version that knows TCP ports (Linux 6.7).
const PORTS: ABI = ABI::V4;
/// The version that knows signals and abstract sockets (Linux 6.12).
const PROCESSES: ABI = ABI::V6;

/// What the libraries of a worker read: names of hosts and users, certificates, zones,
/// themselves, and what the kernel tells.
const SYSTEM: [&str; 19] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/proc",
    "/sys",
    // Where /etc/resolv.conf may point to.
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/connman",
    "/run/nscd",
    "/var/run/nscd",
    "/var/lib/sss",
    // Where /etc/ssl/certs may point to.
    "/var/lib/ca-certificates",
    "/var/lib/ssl",
    "/var/ssl",
];
/// Where libraries are: those that look names up load modules for it.
const LIBRARIES: [&str; 7] = [
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
];
/// Devices that keep nothing.
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];
/// Where the kernel lists the files of which this program consists.
const MAPS: &str = "/proc/self/maps";
/// Most bytes of that list that are read (1 MiB): some thousand mappings.
const MAPS_BYTES: u64 = 1 << 20;
/// Most files of the program that are let through (256): the loader and its libraries.
const PARTS: usize = 256;

/// What stays open for a worker, beside what its libraries read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Openings {
    /// Folders it reads and writes below; those that are missing stay closed.
    pub writes: BTreeSet<PathBuf>,
    /// Files and folders it reads, and reads below.
    pub reads: BTreeSet<PathBuf>,
    /// TCP ports it may listen at; 0 stands for any that the kernel gives out.
    pub listens: BTreeSet<u16>,
}

/// Takes every file, port and foreign process.
pub(super) fn cage(walls: &mut Walls) {
    if !stands(Defence::Landlock) {
        return;
    }
    let everything = || {
        rules(AccessNet::BindTcp | AccessNet::ConnectTcp)?
            .restrict_self()
            .map(|status| status.landlock)
    };
    note(everything(), walls);
}

/// Takes every file, program, port to listen at, and foreign process; without a network every
/// other port, too, and what names are looked up in.
pub(super) fn cell(network: bool, walls: &mut Walls) {
    let rest = || {
        if !network {
            return rules(AccessNet::BindTcp | AccessNet::ConnectTcp)?
                .restrict_self()
                .map(|status| status.landlock);
        }
        let mut rules = rules(AccessNet::BindTcp.into())?;
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        for path in LIBRARIES.iter().map(PathBuf::from).chain(names::places()) {
            rules = open(rules, &path, read)?;
        }
        rules.restrict_self().map(|status| status.landlock)
    };
    note(rest(), walls);
}

/// Takes every file, port and foreign process but what is open.
pub(super) fn wall(openings: &Openings, walls: &mut Walls) {
    if !stands(Defence::Landlock) {
        return;
    }
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = read | kept();
    let rest = || {
        let mut rules = rules(AccessNet::BindTcp.into())?;
        for path in SYSTEM.iter().map(Path::new) {
            rules = open(rules, path, read)?;
        }
        for path in names::linked() {
            rules = open(rules, &path, read)?;
        }
        for path in DEVICES.iter().map(Path::new) {
            rules = open(rules, path, AccessFs::ReadFile | AccessFs::WriteFile)?;
        }
        for path in parts() {
            rules = open(rules, &path, AccessFs::ReadFile | AccessFs::Execute)?;
        }
        for path in &openings.reads {
            rules = open(rules, path, read)?;
        }
        for path in &openings.writes {
            rules = open(rules, path, write)?;
        }
        for port in &openings.listens {
            rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
        }
        rules.restrict_self().map(|status| status.landlock)
    };
    note(rest(), walls);
}

/// Begins with nothing open.
fn rules(ports: BitFlags<AccessNet>) -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(landlock::CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(TESTED))?
        .handle_access(ports)?
        .scope(Scope::from_all(TESTED))?
        .create()
}

/// What is done with files in a folder of ours: no programs, no devices.
fn kept() -> BitFlags<AccessFs> {
    AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSock
        | AccessFs::Refer
}

/// Opens a path, if there is such a thing.
fn open(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(file) = PathFd::new(path) else {
        return Ok(rules);
    };
    let access = match path.is_dir() {
        true => access,
        false => access & AccessFs::from_file(TESTED),
    };
    rules.add_rule(PathBeneath::new(file, access))
}

/// Lists the files of which this program consists: itself, its loader, its libraries. They
/// are wherever a distribution puts them.
fn parts() -> BTreeSet<PathBuf> {
    let mut text = String::new();
    // Without the list the folders of the system have to do.
    let _unread =
        std::fs::File::open(MAPS).and_then(|file| file.take(MAPS_BYTES).read_to_string(&mut text));
    let mapped = text.lines().filter_map(mapped).map(PathBuf::from);
    // The link leads to the program even when its file was replaced.
    let own = PathBuf::from("/proc/self/exe");
    std::iter::once(own).chain(mapped).take(PARTS).collect()
}

/// Returns the file of a line of the list; code is mapped to be executed.
fn mapped(line: &str) -> Option<&str> {
    let path = line.get(line.find('/')?..)?;
    let mode = line.split_ascii_whitespace().nth(1)?;
    mode.contains('x').then_some(path)
}

/// Notes what the kernel did of it.
fn note(done: Result<LandlockStatus, RulesetError>, walls: &mut Walls) {
    let needs = |what: &str| format!("this kernel's Landlock does not know them; {what} does");
    let [files, ports, processes] = match done {
        Ok(LandlockStatus::Available { effective_abi, .. }) => [
            Ok(()),
            match effective_abi >= PORTS {
                true => Ok(()),
                false => Err(needs("Linux 6.7")),
            },
            match effective_abi >= PROCESSES {
                true => Ok(()),
                false => Err(needs("Linux 6.12")),
            },
        ],
        Ok(LandlockStatus::NotEnabled) => all("Landlock is off; add it to lsm= of the kernel"),
        Ok(LandlockStatus::NotImplemented) => all("this kernel has no Landlock"),
        Err(error) => all(&error.to_string()),
    };
    walls.put(Wall::Files, files);
    walls.put(Wall::Ports, ports);
    walls.put(Wall::Processes, processes);
}

fn all(reason: &str) -> [Result<(), String>; 3] {
    [(); 3].map(|()| Err(reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_program_are_its_mapped_code() {
        let line = "7f1c2a000000-7f1c2a1a0000 r-xp 00028000 fe:00 1234  /lib/x86 64/libc.so.6";
        assert_eq!(mapped(line), Some("/lib/x86 64/libc.so.6"));
        for line in [
            "7f1c2a000000-7f1c2a1a0000 r--p 00028000 fe:00 1234  /lib/libc.so.6",
            "7ffd5a1e0000-7ffd5a201000 rw-p 00000000 00:00 0  [stack]",
            "7f1c2a000000-7f1c2a1a0000 r-xp 00000000 00:00 0",
            "",
        ] {
            assert_eq!(mapped(line), None, "{line}");
        }
        assert!(parts().len() > 1, "{:?}", parts());
    }

    #[test]
    fn what_an_old_kernel_lacks_is_named() {
        let told = |status| {
            let mut walls = Walls::default();
            note(Ok(status), &mut walls);
            walls.to_string()
        };
        let available = |effective_abi| LandlockStatus::Available {
            effective_abi,
            kernel_abi: None,
        };
        assert_eq!(told(available(ABI::V6)), "files, ports, processes");
        assert!(told(available(ABI::V4)).starts_with("files, ports; missing: processes ("));
        assert!(told(available(ABI::V1)).starts_with("files; missing: ports ("));
        assert!(told(LandlockStatus::NotEnabled).contains("lsm="));
        assert!(told(LandlockStatus::NotImplemented).starts_with("none; missing: files ("));
    }
}
