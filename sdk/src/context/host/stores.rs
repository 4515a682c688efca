//! Values, secrets, keys and files of the worker.

use super::Host;
use crate::StoreError;
use crate::bindings::celeriac::task::scratch::{self, ScratchError};
use crate::bindings::celeriac::task::secrets::{self, SecretError};
use crate::bindings::wasi::config::store as values;
use crate::bindings::wasi::keyvalue::{atomics, store};

impl From<ScratchError> for StoreError {
    fn from(error: ScratchError) -> Self {
        match error {
            ScratchError::Denied(reason) => Self::Denied(reason),
            ScratchError::Missing => Self::Missing,
            ScratchError::Full(reason) | ScratchError::Invalid(reason) => Self::Failed(reason),
        }
    }
}

impl From<store::Error> for StoreError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::AccessDenied => Self::Denied(
                "no grant for the key-value store; the log of the attempt names the line that would allow it"
                    .to_owned(),
            ),
            store::Error::NoSuchStore => Self::Failed("there is no such key-value store".to_owned()),
            store::Error::Other(reason) => Self::Failed(reason),
        }
    }
}

fn bucket() -> Result<store::Bucket, StoreError> {
    Ok(store::open("default")?)
}

impl Host {
    pub(crate) fn value(&self, name: &str) -> Result<String, StoreError> {
        match values::get(name) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(StoreError::Failed(format!(
                "there is no configuration value {name:?}"
            ))),
            Err(values::Error::Upstream(reason)) => Err(StoreError::Denied(reason)),
            Err(values::Error::Io(reason)) => Err(StoreError::Failed(reason)),
        }
    }

    pub(crate) fn secret(&self, name: &str) -> Result<String, StoreError> {
        secrets::get(name).map_err(|error| match error {
            SecretError::Denied(reason) => StoreError::Denied(reason),
            SecretError::Unavailable(reason) => StoreError::Failed(reason),
        })
    }

    pub(crate) fn kept(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(bucket()?.get(key)?)
    }

    pub(crate) fn keep(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        Ok(bucket()?.set(key, value)?)
    }

    pub(crate) fn forget(&self, key: &str) -> Result<(), StoreError> {
        Ok(bucket()?.delete(key)?)
    }

    pub(crate) fn increment(&self, key: &str, delta: u64) -> Result<u64, StoreError> {
        Ok(atomics::increment(&bucket()?, key, delta)?)
    }

    pub(crate) fn keys(&self) -> Result<Vec<String>, StoreError> {
        let bucket = bucket()?;
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let page = bucket.list_keys(cursor)?;
            keys.extend(page.keys);
            if page.cursor.is_none() {
                return Ok(keys);
            }
            cursor = page.cursor;
        }
    }

    pub(crate) fn scratch_write(
        &self,
        name: &str,
        offset: u64,
        data: &[u8],
    ) -> Result<(), StoreError> {
        Ok(scratch::write(name, offset, data)?)
    }

    pub(crate) fn scratch_read(
        &self,
        name: &str,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, StoreError> {
        Ok(scratch::read(name, offset, length)?)
    }

    pub(crate) fn scratch_size(&self, name: &str) -> Result<u64, StoreError> {
        Ok(scratch::size(name)?)
    }

    pub(crate) fn scratch_resize(&self, name: &str, size: u64) -> Result<(), StoreError> {
        Ok(scratch::resize(name, size)?)
    }

    pub(crate) fn scratch_remove(&self, name: &str) -> Result<(), StoreError> {
        Ok(scratch::remove(name)?)
    }

    pub(crate) fn scratch_names(&self) -> Result<Vec<String>, StoreError> {
        Ok(scratch::names()?)
    }
}
