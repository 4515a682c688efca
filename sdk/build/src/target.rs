//! The two targets a task can be built for.

use std::fmt;
use std::str::FromStr;

/// Names the WebAssembly target of a task component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Target {
    /// `wasm32-wasip2`: standard library with clocks, random numbers and
    /// printing; Cargo writes a component itself.
    #[default]
    Wasip2,
    /// `wasm32-unknown-unknown`: imports nothing but the task contract; Cargo
    /// writes a core module, which the `encode` feature turns into a component.
    Unknown,
}

impl Target {
    /// Every target, in the order they are documented.
    pub const ALL: [Self; 2] = [Self::Wasip2, Self::Unknown];

    /// Returns the target triple as rustc spells it.
    #[must_use]
    pub const fn triple(self) -> &'static str {
        match self {
            Self::Wasip2 => "wasm32-wasip2",
            Self::Unknown => "wasm32-unknown-unknown",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.triple())
    }
}

/// Says that a text names none of the targets a task can be built for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown target '{0}': use 'wasm32-wasip2' (or 'wasip2') or 'wasm32-unknown-unknown' (or 'unknown')"
)]
pub struct UnknownTarget(pub String);

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(text: &str) -> Result<Self, UnknownTarget> {
        match text {
            "wasm32-wasip2" | "wasip2" => Ok(Self::Wasip2),
            "wasm32-unknown-unknown" | "unknown" => Ok(Self::Unknown),
            other => Err(UnknownTarget(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_back_from_what_it_prints() {
        for target in Target::ALL {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        assert_eq!("wasip2".parse(), Ok(Target::default()));
    }

    #[test]
    fn a_strange_target_is_refused_with_those_that_work() {
        let error = "wasm32-wasip1".parse::<Target>().unwrap_err().to_string();
        assert!(
            error.contains("'wasm32-wasip1'") && error.contains("wasm32-wasip2"),
            "{error}"
        );
    }
}
