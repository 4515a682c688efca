//! Values, secrets, keys and files of a unit test, in its own memory.

use std::collections::BTreeMap;

use super::Recorder;
use crate::StoreError;

/// Scratch files, by name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

impl Recorder {
    pub(crate) fn value(&self, name: &str) -> Result<String, StoreError> {
        let value = self.script.values.get(name).cloned();
        value.ok_or_else(|| denied("configuration value", name))
    }

    pub(crate) fn secret(&self, name: &str) -> Result<String, StoreError> {
        let secret = self.script.secrets.get(name).cloned();
        secret.ok_or_else(|| denied("secret", name))
    }

    pub(crate) fn kept(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.recording.borrow().kept.get(key).cloned())
    }

    pub(crate) fn keep(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let kept = &mut self.recording.borrow_mut().kept;
        kept.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    pub(crate) fn forget(&self, key: &str) -> Result<(), StoreError> {
        self.recording.borrow_mut().kept.remove(key);
        Ok(())
    }

    pub(crate) fn increment(&self, key: &str, delta: u64) -> Result<u64, StoreError> {
        let known = self.kept(key)?.unwrap_or_else(|| b"0".to_vec());
        let known = std::str::from_utf8(&known).ok();
        let known: Option<u64> = known.and_then(|digits| digits.parse().ok());
        let sum = known.and_then(|known| known.checked_add(delta));
        let sum =
            sum.ok_or_else(|| StoreError::Failed("what is kept there is no number".to_owned()))?;
        self.keep(key, sum.to_string().as_bytes())?;
        Ok(sum)
    }

    pub(crate) fn keys(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.recording.borrow().kept.keys().cloned().collect())
    }

    pub(crate) fn scratch_write(
        &self,
        name: &str,
        offset: u64,
        data: &[u8],
    ) -> Result<(), StoreError> {
        let start = place(offset)?;
        let mut files = self.files.borrow_mut();
        let file = files.entry(name.to_owned()).or_default();
        let end = start.saturating_add(data.len());
        file.resize(file.len().max(end), 0);
        for (to, from) in file.iter_mut().skip(start).zip(data) {
            *to = *from;
        }
        Ok(())
    }

    pub(crate) fn scratch_read(
        &self,
        name: &str,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, StoreError> {
        let files = self.files.borrow();
        let file = files.get(name).ok_or(StoreError::Missing)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let rest = file
            .iter()
            .skip(usize::try_from(offset).unwrap_or(usize::MAX));
        Ok(rest.take(length).copied().collect())
    }

    pub(crate) fn scratch_size(&self, name: &str) -> Result<u64, StoreError> {
        let files = self.files.borrow();
        let file = files.get(name).ok_or(StoreError::Missing)?;
        Ok(file.len() as u64)
    }

    pub(crate) fn scratch_resize(&self, name: &str, size: u64) -> Result<(), StoreError> {
        let size = place(size)?;
        self.files
            .borrow_mut()
            .entry(name.to_owned())
            .or_default()
            .resize(size, 0);
        Ok(())
    }

    pub(crate) fn scratch_remove(&self, name: &str) -> Result<(), StoreError> {
        let removed = self.files.borrow_mut().remove(name);
        removed.map(drop).ok_or(StoreError::Missing)
    }

    pub(crate) fn scratch_names(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.files.borrow().keys().cloned().collect())
    }
}

fn denied(what: &str, name: &str) -> StoreError {
    StoreError::Denied(format!("no grant to read the {what} {name:?}"))
}

/// A place in a file: within 256 MiB, the most that an operator can grant.
fn place(offset: u64) -> Result<usize, StoreError> {
    let place = usize::try_from(offset)
        .ok()
        .filter(|place| *place <= 256 << 20);
    place.ok_or_else(|| StoreError::Failed("there is no room for it".to_owned()))
}
