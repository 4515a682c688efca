//! A key-value store in memory: of one run, and gone with it.

use super::{KEY_VALUE_PAGE, KeepError, Keeper, Keeping, Room};
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Pairs = BTreeMap<String, Vec<u8>>;

/// Keeps what tasks keep that run without a worker: by hand, and in tests.
#[derive(Debug, Default)]
pub struct Drawer(Mutex<Pairs>);

impl Clone for Drawer {
    /// Copies what is in it: each has its own from then on.
    fn clone(&self) -> Self {
        Self(Mutex::new(self.pairs().clone()))
    }
}

impl Drawer {
    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a value into it, whatever room there is.
    pub fn put(&self, key: String, value: Vec<u8>) {
        self.pairs().insert(key, value);
    }

    /// Takes out what is in it.
    #[must_use]
    pub fn take(&self) -> BTreeMap<String, Vec<u8>> {
        std::mem::take(&mut self.pairs())
    }

    /// Keeps a value where there is room for it, as a worker does.
    fn keep(&self, key: String, value: Vec<u8>, room: Room) -> Result<(), KeepError> {
        let mut pairs = self.pairs();
        let others = pairs.iter().filter(|(other, _)| **other != key);
        let (keys, bytes) = others.fold(
            (1, key.len() + value.len()),
            |(keys, bytes), (key, value)| (keys + 1, bytes + key.len() + value.len()),
        );
        let full = |what| KeepError::Full(format!("the key-value store has room for {what}"));
        if bytes as u64 > room.bytes {
            return Err(full(format!("{} bytes", room.bytes)));
        }
        if keys > room.keys {
            return Err(full(format!("{} keys", room.keys)));
        }
        pairs.insert(key, value);
        Ok(())
    }

    fn add(&self, key: String, delta: u64, room: Room) -> Result<u64, KeepError> {
        let known = self.pairs().get(&key).cloned();
        let known = known.unwrap_or_else(|| b"0".to_vec());
        let known = std::str::from_utf8(&known).ok();
        let known: Option<u64> = known.and_then(|digits| digits.parse().ok());
        let sum = known.and_then(|known| known.checked_add(delta));
        let sum =
            sum.ok_or_else(|| KeepError::NotANumber("what is kept there is no number".to_owned()))?;
        self.keep(key, sum.to_string().into_bytes(), room)?;
        Ok(sum)
    }
}

impl Keeper for Drawer {
    fn get(&self, keys: Vec<String>) -> Keeping<'_, Vec<Option<Vec<u8>>>> {
        let pairs = self.pairs();
        let values = keys.iter().map(|key| pairs.get(key).cloned()).collect();
        Box::pin(ready(Ok(values)))
    }

    fn set(&self, pairs: Vec<(String, Vec<u8>)>, room: Room) -> Keeping<'_, ()> {
        let mut pairs = pairs.into_iter();
        let kept = pairs.try_for_each(|(key, value)| self.keep(key, value, room));
        Box::pin(ready(kept))
    }

    fn delete(&self, keys: Vec<String>) -> Keeping<'_, ()> {
        let mut pairs = self.pairs();
        for key in &keys {
            pairs.remove(key);
        }
        Box::pin(ready(Ok(())))
    }

    fn keys(&self, after: u64) -> Keeping<'_, Vec<String>> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let keys = self
            .pairs()
            .keys()
            .skip(after)
            .take(KEY_VALUE_PAGE)
            .cloned()
            .collect();
        Box::pin(ready(Ok(keys)))
    }

    fn increment(&self, key: String, delta: u64, room: Room) -> Keeping<'_, u64> {
        Box::pin(ready(self.add(key, delta, room)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    const ROOM: Room = Room { bytes: 8, keys: 2 };

    fn set(drawer: &Drawer, key: &str, value: &str) -> Result<(), KeepError> {
        let pair = (key.to_owned(), value.as_bytes().to_vec());
        drawer.set(vec![pair], ROOM).now_or_never().unwrap()
    }

    #[test]
    fn there_is_room_for_so_many_bytes_and_keys() {
        let drawer = Drawer::default();
        assert_eq!(set(&drawer, "a", "1234567"), Ok(()));
        assert_eq!(set(&drawer, "a", "12"), Ok(()), "in place of the other");
        assert_eq!(set(&drawer, "b", ""), Ok(()));
        for (key, value) in [("c", ""), ("b", "12345")] {
            assert!(matches!(set(&drawer, key, value), Err(KeepError::Full(_))));
        }
        let sum = drawer.increment("a".to_owned(), 30, ROOM).now_or_never();
        assert_eq!(sum, Some(Ok(42)));
        let copy = drawer.clone();
        assert_eq!(drawer.take().len(), 2);
        assert_eq!(copy.keys(1).now_or_never(), Some(Ok(vec!["b".to_owned()])));
    }
}
