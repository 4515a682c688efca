//! Calls that wait together share one transaction.
//!
//! Whoever gets the turn does the work of all who wait, as one commit costs as much as
//! a hundred. When its caller goes away on the way, everything it had taken is undone,
//! unless it was being committed, and the others hear that they must ask again.

use super::super::{Begun, ResultsError, Start, Write, Written};
use super::row::{self, Row};
use super::tables::Tables;
use super::{DatabaseResults, SYSTEM, write};
use crate::sql::{Link, SqlError};
use crate::task::TaskId;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Mutex as Turn, oneshot};

/// Most calls of one transaction: others wait for the file, or for a lock, meanwhile.
const TOGETHER: usize = 128;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Begin(Start),
    Write(Box<Write>),
}

/// What is answered.
#[derive(Debug)]
pub(super) enum Answer {
    Begun(Begun),
    Written(Written),
}

#[derive(Debug)]
struct Job {
    ask: Ask,
    answer: oneshot::Sender<Result<Answer, ResultsError>>,
}

/// Who waits.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: Mutex<Vec<Job>>,
    turn: Turn<()>,
}

impl Ask {
    fn id(&self) -> &TaskId {
        match self {
            Self::Begin(start) => &start.id,
            Self::Write(write) => &write.id,
        }
    }
}

impl Lane {
    /// Asks, and waits for the answer.
    pub(super) async fn ask(
        &self,
        results: &DatabaseResults,
        ask: Ask,
    ) -> Result<Answer, ResultsError> {
        let (answer, mut answered) = oneshot::channel();
        self.jobs().push(Job { ask, answer });
        loop {
            tokio::select! {
                biased;
                answer = &mut answered => return answer.unwrap_or_else(|_| Err(left())),
                _turn = self.turn.lock() => work(results, self.taken()).await,
            }
        }
    }

    fn taken(&self) -> Vec<Job> {
        let mut waiting = self.jobs();
        // Nobody waits any more for those whose caller went away.
        waiting.retain(|job| !job.answer.is_closed());
        let many = waiting.len().min(TOGETHER);
        waiting.drain(..many).collect()
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, Vec<Job>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does the work of all, or of each alone where one of them is refused.
async fn work(results: &DatabaseResults, jobs: Vec<Job>) {
    let asks: Vec<&Ask> = jobs.iter().map(|job| &job.ask).collect();
    let answers = match together(results, &asks).await {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(SqlError::Refused { .. }) if asks.len() > 1 => {
            let mut answers = Vec::with_capacity(asks.len());
            for ask in &asks {
                let answer = together(results, &[ask]).await;
                answers.push(answer.and_then(|mut answers| answers.pop().ok_or_else(lost)));
            }
            answers
        }
        Err(error) => {
            let reason = error.to_string();
            let again = || SqlError::Unavailable {
                reason: reason.clone(),
                source: None,
            };
            let mut answers: Vec<_> = asks.iter().skip(1).map(|_| Err(again())).collect();
            answers.push(Err(error));
            answers
        }
    };
    for (job, answer) in jobs.into_iter().zip(answers) {
        // Its caller may have gone away.
        drop(job.answer.send(answer.map_err(ResultsError::from)));
    }
}

async fn together(results: &DatabaseResults, asks: &[&Ask]) -> Result<Vec<Answer>, SqlError> {
    let tables = results.tables().await?;
    let now = results.clock.now();
    let ids: Vec<&TaskId> = asks.iter().map(|ask| ask.id()).collect();
    // Only who begins needs to know more than states.
    let whole = asks.iter().any(|ask| matches!(ask, Ask::Begin(_)));
    results
        .sql
        .transaction(true, async |link| {
            tables.lock(link, ids.iter().map(|id| id.as_str())).await?;
            let mut rows = row::find(link, tables, &ids, whole).await?;
            let mut answers = Vec::with_capacity(asks.len());
            for ask in asks {
                answers.push(one(link, tables, results, &mut rows, ask, now).await?);
            }
            Ok(answers)
        })
        .await
}

async fn one(
    link: &mut Link,
    tables: &Tables,
    results: &DatabaseResults,
    rows: &mut HashMap<TaskId, Row>,
    ask: &Ask,
    now: Timestamp,
) -> Result<Answer, SqlError> {
    let row = rows.entry(ask.id().clone()).or_default();
    Ok(match ask {
        Ask::Begin(start) => Answer::Begun(write::begin(link, tables, row, start, now).await?),
        Ask::Write(ask) => {
            Answer::Written(write::write(link, tables, results.form, row, ask, now).await?)
        }
    })
}

fn lost() -> SqlError {
    SqlError::Unavailable {
        reason: "no answer".to_owned(),
        source: None,
    }
}

fn left() -> ResultsError {
    ResultsError::Unavailable {
        system: SYSTEM,
        reason: "whoever had begun the transaction went away".to_owned(),
        source: None,
    }
}
