//! Revoking tasks, for our workers and for those of Celery.

use super::{Client, ClientError};
use crate::bus::{BusError, To};
use crate::celery::pidbox::{Audience, Request};
use crate::clock::after;
use crate::events::seconds;
use crate::results::orders::Target;
use crate::task::TaskId;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long workers may take to hear that tasks are revoked (1 h).
const HEARD: Duration = Duration::from_secs(3_600);

impl Client {
    /// Revokes tasks: what waits is not run, and with `terminate` what runs is ended.
    /// Workers that are there hear of it at once, and those of ours that come later too,
    /// where results or messages are in Redis or in a file.
    ///
    /// # Errors
    /// [`ClientError`], when it was not recorded or not told.
    pub async fn revoke(&self, ids: &[TaskId], terminate: bool) -> Result<(), ClientError> {
        let targets: Vec<_> = ids.iter().cloned().map(Target::Task).collect();
        if let Some(clerk) = &self.0.clerk {
            clerk.record(&targets, terminate).await?;
        }
        Ok(self.tell_revoked(&targets, terminate).await?)
    }

    /// Tells the workers that are there, Celery's too, what is revoked.
    ///
    /// # Errors
    /// [`BusError`], when they may not have been told.
    pub(crate) async fn tell_revoked(
        &self,
        targets: &[Target],
        terminate: bool,
    ) -> Result<(), BusError> {
        let until = seconds(after(self.0.clock.now(), HEARD));
        for (method, name, value) in orders(targets) {
            let request = Request {
                method: method.to_owned(),
                arguments: Map::from_iter([
                    (name.to_owned(), value),
                    ("terminate".to_owned(), Value::Bool(terminate)),
                    ("signal".to_owned(), json!("SIGTERM")),
                ]),
                to: Audience::All,
                ticket: None,
                reply_to: None,
                clock: None,
            };
            let message = request.message(until);
            self.0.bus.send(&To::Workers, &message).await?;
        }
        Ok(())
    }
}

/// Returns what Celery's control sends: each method, and the name and value of what it
/// is about.
fn orders(targets: &[Target]) -> Vec<(&'static str, &'static str, Value)> {
    let (mut ids, mut stamps) = (Vec::new(), Map::new());
    for target in targets {
        match target {
            Target::Task(id) => ids.push(Value::from(id.as_str())),
            Target::Stamp { name, value } => {
                let value = serde_json::from_str(value).unwrap_or(Value::Null);
                let values = stamps.entry(name).or_insert_with(|| json!([]));
                if let Some(values) = values.as_array_mut() {
                    values.push(value);
                }
            }
        }
    }
    let mut orders = Vec::new();
    if !ids.is_empty() {
        orders.push(("revoke", "task_id", Value::Array(ids)));
    }
    if !stamps.is_empty() {
        let stamps = Value::Object(stamps);
        orders.push(("revoke_by_stamped_headers", "headers", stamps));
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_stamps_are_told_as_celerys_control_tells_them() {
        let stamp = |name: &str, value: &str| Target::Stamp {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let id = TaskId::parse("a").unwrap();
        let told = orders(&[
            Target::Task(id),
            stamp("s", "1"),
            stamp("s", "\"x\""),
            stamp("t", "null"),
        ]);
        let stamps = json!({"s": [1, "x"], "t": [null]});
        assert_eq!(
            told,
            [
                ("revoke", "task_id", json!(["a"])),
                ("revoke_by_stamped_headers", "headers", stamps),
            ]
        );
        assert_eq!(orders(&[]), []);
    }
}
