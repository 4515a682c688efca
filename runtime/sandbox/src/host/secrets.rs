//! `celeriac:task/secrets`: secrets that the guest itself may read, by name.

use super::Host;
use super::stores::Store;
use crate::bindings::celeriac::task::secrets::{Host as Secrets, SecretError};
use std::result::Result as Answer;
use wasmtime::Result;

impl Secrets for Host {
    fn get(&mut self, name: String) -> Result<Answer<String, SecretError>> {
        self.used(Store::Secrets);
        let secret = self.grants.secret(&name);
        Ok(match secret.map(|secret| secret.expose().to_owned()) {
            Ok(secret) => {
                self.moved(Store::Secrets, secret.len(), 0);
                Ok(secret)
            }
            Err(denial) => Err(SecretError::Denied(self.denied(Store::Secrets, denial))),
        })
    }
}
