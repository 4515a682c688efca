//! Walls around this process, by what the kernel offers: Landlock for files, ports and
//! signals, seccomp for system calls, privileges and core dumps.
//!
//! There are three sets: the [`cage`] of a compiler, which needs nothing but memory and its
//! pipes, the [`cell`] of guests apart from their worker, which may need the names of hosts
//! beside that, and the [`wall`] of a worker, which keeps what a worker needs. What a kernel
//! lacks is left out and named in [`Walls`]; whether that is good enough is for others to
//! say.

mod calls;
mod files;
mod names;
mod user;
mod walls;

pub use files::Openings;
pub use names::Names;
pub use user::{UserError, become_user, is_root};
pub use walls::{Wall, Walls};

use crate::defence::{Defence, stands};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
};

/// What a worker that runs as root may need of root's powers: files and folders that belong to
/// others, which it was told to use, and a port below 1024. Others may not have them at all.
const FILES_OF_OTHERS: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// Takes everything from the calling thread and the threads it starts but memory, time, and
/// the files that are open: no files, no network, no other process. What is tried all the
/// same ends the process by SIGSYS, where the kernel filters system calls.
#[must_use]
pub fn cage() -> Walls {
    let mut walls = Walls::default();
    privileges(CapabilitySet::empty(), &mut walls);
    dumps(&mut walls);
    files::cage(&mut walls);
    // The last: it allows none of the calls above.
    if stands(Defence::Calls) {
        walls.put(Wall::Calls, calls::cage());
    }
    walls
}

/// Takes from the calling thread and the threads it starts what a worker never needs: files
/// beyond `openings`, programs other than this one, ports to listen at, signals to others,
/// and system calls that only administrators and attackers make. What is tried all the same
/// is an error.
///
/// Call it before there are other threads.
#[must_use]
pub fn wall(openings: &Openings) -> Walls {
    let mut walls = Walls::default();
    privileges(FILES_OF_OTHERS, &mut walls);
    dumps(&mut walls);
    files::wall(openings, &mut walls);
    if stands(Defence::Calls) {
        walls.put(Wall::Calls, calls::wall());
    }
    walls
}

/// Takes from the calling thread and the threads it starts everything but memory, time, the
/// files that are open, and threads: no files, no programs, no other process. With a network
/// it connects to servers and reads what the names of hosts are looked up in. What is tried
/// all the same is an error. It ends with the thread that started it.
///
/// Call it before there are other threads.
#[must_use]
pub fn cell(network: bool) -> Walls {
    let mut walls = Walls::default();
    privileges(CapabilitySet::empty(), &mut walls);
    dumps(&mut walls);
    // Without it one that is taken over would outlive a worker that is killed. The filter
    // keeps it so.
    let bound = set_parent_process_death_signal(Some(Signal::KILL));
    files::cell(network, &mut walls);
    let calls = calls::cell(network);
    walls.put(
        Wall::Calls,
        calls.and(bound.map_err(|error| error.to_string())),
    );
    walls
}

/// Takes all powers of root but `keep`, and keeps whatever is started from here from gaining
/// any, by set-user-id bits or otherwise.
fn privileges(keep: CapabilitySet, walls: &mut Walls) {
    if !stands(Defence::Privileges) {
        return;
    }
    let lower = || {
        set_no_new_privs(true)?;
        let now = capabilities(None)?;
        let less = CapabilitySets {
            effective: now.effective & keep,
            permitted: now.permitted & keep,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, less)
    };
    let done = lower().map_err(|error: rustix::io::Errno| error.to_string());
    walls.put(Wall::Privileges, done);
}

/// The memory is in no core dump, and no process of the same user reads it.
fn dumps(walls: &mut Walls) {
    if !stands(Defence::Dumps) {
        return;
    }
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let set = setrlimit(Resource::Core, none)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    walls.put(Wall::Dumps, set.map_err(|error| error.to_string()));
}

#[cfg(test)]
mod tests;
