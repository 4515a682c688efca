//! What of the control plane does not answer, and what is said of that.

use std::collections::BTreeMap;

/// The parts of a control plane that do not answer.
#[derive(Debug, Default)]
pub(super) struct Away {
    /// Whether the outage of each passes by itself, as far as is known.
    parts: BTreeMap<&'static str, bool>,
}

/// What is said of a part that did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    /// That an outage begins.
    Outage,
    /// That a person has to do something.
    Refused,
    /// Nothing: it was said.
    Known,
}

impl Away {
    /// Notes that a part did not answer.
    pub(super) fn failed(&mut self, part: &'static str, passes: bool) -> Say {
        let is_new = self.parts.is_empty();
        let was_refused = self.parts.values().any(|passes| !passes);
        // One that was refused is so until it answers, or each change would be told.
        let known = self.parts.entry(part).or_insert(passes);
        *known = *known && passes;
        match passes {
            true if is_new => Say::Outage,
            false if !was_refused => Say::Refused,
            _ => Say::Known,
        }
    }

    /// Notes that a part answered, and tells whether that ends an outage.
    pub(super) fn answered(&mut self, part: &str) -> bool {
        self.parts.remove(part).is_some() && self.parts.is_empty()
    }

    pub(super) fn is_none(&self) -> bool {
        self.parts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_a_refusal_that_follows_once_more() {
        let mut away = Away::default();
        assert_eq!(away.failed("orders", true), Say::Outage);
        assert_eq!(away.failed("modules", true), Say::Known);
        assert_eq!(away.failed("orders", false), Say::Refused);
        for (part, passes) in [("modules", false), ("orders", true), ("orders", false)] {
            assert_eq!(away.failed(part, passes), Say::Known, "{part} {passes}");
        }
        assert!(!away.answered("orders") && !away.is_none());
        assert!(away.answered("modules") && away.is_none());
        assert!(!away.answered("modules"));
        assert_eq!(away.failed("orders", false), Say::Refused);
    }
}
