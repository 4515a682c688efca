//! `celeriac:task/canvas`: sending tasks that belong together, and handing one's
//! own work over.

use super::Host;
use super::submit::{nobody, read, wire_error};
use crate::bindings::celeriac::task::canvas::Host as Canvas;
use crate::bindings::celeriac::task::submit as wire;
use crate::bindings::celeriac::task::types::PayloadResult;
use crate::submit::SubmitError;
use crate::uses::{Capability, Use};
use std::sync::Arc;
use wasmtime::Result;

type Answer<T> = Result<std::result::Result<T, wire::SubmitError>>;

impl Canvas for Host {
    async fn apply(&mut self, signature: PayloadResult, when: wire::When) -> Answer<String> {
        let when = read(when);
        let step = self.outbox.signature(signature.data, when);
        Ok(self.send(step, when).await.map_err(wire_error))
    }

    async fn replace(&mut self, signature: PayloadResult) -> Answer<()> {
        Ok(self.hand_over(signature.data).await.map_err(wire_error))
    }
}

impl Host {
    async fn hand_over(&mut self, json: Vec<u8>) -> std::result::Result<(), SubmitError> {
        let signature = self.outbox.replacement(json);
        let signature = self.noted(signature)?;
        let sender = self.attempt.sender.as_ref().map(Arc::clone);
        let sender = sender.ok_or_else(nobody)?;
        let answer = sender.replace(&signature).await;
        self.noted(answer)?;
        let bytes = signature.json.len() as u64;
        self.uses.count(Capability::Submit, Use::call(0, bytes));
        self.outbox.replace(signature);
        Ok(())
    }
}
