//! `wasi:config/store`: configuration values. Only those that are granted can be read.

use super::Host;
use crate::bindings::drafts::wasi::config::store::{Error, Host as Values};
use crate::uses::Capability;
use std::result::Result as Answer;
use wasmtime::Result;

impl Values for Host {
    fn get(&mut self, key: String) -> Result<Answer<Option<String>, Error>> {
        self.used(Capability::Config);
        Ok(
            match self.grants.value(&key).map(|value| value.to_string()) {
                Ok(value) => {
                    self.moved(Capability::Config, value.len(), 0);
                    Ok(Some(value))
                }
                Err(denial) => Err(Error::Upstream(self.denied(Capability::Config, denial))),
            },
        )
    }

    fn get_all(&mut self) -> Result<Answer<Vec<(String, String)>, Error>> {
        self.used(Capability::Config);
        let values = self.grants.values.iter();
        let all: Vec<_> = values
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect();
        let bytes = all
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        self.moved(Capability::Config, bytes, 0);
        Ok(Ok(all))
    }
}
