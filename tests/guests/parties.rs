//! Who stands behind what a guest is granted: ones that do it, and one that never answers.

use celeriac_sandbox::{
    KEY_VALUE_PAGE, KeepError, Keeper, Keeping, Room, Sender, Sending, Signature, SubmitError,
    When, Wish,
};
use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// Keeps as much as there is room for.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<(BTreeMap<String, Vec<u8>>, u64)>);

impl Shelf {
    fn kept(&self) -> MutexGuard<'_, (BTreeMap<String, Vec<u8>>, u64)> {
        self.0.lock().expect("nobody breaks it")
    }

    fn keep(&self, key: String, value: Vec<u8>, room: Room) -> Result<(), KeepError> {
        let mut kept = self.kept();
        let (pairs, bytes) = &mut *kept;
        let size = |value: &Vec<u8>| (key.len() + value.len()) as u64;
        let more = size(&value) - pairs.get(&key).map_or(0, size);
        if *bytes + more > room.bytes || pairs.len() as u64 >= room.keys {
            return Err(KeepError::Full("the shelf is full".to_owned()));
        }
        *bytes += more;
        pairs.insert(key, value);
        Ok(())
    }
}

impl Keeper for Shelf {
    fn get(&self, keys: Vec<String>) -> Keeping<'_, Vec<Option<Vec<u8>>>> {
        let kept = self.kept();
        let values = keys.iter().map(|key| kept.0.get(key).cloned()).collect();
        Box::pin(ready(Ok(values)))
    }

    fn set(&self, pairs: Vec<(String, Vec<u8>)>, room: Room) -> Keeping<'_, ()> {
        let mut pairs = pairs.into_iter();
        let kept = pairs.try_for_each(|(key, value)| self.keep(key, value, room));
        Box::pin(ready(kept))
    }

    fn delete(&self, _: Vec<String>) -> Keeping<'_, ()> {
        Box::pin(ready(Err(KeepError::Unavailable("nobody asks".to_owned()))))
    }

    fn keys(&self, after: u64) -> Keeping<'_, Vec<String>> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let kept = self.kept();
        let keys = kept.0.keys().skip(after).take(KEY_VALUE_PAGE);
        Box::pin(ready(Ok(keys.cloned().collect())))
    }

    fn increment(&self, _: String, delta: u64, _: Room) -> Keeping<'_, u64> {
        Box::pin(ready(Ok(delta)))
    }
}

/// Gives everything the same id.
#[derive(Debug)]
pub(crate) struct Sent;

impl Sender for Sent {
    fn send<'a>(&'a self, _: &'a Wish, _: When, _: u32) -> Sending<'a> {
        Box::pin(ready(Ok("id".to_owned())))
    }

    fn replace<'a>(&'a self, _: &'a Signature) -> Sending<'a> {
        Box::pin(ready(Ok("id".to_owned())))
    }
}

/// Never answers, and tells that it was asked.
#[derive(Debug, Default)]
pub(crate) struct Mute(pub(crate) Arc<Notify>);

impl Mute {
    fn asked<'a, T, E>(&self) -> std::pin::Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>
    where
        T: Send + 'a,
        E: Send + 'a,
    {
        self.0.notify_one();
        Box::pin(pending())
    }
}

impl Sender for Mute {
    fn send<'a>(&'a self, _: &'a Wish, _: When, _: u32) -> Sending<'a> {
        self.asked::<String, SubmitError>()
    }

    fn replace<'a>(&'a self, _: &'a Signature) -> Sending<'a> {
        self.asked()
    }
}

impl Keeper for Mute {
    fn get(&self, _: Vec<String>) -> Keeping<'_, Vec<Option<Vec<u8>>>> {
        self.asked()
    }

    fn set(&self, _: Vec<(String, Vec<u8>)>, _: Room) -> Keeping<'_, ()> {
        self.asked()
    }

    fn delete(&self, _: Vec<String>) -> Keeping<'_, ()> {
        self.asked()
    }

    fn keys(&self, _: u64) -> Keeping<'_, Vec<String>> {
        self.asked()
    }

    fn increment(&self, _: String, _: u64, _: Room) -> Keeping<'_, u64> {
        self.asked()
    }
}
