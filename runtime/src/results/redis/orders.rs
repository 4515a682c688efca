//! Revocations as a stream, and the starts of limited tasks, for every worker on the
//! server.
//!
//! `celeriac-revoked` is a stream, because its entries are in the order in which they
//! came; `celeriac-revoked-where` tells the entry of each target. `celeriac-rate-TASK` and
//! `celeriac-rate-TASK-line` are gone a while after the last message of the task.

use super::super::ResultsError;
use super::super::orders::{
    Ask, Mark, Orders, PAGE, REVOCATIONS, Revocation, Spending, Target, Totals,
};
use super::{RedisResults, script, spent, trouble};
use crate::task::{PROMISES, TaskId, Turn};
use async_trait::async_trait;
use jiff::Timestamp;
use std::time::Duration;

/// An entry: its id, its fields and their values in turn.
type Entry = (String, Vec<Vec<u8>>);

impl RedisResults {
    fn revocations(&self) -> String {
        format!("{}celeriac-revoked", self.prefix)
    }
}

#[async_trait]
impl Orders for RedisResults {
    async fn revoke(&self, revocations: Vec<Revocation>) -> Result<(), ResultsError> {
        for part in revocations.chunks(PAGE) {
            let mut revoke = script::REVOKE.prepare_invoke();
            revoke
                .key(self.revocations())
                .key(format!("{}-where", self.revocations()))
                .arg(REVOCATIONS)
                .arg(self.clock.now().as_millisecond());
            for one in part {
                let (stamp, value) = match &one.target {
                    Target::Task(id) => ("", id.as_str()),
                    Target::Stamp { name, value } => (name.as_str(), value.as_str()),
                };
                revoke
                    .arg(stamp)
                    .arg(value)
                    .arg(u8::from(one.terminate))
                    .arg(one.until.as_millisecond());
            }
            revoke
                .invoke_async::<()>(&mut self.server.shared())
                .await
                .map_err(trouble)?;
        }
        Ok(())
    }

    async fn revoked(
        &self,
        after: Option<&Mark>,
    ) -> Result<(Vec<Revocation>, Option<Mark>), ResultsError> {
        let from = after.map_or_else(|| "-".to_owned(), |mark| format!("({}", mark.0));
        let found: Vec<Entry> = redis::cmd("XRANGE")
            .arg(self.revocations())
            .arg(from)
            .arg("+")
            .arg("COUNT")
            .arg(PAGE)
            .query_async(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        let mark = found.last().map(|(id, _)| Mark(id.clone()));
        let revocations = found
            .iter()
            .filter_map(|(_, fields)| read(fields))
            .collect();
        Ok((revocations, mark.or_else(|| after.cloned())))
    }

    async fn turn(&self, ask: Ask) -> Result<Turn, ResultsError> {
        let key = format!("{}celeriac-rate-{}", self.prefix, ask.task);
        let (is_start, at): (bool, i64) = script::TURN
            .key(&key)
            .key(format!("{key}-line"))
            .arg(self.clock.now().as_microsecond())
            .arg(ask.id.as_str())
            .arg(micros(ask.pace.interval))
            .arg(micros(ask.pace.short))
            .arg(micros(ask.pace.patience))
            .arg(PROMISES)
            .invoke_async(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        let at = Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX);
        Ok(match is_start {
            true => Turn::Start(at),
            false => Turn::Return(at),
        })
    }

    async fn spend(&self, spending: Spending) -> Result<Totals, ResultsError> {
        spent::spend(self, spending).await
    }
}

/// Reads what `script::REVOKE` wrote; an entry of somebody else is passed over.
fn read(fields: &[Vec<u8>]) -> Option<Revocation> {
    let value = |name: &str| {
        let mut pairs = fields.chunks_exact(2);
        let value = pairs.find_map(|pair| (pair.first()? == name.as_bytes()).then(|| pair.last()));
        std::str::from_utf8(value??).ok()
    };
    let (stamp, text) = (value("stamp")?, value("value")?);
    let target = match stamp {
        "" => Target::Task(TaskId::parse(text).ok()?),
        name => Target::Stamp {
            name: name.to_owned(),
            value: text.to_owned(),
        },
    };
    Some(Revocation {
        target,
        terminate: value("terminate")? == "1",
        until: Timestamp::from_millisecond(value("until")?.parse().ok()?).ok()?,
    })
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
