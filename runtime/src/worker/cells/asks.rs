//! What a guest in a cell asks its worker for, looked at again before it is done: the
//! sandbox that looked first may be broken.

use super::wire::{Answer, Ask, Kept, Octets};
use celeriac_sandbox::{
    Attempt, Grants, KEY_VALUE_BATCH, KEY_VALUE_KEY_BYTES, KEY_VALUE_KEYS, KEY_VALUE_VALUE_BYTES,
    KeepError, Keeper, Room, Sender, SubmitError,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::Arc;

/// What is being done for a guest, which waits for it.
pub(super) type Doing = BoxFuture<'static, Answer>;

/// Who does what the guest of one attempt asks for.
#[derive(Debug, Clone)]
pub(super) struct Doers {
    sender: Option<Arc<dyn Sender>>,
    keeper: Option<Arc<dyn Keeper>>,
    /// How much its module may keep, whatever the cell says.
    room: Room,
}

impl Doers {
    pub(super) fn of(facts: &Attempt, grants: &Grants) -> Self {
        Self {
            sender: facts.sender.clone(),
            keeper: facts.keeper.clone(),
            room: Room {
                bytes: grants.key_value,
                keys: KEY_VALUE_KEYS,
            },
        }
    }

    /// Does what is asked for.
    pub(super) fn go(&self, ask: Ask) -> Doing {
        let Self {
            sender,
            keeper,
            room,
        } = self.clone();
        async move {
            match (ask, sender, keeper) {
                (Ask::Wish { wish, when, index }, Some(sender), _) => {
                    Answer::Sent(sender.send(&wish, when, index).await)
                }
                (Ask::Replace { signature }, Some(sender), _) => {
                    Answer::Sent(sender.replace(&signature).await)
                }
                (Ask::Wish { .. } | Ask::Replace { .. }, None, _) => {
                    Answer::Sent(Err(SubmitError::Unavailable(NOBODY.to_owned())))
                }
                (ask, _, Some(keeper)) => Answer::Kept(keep(&*keeper, ask, room).await),
                (_, _, None) => Answer::Kept(Err(KeepError::Unavailable(NOBODY.to_owned()))),
            }
        }
        .boxed()
    }
}

const NOBODY: &str = "nobody does that here";

async fn keep(keeper: &dyn Keeper, ask: Ask, room: Room) -> Result<Kept, KeepError> {
    match ask {
        Ask::Get { keys } => {
            let values = keeper.get(keys).await?.into_iter();
            let octets = values.map(|value| value.map(|bytes| Octets(bytes.into())));
            Ok(Kept::Values(octets.collect()))
        }
        Ask::Set { pairs } => {
            let pairs = pairs.into_iter().map(|(key, value)| (key, value.0.into()));
            keeper.set(pairs.collect(), room).await.map(|()| Kept::Done)
        }
        Ask::Delete { keys } => keeper.delete(keys).await.map(|()| Kept::Done),
        Ask::Keys { after } => keeper.keys(after).await.map(Kept::Keys),
        Ask::Increment { key, delta } => keeper.increment(key, delta, room).await.map(Kept::Sum),
        Ask::Wish { .. } | Ask::Replace { .. } => Err(KeepError::Unavailable(NOBODY.to_owned())),
    }
}

impl Ask {
    /// Says whether a sandbox with these grants would ask for it.
    ///
    /// # Errors
    /// What it would not, for people.
    pub(super) fn allowed(&self, grants: &Grants) -> Result<(), String> {
        let keys = match self {
            Self::Wish { wish, .. } => return grants.allow(wish),
            Self::Replace { signature } => return grants.allow_signature(signature),
            Self::Get { keys } | Self::Delete { keys } => keys.iter().collect(),
            Self::Set { pairs } => {
                let largest = pairs.iter().map(|(_, value)| value.0.len()).max();
                if largest > Some(KEY_VALUE_VALUE_BYTES) {
                    return Err(format!("a value of {largest:?} bytes"));
                }
                pairs.iter().map(|(key, _)| key).collect()
            }
            Self::Keys { .. } => Vec::new(),
            Self::Increment { key, .. } => vec![key],
        };
        if grants.key_value == 0 {
            return Err("no grant for the key-value store".to_owned());
        }
        if keys.len() > KEY_VALUE_BATCH {
            return Err(format!("{} keys at once", keys.len()));
        }
        match keys.iter().any(|key| key.len() > KEY_VALUE_KEY_BYTES) {
            true => Err(format!("a key of more than {KEY_VALUE_KEY_BYTES} bytes")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_sandbox_would_ask_for_is_not_done() {
        let mut grants = Grants::default();
        let get = |keys: usize| Ask::Get {
            keys: vec!["a".to_owned(); keys],
        };
        let denied = get(1).allowed(&grants).unwrap_err();
        assert!(denied.contains("no grant"), "{denied}");
        grants.key_value = 1_000;
        assert_eq!(get(100).allowed(&grants), Ok(()));
        let long = "k".repeat(513);
        for (ask, words) in [
            (get(101), "101 keys at once"),
            (
                Ask::Increment {
                    key: long,
                    delta: 1,
                },
                "a key of more than 512 bytes",
            ),
            (
                Ask::Set {
                    pairs: vec![("a".to_owned(), Octets(vec![0; 65_537].into()))],
                },
                "a value of Some(65537) bytes",
            ),
        ] {
            assert_eq!(ask.allowed(&grants).unwrap_err(), words);
        }
    }
}
