//! `celeriac:task/secrets`: secrets that the guest itself may read, by name.

use super::Host;
use crate::bindings::celeriac::task::secrets::{Host as Secrets, SecretError};
use crate::uses::Capability;
use std::result::Result as Answer;
use wasmtime::Result;

impl Secrets for Host {
    fn get(&mut self, name: String) -> Result<Answer<String, SecretError>> {
        self.used(Capability::Secrets);
        let secret = self.grants.secret(&name);
        Ok(match secret.map(|secret| secret.expose().to_owned()) {
            Ok(secret) => {
                self.moved(Capability::Secrets, secret.len(), 0);
                Ok(secret)
            }
            Err(denial) => Err(SecretError::Denied(
                self.denied(Capability::Secrets, denial),
            )),
        })
    }
}
