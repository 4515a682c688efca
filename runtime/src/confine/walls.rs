//! Which walls stand, and why others do not.

use std::fmt;

/// One wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wall {
    /// Powers of root, and gaining any.
    Privileges,
    /// Memory is in no core dump.
    Dumps,
    /// Files and folders.
    Files,
    /// TCP ports.
    Ports,
    /// Signals and abstract sockets of other processes.
    Processes,
    /// System calls.
    Calls,
}

impl Wall {
    /// All of them, in the order they are named.
    pub const ALL: [Self; 6] = [
        Self::Privileges,
        Self::Dumps,
        Self::Files,
        Self::Ports,
        Self::Processes,
        Self::Calls,
    ];

    /// Returns its name for people, metrics and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Privileges => "privileges",
            Self::Dumps => "core-dumps",
            Self::Files => "files",
            Self::Ports => "ports",
            Self::Processes => "processes",
            Self::Calls => "system-calls",
        }
    }
}

/// Which walls were put up, and why others could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walls(Vec<(Wall, Result<(), String>)>);

impl Walls {
    /// Notes that a wall stands, or why it does not.
    pub(super) fn put(&mut self, wall: Wall, done: Result<(), String>) {
        self.0.push((wall, done));
    }

    /// Returns the walls that stand.
    pub fn standing(&self) -> impl Iterator<Item = Wall> {
        let stands = |(wall, done): &(Wall, Result<(), String>)| done.is_ok().then_some(*wall);
        self.0.iter().filter_map(stands)
    }

    /// Returns the walls that do not stand, and why.
    pub fn missing(&self) -> impl Iterator<Item = (Wall, &str)> {
        self.0
            .iter()
            .filter_map(|(wall, done)| Some((*wall, done.as_ref().err()?.as_str())))
    }
}

impl fmt::Display for Walls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing: Vec<_> = self.standing().map(Wall::name).collect();
        match standing.as_slice() {
            [] => f.write_str("none")?,
            names => f.write_str(&names.join(", "))?,
        }
        for (at, (wall, reason)) in self.missing().enumerate() {
            let begin = if at == 0 { "; missing: " } else { "; " };
            write!(f, "{begin}{} ({reason})", wall.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_are_told_in_one_line_and_missing_ones_with_their_reason() {
        let mut walls = Walls::default();
        assert_eq!(walls.to_string(), "none");
        walls.put(Wall::Privileges, Ok(()));
        walls.put(Wall::Calls, Ok(()));
        assert_eq!(walls.to_string(), "privileges, system-calls");
        walls.put(Wall::Files, Err("no Landlock".to_owned()));
        walls.put(Wall::Ports, Err("no Landlock either".to_owned()));
        assert_eq!(
            walls.to_string(),
            "privileges, system-calls; missing: files (no Landlock); ports (no Landlock either)"
        );
        assert_eq!(walls.standing().count(), 2);
        assert_eq!(walls.missing().next(), Some((Wall::Files, "no Landlock")));
    }
}
