//! The one writer of a process: takes what waits, commits once, answers all.

use super::BATCH_STATEMENTS;
use super::lane::{self, Job, Lane};
use super::watcher::Changes;
use sqlx::{Connection, SqliteConnection};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often other processes' commits are looked for while somebody waits.
/// A look costs some 20 microseconds.
const LOOK: Duration = Duration::from_millis(25);

/// Runs until the database is closed and what was queued is done.
pub(super) async fn run(
    connection: SqliteConnection,
    mut queue: mpsc::Receiver<Job>,
    changes: Changes,
    closing: CancellationToken,
) {
    let mut writer = Writer {
        connection,
        changes: changes.clone(),
        version: None,
        looked: Instant::now(),
    };
    writer.look_for_others().await;
    let mut jobs = Vec::with_capacity(BATCH_STATEMENTS);
    loop {
        let waited_for = changes.somebody_waits();
        tokio::select! {
            biased;
            () = closing.cancelled(), if !queue.is_closed() => queue.close(),
            taken = queue.recv_many(&mut jobs, BATCH_STATEMENTS) => {
                if taken == 0 {
                    break;
                }
                gather(&mut queue, &mut jobs).await;
                writer.commit(lane::sort(&mut jobs)).await;
                if waited_for && writer.looked.elapsed() >= LOOK {
                    writer.look_for_others().await;
                }
            }
            () = tokio::time::sleep_until(writer.looked + LOOK), if waited_for => writer.look_for_others().await,
            () = changes.somebody_appears(), if !waited_for => {}
        }
    }
    changes.end();
    if let Err(error) = writer.connection.close().await {
        tracing::warn!(%error, "the database was not closed cleanly; nothing is lost");
    }
}

/// Lets tasks that are about to write do so, as long as each round brings more.
///
/// Those that one commit has answered write again at the same time. Without
/// this, the first of them would have a commit of its own.
async fn gather(queue: &mut mpsc::Receiver<Job>, jobs: &mut Vec<Job>) {
    let mut before = 0;
    while before < jobs.len() && jobs.len() < BATCH_STATEMENTS {
        before = jobs.len();
        tokio::task::yield_now().await;
        while jobs.len() < BATCH_STATEMENTS
            && let Ok(job) = queue.try_recv()
        {
            jobs.push(job);
        }
    }
}

struct Writer {
    connection: SqliteConnection,
    changes: Changes,
    /// Changes when another connection commits, and only then.
    version: Option<i64>,
    looked: Instant,
}

impl Writer {
    /// Commits lanes together. When that fails, it halves them until those that
    /// fail stand alone, so that one bad statement harms no neighbour.
    async fn commit(&mut self, lanes: Vec<Box<dyn Lane>>) {
        let mut wakes = false;
        let mut groups = vec![lanes];
        while let Some(mut group) = groups.pop() {
            match self.attempt(&mut group).await {
                Ok(()) => {
                    for lane in &mut group {
                        wakes |= lane.answer();
                    }
                }
                Err(failure) => {
                    let single = group.iter().map(|lane| lane.len()).sum::<usize>() <= 1;
                    if single || !failure.may_be_one_statement {
                        let error = Arc::new(failure.error);
                        group.iter_mut().for_each(|lane| lane.fail(&error));
                    } else {
                        groups.extend(halves(group));
                    }
                }
            }
        }
        if wakes {
            self.changes.announce();
        }
    }

    /// Runs one transaction.
    async fn attempt(&mut self, group: &mut [Box<dyn Lane>]) -> Result<(), Failure> {
        if let Err(error) = self.execute("BEGIN IMMEDIATE").await {
            return Err(Failure {
                error,
                may_be_one_statement: false,
            });
        }
        for lane in group {
            if let Err(error) = lane.apply(&mut self.connection).await {
                return Err(self.roll_back(error).await);
            }
        }
        match self.execute("COMMIT").await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.roll_back(error).await),
        }
    }

    async fn roll_back(&mut self, error: sqlx::Error) -> Failure {
        // SQLite may have rolled back already, as it does on a full disk; then
        // this one is refused, and that is fine.
        drop(self.execute("ROLLBACK").await);
        Failure {
            error,
            may_be_one_statement: true,
        }
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(sql)
            .execute(&mut self.connection)
            .await
            .map(drop)
    }

    /// Wakes the waiters when another process has committed since the last look.
    async fn look_for_others(&mut self) {
        self.looked = Instant::now();
        match sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(&mut self.connection)
            .await
        {
            Ok(version) => {
                if self
                    .version
                    .replace(version)
                    .is_some_and(|before| before != version)
                {
                    self.changes.announce();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "commits of other processes could not be looked for");
            }
        }
    }
}

struct Failure {
    error: sqlx::Error,
    may_be_one_statement: bool,
}

/// Divides a failed group: lane by lane, and a single lane in two.
fn halves(mut group: Vec<Box<dyn Lane>>) -> Vec<Vec<Box<dyn Lane>>> {
    if let [lane] = group.as_mut_slice() {
        let rest = lane.split();
        group.push(rest);
    }
    group.into_iter().map(|lane| vec![lane]).collect()
}
