//! The defences between a guest and harm, each with a name.
//!
//! In the product all of them stand, and [`stands`] is a constant that costs
//! nothing. Only the tests of this crate can take one away, each in its own
//! thread, to show what it is for: either its attack then succeeds, or another
//! wall holds, and the test says which.

/// One defence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defence {
    /// The kind of a file is looked at before anything reads it.
    Kind,
    /// The parts of an upload have bounds.
    Bounds,
    /// Features that the engine has off are off for the validator too.
    Features,
    /// Imports and exports are compared with the world.
    World,
    /// Images of data that lies far apart are not built.
    Images,
    /// All memories and tables have one limit together.
    Memory,
    /// What a guest hands to one host call has a limit.
    HostCall,
    /// The CPU time has a limit.
    Cpu,
    /// The time has a limit that also ends a guest that waits.
    Wall,
    /// A guest lets others have the thread at every tick.
    Yield,
    /// The engine counts the handles of a guest.
    Handles,
    /// The host counts what it keeps behind handles.
    Table,
    /// The log has a budget.
    Log,
    /// Control characters are escaped when they come in.
    Escapes,
    /// An update of the progress has a largest size.
    Progress,
    /// Random bytes have a limit for each call.
    Random,
    /// A result has a limit.
    ResultSize,
    /// A result is one JSON value.
    ResultCheck,
    /// A task is sent only with a grant.
    Grants,
    /// An attempt sends a hundred tasks.
    Quota,
    /// Hosts are reached by HTTP only where they are granted.
    Hosts,
    /// Special addresses are connected to only where they are granted.
    Addresses,
    /// The worker's own servers are connected to only where they are granted alone.
    Own,
    /// Addresses of IPv4 within those of IPv6 are read as what they are.
    Canonical,
    /// Neither tunnels nor traces are asked for.
    Methods,
    /// This machine is reached at none of its addresses without a grant.
    Here,
    /// What is connected to is the address that was judged. There is nothing to leave out:
    /// without it, a test looks the name up again.
    #[cfg(test)]
    Pinned,
    /// Lookups of names are shared out among attempts and modules.
    Lookups,
    /// An attempt makes so many requests.
    Requests,
    /// So many requests of an attempt are under way at once.
    InFlight,
    /// An attempt sends so many bytes by HTTP.
    BytesOut,
    /// An attempt receives so many bytes by HTTP.
    BytesIn,
    /// The headers of an answer have a limit.
    AnswerHeaders,
    /// The headers of a request have a limit.
    RequestHeaders,
    /// Headers of the connection are not for guests.
    Forbidden,
    /// A connection has its time.
    ConnectTime,
    /// An answer has its time to begin and to go on.
    Silence,
    /// The key-value store of a module has its room.
    Room,
    /// A value has a largest size.
    ValueSize,
    /// The scratch files of an attempt have their room.
    Scratch,
}

/// Tells whether a defence is in its place.
#[cfg(not(test))]
pub(crate) const fn stands(_: Defence) -> bool {
    true
}

#[cfg(test)]
pub(crate) use away::{stands, without};

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
}

#[cfg(test)]
mod tests;
