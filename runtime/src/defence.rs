//! The defences around the sandbox, each with a name.
//!
//! In the product all of them stand, and [`stands`] is a constant that costs nothing. Only
//! the unit tests of this crate can take one away, each in its own thread or in a child of
//! its own, to show what it is for: either its attack then succeeds, or another wall holds,
//! and the test says which. `sandbox/src/defence.rs` has those within the sandbox.

/// One defence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defence {
    /// The compiler's child has a limit on CPU time.
    CompilerCpu,
    /// The compiler's child has a limit on address space.
    CompilerMemory,
    /// The compiler's child has a limit on open files.
    CompilerFiles,
    /// The compiler's child has a limit on the size of a file.
    CompilerFileSize,
    /// The compiler's child has a limit on processes and threads.
    CompilerProcesses,
    /// A walled process has no powers of root that it does not need.
    Privileges,
    /// The memory of a walled process is not for other processes of its user.
    Dumps,
    /// Landlock keeps files, ports and other processes.
    Landlock,
    /// A filter keeps system calls.
    Calls,
    /// The filter of a compiler keeps memory from becoming code.
    Executable,
    /// Only code that carries our seal is loaded.
    Seal,
    /// A refusal of the compiler is remembered.
    Remembering,
    /// Kills are obeyed.
    Kill,
    /// A message is delivered so often and no more.
    Deliveries,
    /// A message that its task gives back counts as delivered.
    Returns,
    /// A message that nobody knows is handed on so often and no more.
    Forwarding,
    /// A broker takes no message beyond a size.
    Published,
    /// A worker reads no message beyond a size.
    Fetched,
    /// A body that is compressed, or multiplies itself, expands to a size and no more.
    Expansion,
    /// A body is nested so deep and no deeper.
    Depth,
    /// A body holds so many values and no more.
    Values,
    /// What is shown cannot command a terminal.
    Shown,
    /// A task and all its descendants send so many tasks and no more.
    Budget,
}

/// Tells whether a defence is in its place.
#[cfg(not(test))]
pub(crate) const fn stands(_: Defence) -> bool {
    true
}

#[cfg(test)]
pub(crate) use away::{named, stands, without};

/// Taking defences away, in tests.
#[cfg(test)]
mod away {
    use super::Defence;
    use std::cell::RefCell;

    thread_local! {
        static AWAY: RefCell<Vec<Defence>> = const { RefCell::new(Vec::new()) };
    }

    pub(crate) fn stands(defence: Defence) -> bool {
        AWAY.with_borrow(|away| !away.contains(&defence))
    }

    /// Puts the defences back when dropped.
    #[must_use]
    pub(crate) struct Away;

    impl Drop for Away {
        fn drop(&mut self) {
            AWAY.with_borrow_mut(Vec::clear);
        }
    }

    /// Takes defences away from what this thread does.
    pub(crate) fn without(defences: &[Defence]) -> Away {
        AWAY.with_borrow_mut(|away| away.extend_from_slice(defences));
        Away
    }

    /// Those that a child can be told to do without.
    const TOLD: [Defence; 10] = [
        Defence::CompilerCpu,
        Defence::CompilerMemory,
        Defence::CompilerFiles,
        Defence::CompilerFileSize,
        Defence::CompilerProcesses,
        Defence::Privileges,
        Defence::Dumps,
        Defence::Landlock,
        Defence::Calls,
        Defence::Executable,
    ];

    /// Reads what a child is told to do without, as `{:?}` writes it.
    pub(crate) fn named(list: &str) -> Vec<Defence> {
        let told = TOLD.into_iter();
        told.filter(|one| {
            let name = format!("{one:?}");
            list.split(|letter: char| !letter.is_alphabetic())
                .any(|word| word == name)
        })
        .collect()
    }

    #[test]
    fn a_child_reads_what_it_is_told_to_do_without() {
        let list = [Defence::Landlock, Defence::CompilerFiles];
        let read = named(&format!("{list:?}"));
        assert_eq!(read, [Defence::CompilerFiles, Defence::Landlock]);
        assert!(TOLD.into_iter().all(stands));
        let away = without(&read);
        assert!(!stands(Defence::Landlock) && stands(Defence::Calls));
        drop(away);
        assert!(TOLD.into_iter().all(stands));
    }
}
