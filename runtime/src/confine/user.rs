//! Becoming another user, once and for all.

use rustix::process::{Gid, Uid, getgid, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::io::{self, Read as _};

/// Where users are listed, and where groups are.
const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";
/// Most bytes of either that are read (1 MiB): some ten thousand lines.
const LIST_BYTES: u64 = 1 << 20;
/// Most groups of a user beside its own (64), the fewest that any kernel ever took.
const MEMBERSHIPS: usize = 64;

/// Why a process cannot be another user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// There is no such user.
    #[error(
        "worker.user is {name:?}, but /etc/passwd has no such user; write a name of it, or the number of a user"
    )]
    Unknown {
        /// What was written.
        name: String,
    },
    /// The most powerful user is nothing to become.
    #[error(
        "worker.user is {name:?}, which is root; write a user with fewer rights, or leave it out"
    )]
    Root {
        /// What was written.
        name: String,
    },
    /// Only root may become somebody else.
    #[error(
        "worker.user is {name:?}, but the process runs as user {runs_as}, who cannot become another; start it as root, or leave worker.user out"
    )]
    NotRoot {
        /// What was written.
        name: String,
        /// The user of the process.
        runs_as: u32,
    },
    /// The kernel refuses, as in a container without the capabilities for it.
    #[error(
        "the process cannot become user {name:?}: {source}; it needs the capabilities CAP_SETUID and CAP_SETGID, or start it as that user and leave worker.user out"
    )]
    Refused {
        /// What was written.
        name: String,
        /// The kernel's words.
        #[source]
        source: io::Error,
    },
}

/// Tells whether this process is the most powerful user.
#[must_use]
pub fn is_root() -> bool {
    getuid().is_root() || rustix::process::geteuid().is_root()
}

/// Makes this process the user of that name or number, with the user's groups and no way
/// back. Nothing is done when it is that user already.
///
/// Call it before there are other threads: they would stay who they are.
///
/// # Errors
/// [`UserError`].
pub fn become_user(name: &str) -> Result<(), UserError> {
    let user = User::named(name, &list(USERS), &list(GROUPS))?;
    if user.id == 0 {
        return Err(UserError::Root { name: name.into() });
    }
    if !is_root() {
        let runs_as = getuid().as_raw();
        return match runs_as == user.id {
            true => Ok(()),
            false => Err(UserError::NotRoot {
                name: name.into(),
                runs_as,
            }),
        };
    }
    user.take().map_err(|source| UserError::Refused {
        name: name.into(),
        source,
    })
}

/// A user as the system lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    id: u32,
    group: u32,
    groups: Vec<u32>,
}

impl User {
    /// Finds a user by name or number. A number that is not listed is a user whose group has
    /// the same number, as containers have them.
    fn named(name: &str, users: &str, groups: &str) -> Result<Self, UserError> {
        let number = name.parse::<u32>().ok();
        let listed = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (known, _, id, group) = (
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
            );
            let (id, group) = (id.parse().ok()?, group.parse().ok()?);
            (known == name || number == Some(id)).then_some((known, id, group))
        });
        match (listed, number) {
            (Some((known, id, group)), _) => Ok(Self {
                id,
                group,
                groups: memberships(known, groups),
            }),
            (None, Some(id)) => Ok(Self {
                id,
                group: id,
                groups: Vec::new(),
            }),
            (None, None) => Err(UserError::Unknown { name: name.into() }),
        }
    }

    /// Becomes this user: groups first, for afterwards there is no right to change them.
    fn take(&self) -> io::Result<()> {
        if threads().is_some_and(|threads| threads > 1) {
            return Err(io::Error::other("it has other threads already"));
        }
        let (id, group) = (Uid::from_raw(self.id), Gid::from_raw(self.group));
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|group| Gid::from_raw(*group))
            .collect();
        set_thread_groups(&groups)?;
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(id, id, id)?;
        // What cannot be true any more is not believed but tried.
        let back = set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT);
        if back.is_ok() || getuid() != id || getgid() != group {
            return Err(io::Error::other("it can go back"));
        }
        Ok(())
    }
}

/// Lists the groups of which a user is a member.
fn memberships(name: &str, groups: &str) -> Vec<u32> {
    let of = |line: &str| {
        let mut fields = line.split(':');
        let (_, _, id, members) = (
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
        );
        let is_member = members.split(',').any(|member| member.trim() == name);
        id.parse().ok().filter(|_| is_member)
    };
    groups.lines().filter_map(of).take(MEMBERSHIPS).collect()
}

/// Reads a list of the system; one that cannot be read lists nobody.
fn list(path: &str) -> String {
    let mut bytes = Vec::new();
    let _unread =
        std::fs::File::open(path).and_then(|file| file.take(LIST_BYTES).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Counts the threads of this process, where the kernel tells.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        broken line\n\
        celeriac:x:990:989:Celeriac:/var/lib/celeriac:/usr/sbin/nologin\n";
    const GROUP: &str = "root:x:0:\nredis:x:120:other,celeriac\nwheel:x:10:celeriac2\n\
        certs:x:130: celeriac \n";

    #[test]
    fn a_user_is_found_by_name_or_number_with_its_groups() {
        let listed = User {
            id: 990,
            group: 989,
            groups: vec![120, 130],
        };
        for name in ["celeriac", "990"] {
            assert_eq!(User::named(name, PASSWD, GROUP).unwrap(), listed);
        }
        let unlisted = User::named("65532", PASSWD, GROUP).unwrap();
        assert_eq!((unlisted.id, unlisted.group), (65532, 65532));
        assert!(unlisted.groups.is_empty());
    }

    #[test]
    fn a_user_that_is_not_there_or_is_root_is_refused_with_the_key() {
        for name in ["nobody-here", "", "-1", "broken line"] {
            let error = User::named(name, PASSWD, GROUP).unwrap_err();
            assert!(error.to_string().starts_with("worker.user is "), "{error}");
        }
        for name in ["root", "0"] {
            let error = become_user(name).unwrap_err();
            assert!(matches!(error, UserError::Root { .. }), "{error}");
        }
    }

    #[test]
    fn groups_are_bounded() {
        let many: String = (0..MEMBERSHIPS + 10)
            .map(|n| format!("g{n}:x:{n}:celeriac\n"))
            .collect();
        let user = User::named("celeriac", PASSWD, &many).unwrap();
        assert_eq!(user.groups.len(), MEMBERSHIPS);
    }

    #[test]
    fn a_process_with_other_threads_stays_who_it_is() {
        // The harness of the tests has threads.
        let user = User::named("65532", PASSWD, GROUP).unwrap();
        let wait = std::thread::spawn(std::thread::park);
        assert!(user.take().is_err());
        wait.thread().unpark();
        wait.join().unwrap();
    }
}
