//! What an attempt did with what it was granted: counted, whether it was allowed or not.

use serde::{Deserialize, Serialize};

/// Something that takes a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Sending other tasks.
    Submit,
    /// Outgoing HTTP.
    Http,
    /// Values of the configuration.
    Config,
    /// Secrets, read by the guest or put into its requests.
    Secrets,
    /// The store of keys and values.
    KeyValue,
    /// Scratch space.
    Scratch,
}

impl Capability {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Submit,
        Self::Http,
        Self::Config,
        Self::Secrets,
        Self::KeyValue,
        Self::Scratch,
    ];

    /// Returns the name that people and metrics use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Http => "http",
            Self::Config => "config",
            Self::Secrets => "secrets",
            Self::KeyValue => "key_value",
            Self::Scratch => "scratch",
        }
    }
}

/// How one capability was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Times it was used.
    pub calls: u64,
    /// Times it was denied for want of a grant.
    pub denied: u64,
    /// Bytes that came in to the guest.
    pub bytes_in: u64,
    /// Bytes that went out of it.
    pub bytes_out: u64,
}

impl Use {
    /// One use that brought and took so many bytes.
    #[must_use]
    pub fn call(bytes_in: u64, bytes_out: u64) -> Self {
        Self {
            calls: 1,
            denied: 0,
            bytes_in,
            bytes_out,
        }
    }

    /// One denial.
    #[must_use]
    pub fn denial() -> Self {
        Self {
            denied: 1,
            ..Self::default()
        }
    }

    /// Tells whether there was no use and no denial.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, more: Self) {
        self.calls = self.calls.saturating_add(more.calls);
        self.denied = self.denied.saturating_add(more.denied);
        self.bytes_in = self.bytes_in.saturating_add(more.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(more.bytes_out);
    }
}

/// How each capability was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    submit: Use,
    http: Use,
    config: Use,
    secrets: Use,
    key_value: Use,
    scratch: Use,
}

impl Uses {
    /// Returns how one capability was used.
    #[must_use]
    pub fn of(&self, capability: Capability) -> Use {
        match capability {
            Capability::Submit => self.submit,
            Capability::Http => self.http,
            Capability::Config => self.config,
            Capability::Secrets => self.secrets,
            Capability::KeyValue => self.key_value,
            Capability::Scratch => self.scratch,
        }
    }

    /// Counts a use of a capability, or many at once.
    pub fn count(&mut self, capability: Capability, more: Use) {
        self.counted(capability).add(more);
    }

    /// Counts as denied what was counted as a use before it was judged.
    pub(crate) fn turn_down(&mut self, capability: Capability) {
        let counted = self.counted(capability);
        counted.calls = counted.calls.saturating_sub(1);
        counted.denied = counted.denied.saturating_add(1);
    }

    fn counted(&mut self, capability: Capability) -> &mut Use {
        match capability {
            Capability::Submit => &mut self.submit,
            Capability::Http => &mut self.http,
            Capability::Config => &mut self.config,
            Capability::Secrets => &mut self.secrets,
            Capability::KeyValue => &mut self.key_value,
            Capability::Scratch => &mut self.scratch,
        }
    }

    /// Counts all uses of another attempt as well.
    pub fn add(&mut self, more: &Self) {
        for (capability, used) in more.iter() {
            self.count(capability, used);
        }
    }

    /// Returns the capabilities that were used or denied.
    pub fn iter(&self) -> impl Iterator<Item = (Capability, Use)> {
        let all = Capability::ALL.map(|capability| (capability, self.of(capability)));
        all.into_iter().filter(|(_, used)| !used.is_none())
    }

    /// Returns the bytes of all capabilities, in and out.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        self.iter()
            .fold((0, 0), |(into, out): (u64, u64), (_, used)| {
                (
                    into.saturating_add(used.bytes_in),
                    out.saturating_add(used.bytes_out),
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_is_counted_apart() {
        let mut uses = Uses::default();
        assert_eq!(uses.iter().count(), 0);
        for (number, capability) in (1..).zip(Capability::ALL) {
            uses.count(capability, Use::call(number, 10 * number));
            uses.count(capability, Use::denial());
            assert_eq!(
                uses.of(capability),
                Use {
                    calls: 1,
                    denied: 1,
                    bytes_in: number,
                    bytes_out: 10 * number
                }
            );
        }
        assert_eq!(uses.bytes(), (21, 210));
        let names: Vec<_> = uses
            .iter()
            .map(|(capability, _)| capability.name())
            .collect();
        let all = [
            "submit",
            "http",
            "config",
            "secrets",
            "key_value",
            "scratch",
        ];
        assert_eq!(names, all);
    }

    #[test]
    fn attempts_add_up_and_never_overflow() {
        let mut uses = Uses::default();
        let mut more = Uses::default();
        more.count(Capability::Http, Use::call(u64::MAX, 1));
        for _ in 0..2 {
            uses.add(&more);
        }
        assert_eq!(uses.of(Capability::Http).calls, 2);
        assert_eq!(uses.bytes(), (u64::MAX, 2));
    }
}
