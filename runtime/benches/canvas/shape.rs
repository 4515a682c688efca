//! The canvases, as `bench_canvas.py` sends them, what comes of them, and who works
//! them off.

use std::fmt;

/// One kind of canvas: a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each task adds one to the result of the task before it.
    Chain,
    /// Each task doubles a number of its own.
    Group,
    /// The same, and a body that adds up what they returned.
    Chord,
}

impl Shape {
    /// All of them, in the order of their rows.
    pub(crate) const ALL: [Self; 3] = [Self::Chain, Self::Group, Self::Chord];

    /// Returns how many tasks a small one and a large one have, the body of a chord
    /// not counted. A message of a chain holds all the links that follow, so the
    /// bytes of a chain grow with the square of its length: it is the shorter one.
    pub(crate) const fn sizes(self) -> [u32; 2] {
        let [small, large] = match self {
            Self::Chain => [100, 1_000],
            Self::Group | Self::Chord => [1_000, 10_000],
        };
        if cfg!(debug_assertions) {
            [small / 10, large / 10]
        } else {
            [small, large]
        }
    }

    /// Returns what the script calls it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Group => "group",
            Self::Chord => "chord",
        }
    }

    /// Returns the results that one of this size has, in the order of its ids.
    pub(crate) fn results(self, size: u32) -> Vec<u64> {
        let numbers = 0..u64::from(size);
        match self {
            Self::Chain => numbers.map(|number| number + 1).collect(),
            Self::Group => numbers.map(|number| number * 2).collect(),
            Self::Chord => {
                let sum = numbers.clone().map(|number| number * 2).sum();
                numbers.map(|number| number * 2).chain([sum]).collect()
            }
        }
    }
}

/// Who works a canvas off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worker {
    /// Our worker, the real program with its defaults.
    Ours,
    /// Celery's worker with its defaults and as many processes as cores.
    Celery,
}

impl Worker {
    /// Both, in the order of their rows.
    pub(crate) const ALL: [Self; 2] = [Self::Ours, Self::Celery];
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "celeriac",
            Self::Celery => "Celery",
        })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
