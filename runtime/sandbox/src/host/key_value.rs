//! `wasi:keyvalue`: what the tasks of a module keep between attempts.
//!
//! There is one bucket, `default`. The draft has no text for a denial, so it is in the
//! log of the attempt.

use super::Host;
use crate::bindings::drafts::wasi::keyvalue::{atomics, batch, store};
use crate::defence::{Defence, stands};
use crate::keep::{
    KEY_VALUE_BATCH, KEY_VALUE_KEY_BYTES, KEY_VALUE_KEYS, KEY_VALUE_PAGE, KEY_VALUE_VALUE_BYTES,
    KeepError, Keeper, Room,
};
use crate::uses::Capability;
use std::result::Result as Answer;
use std::sync::Arc;
use store::{Error, KeyResponse};
use wasmtime::Result;
use wasmtime::component::Resource;

/// The open store of the guest's module.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Debug)]
pub struct Bucket;

type Values = Vec<Option<(String, Vec<u8>)>>;

impl Host {
    /// Counts a call, and returns who keeps things for the guest.
    fn keeper(&mut self) -> Answer<(Arc<dyn Keeper>, Room), Error> {
        self.used(Capability::KeyValue);
        if self.grants.key_value == 0 {
            let denial = self.grants.no_key_value();
            self.denied(Capability::KeyValue, denial);
            return Err(Error::AccessDenied);
        }
        let room = match stands(Defence::Room) {
            true => Room {
                bytes: self.grants.key_value,
                keys: KEY_VALUE_KEYS,
            },
            false => Room {
                bytes: u64::MAX,
                keys: u64::MAX,
            },
        };
        let keeper = self.attempt.keeper.as_ref().map(Arc::clone);
        let keeper = keeper.ok_or_else(|| Error::Other("nothing is kept here".to_owned()))?;
        Ok((keeper, room))
    }

    async fn fetch(&mut self, keys: Vec<String>) -> Answer<Vec<Option<Vec<u8>>>, Error> {
        let (keeper, _) = self.keeper()?;
        check_batch(keys.len())?;
        keys.iter().try_for_each(|key| check_key(key))?;
        let asked = keys.iter().map(String::len).sum();
        let values = keeper.get(keys).await.map_err(other)?;
        let bytes = values.iter().flatten().map(Vec::len).sum();
        self.moved(Capability::KeyValue, bytes, asked);
        Ok(values)
    }

    async fn put(&mut self, pairs: Vec<(String, Vec<u8>)>) -> Answer<(), Error> {
        let (keeper, room) = self.keeper()?;
        check_batch(pairs.len())?;
        for (key, value) in &pairs {
            check_key(key)?;
            check_value(value.len())?;
        }
        let bytes = pairs
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        keeper.set(pairs, room).await.map_err(other)?;
        self.moved(Capability::KeyValue, 0, bytes);
        Ok(())
    }

    async fn forget(&mut self, keys: Vec<String>) -> Answer<(), Error> {
        let (keeper, _) = self.keeper()?;
        check_batch(keys.len())?;
        keys.iter().try_for_each(|key| check_key(key))?;
        self.moved(Capability::KeyValue, 0, keys.iter().map(String::len).sum());
        keeper.delete(keys).await.map_err(other)
    }

    async fn page(&mut self, cursor: Option<u64>) -> Answer<KeyResponse, Error> {
        let (keeper, _) = self.keeper()?;
        let after = cursor.unwrap_or(0);
        let keys = keeper.keys(after).await.map_err(other)?;
        let is_full = keys.len() >= KEY_VALUE_PAGE;
        let next = after.saturating_add(keys.len() as u64);
        self.moved(Capability::KeyValue, keys.iter().map(String::len).sum(), 0);
        Ok(KeyResponse {
            keys,
            cursor: is_full.then_some(next),
        })
    }

    async fn add(&mut self, key: String, delta: u64) -> Answer<u64, Error> {
        let (keeper, room) = self.keeper()?;
        check_key(&key)?;
        self.moved(Capability::KeyValue, 0, key.len());
        keeper.increment(key, delta, room).await.map_err(other)
    }
}

impl store::Host for Host {
    fn open(&mut self, identifier: String) -> Result<Answer<Resource<Bucket>, Error>> {
        if let Err(error) = self.keeper() {
            return Ok(Err(error));
        }
        match identifier.as_str() {
            "" | "default" => Ok(Ok(self.table.push(Bucket)?)),
            _ => Ok(Err(Error::NoSuchStore)),
        }
    }
}

impl store::HostBucket for Host {
    async fn get(
        &mut self,
        _bucket: Resource<Bucket>,
        key: String,
    ) -> Result<Answer<Option<Vec<u8>>, Error>> {
        let values = self.fetch(vec![key]).await;
        Ok(values.map(|values| values.into_iter().next().flatten()))
    }

    async fn set(
        &mut self,
        _bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Result<Answer<(), Error>> {
        Ok(self.put(vec![(key, value)]).await)
    }

    async fn delete(
        &mut self,
        _bucket: Resource<Bucket>,
        key: String,
    ) -> Result<Answer<(), Error>> {
        Ok(self.forget(vec![key]).await)
    }

    async fn exists(
        &mut self,
        _bucket: Resource<Bucket>,
        key: String,
    ) -> Result<Answer<bool, Error>> {
        let values = self.fetch(vec![key]).await;
        Ok(values.map(|values| values.iter().flatten().next().is_some()))
    }

    async fn list_keys(
        &mut self,
        _bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Result<Answer<KeyResponse, Error>> {
        Ok(self.page(cursor).await)
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for Host {
    async fn increment(
        &mut self,
        _bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> Result<Answer<u64, Error>> {
        Ok(self.add(key, delta).await)
    }
}

impl batch::Host for Host {
    async fn get_many(
        &mut self,
        _bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Answer<Values, Error>> {
        let values = self.fetch(keys.clone()).await;
        let pair = |(key, value): (String, Option<Vec<u8>>)| value.map(|value| (key, value));
        Ok(values.map(|values| keys.into_iter().zip(values).map(pair).collect()))
    }

    async fn set_many(
        &mut self,
        _bucket: Resource<Bucket>,
        key_values: Vec<(String, Vec<u8>)>,
    ) -> Result<Answer<(), Error>> {
        Ok(self.put(key_values).await)
    }

    async fn delete_many(
        &mut self,
        _bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Answer<(), Error>> {
        Ok(self.forget(keys).await)
    }
}

fn other(error: KeepError) -> Error {
    Error::Other(error.into_text())
}

fn check_key(key: &str) -> Answer<(), Error> {
    if (1..=KEY_VALUE_KEY_BYTES).contains(&key.len()) {
        return Ok(());
    }
    Err(Error::Other(format!(
        "a key has 1 to {KEY_VALUE_KEY_BYTES} bytes (fixed), not {}",
        key.len()
    )))
}

fn check_value(bytes: usize) -> Answer<(), Error> {
    if bytes <= KEY_VALUE_VALUE_BYTES || !stands(Defence::ValueSize) {
        return Ok(());
    }
    Err(Error::Other(format!(
        "a value has at most {KEY_VALUE_VALUE_BYTES} bytes (fixed), not {bytes}"
    )))
}

fn check_batch(keys: usize) -> Answer<(), Error> {
    if keys <= KEY_VALUE_BATCH {
        return Ok(());
    }
    Err(Error::Other(format!(
        "one call names at most {KEY_VALUE_BATCH} keys (fixed), not {keys}"
    )))
}
