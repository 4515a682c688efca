//! Where the rows are, our own file or a Postgres server that several machines share, and
//! where components are, the data folder or a bucket.
//!
//! The statements are the same. What is written to the file goes through its one writer, as
//! all that is written there, and its commits wake whoever waits. A server is asked for its
//! numbers every 200 ms, once for all that wait in this process.

use super::bucket::Bucket;
use super::error::RegistryError;
use super::noted::Change;
use crate::clock::Clock;
use crate::database::{self, Database, DatabaseError, SqliteConnection, Statement};
use crate::sql::{Kind, Line, Link, Row, Sql, SqlError, Value};
use crate::task::TenantName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Time between two looks at a server while somebody waits (200 ms): a push is to be heard
/// of within a second, and a look is one row.
const LOOK: Duration = Duration::from_millis(200);
/// The numbers that move with what others wait for; workers elsewhere wait for tenants too.
const NUMBERS: &str = "SELECT r.generation, r.kills, p.generation FROM registry r \
     JOIN platform p ON p.id = r.id WHERE r.id = 1";
/// Keeps other writers of a server away until this transaction ends: what it read stays so.
/// The file has one writer anyway.
const ALONE: &str = "SELECT id FROM registry WHERE id = 1 FOR UPDATE";

/// The registry's rows and components, and how changes are noticed. A cheap handle.
#[derive(Debug, Clone)]
pub struct Store {
    place: Place,
    bucket: Option<Bucket>,
    /// Of a replica: how many bytes of components and artifacts it keeps at most.
    room: Option<u64>,
    /// The quotas `module_bytes` of the configuration.
    module_bytes: Arc<BTreeMap<TenantName, u64>>,
}

#[derive(Debug, Clone)]
enum Place {
    File(Database),
    Server {
        sql: Sql,
        clock: Clock,
        seen: Arc<Mutex<Seen>>,
    },
}

/// The numbers of a server: modules, kills, tenants.
type Moved = (i64, i64, i64);

/// What a server's numbers were, and when they were looked at.
#[derive(Debug, Default)]
pub(super) struct Seen {
    numbers: Option<Moved>,
    looked: Option<Instant>,
}

/// One change in one transaction. It may be tried again, after it was undone.
pub(super) trait Work: Send + Sync + Sized + 'static {
    /// What the caller gets after the commit.
    type Output: Send + 'static;

    /// Does it, within a transaction.
    fn work(
        &self,
        line: &mut Line<'_>,
    ) -> impl Future<Output = Result<Self::Output, sqlx::Error>> + Send;

    /// Returns what the audit is told of it; `None` where nothing was changed that it has.
    fn change(&self, _output: &Self::Output) -> Option<Change> {
        None
    }

    /// Tells whether somebody may wait for it.
    fn wakes(&self) -> bool {
        true
    }

    /// Tells whether what it reads must stay so until it is done.
    fn is_alone(&self) -> bool {
        true
    }
}

impl Store {
    /// Keeps the rows in our own file.
    #[must_use]
    pub fn file(database: Database) -> Self {
        Self {
            place: Place::File(database),
            bucket: None,
            room: None,
            module_bytes: Arc::default(),
        }
    }

    /// Keeps the rows in a database that others share, making the tables where they are
    /// missing.
    ///
    /// # Errors
    /// [`RegistryError::Sql`] when it is away, or is not ours.
    pub async fn server(sql: Sql, clock: Clock) -> Result<Self, RegistryError> {
        sql.migrate(&clock).await?;
        let seen = Arc::default();
        Ok(Self {
            place: Place::Server { sql, clock, seen },
            bucket: None,
            room: None,
            module_bytes: Arc::default(),
        })
    }

    /// Keeps components in a bucket instead of the data folder.
    #[must_use]
    pub fn with_bucket(mut self, bucket: Bucket) -> Self {
        self.bucket = Some(bucket);
        self
    }

    /// Makes it the replica of a control plane's, whose files have `room` bytes at most.
    #[must_use]
    pub fn as_replica(mut self, room: u64) -> Self {
        self.room = Some(room);
        self
    }

    /// Returns how many bytes a replica's files have at most; `None` of what is no replica.
    pub(super) fn room(&self) -> Option<u64> {
        self.room
    }

    /// Tells whether it is a file, which may have been made a replica.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.place, Place::File(_))
    }

    /// Holds tenants to the most bytes that the configuration lets their modules have,
    /// beside what the rows of the tenants say.
    #[must_use]
    pub fn with_module_bytes(mut self, most: BTreeMap<TenantName, u64>) -> Self {
        self.module_bytes = Arc::new(most);
        self
    }

    /// Returns the most bytes that the configuration lets the modules of a tenant have.
    pub(super) fn module_bytes(&self, tenant: &TenantName) -> Option<u64> {
        self.module_bytes.get(tenant).copied()
    }

    /// Returns the bucket of components, where they are in one.
    pub(super) fn bucket(&self) -> Option<&Bucket> {
        self.bucket.as_ref()
    }

    /// Returns the clock that rows are dated by.
    pub(super) fn clock(&self) -> &Clock {
        match &self.place {
            Place::File(database) => database.clock(),
            Place::Server { clock, .. } => clock,
        }
    }

    /// Reads by one statement, which sees one state of the database.
    pub(super) async fn rows(
        &self,
        sql: &str,
        values: Vec<Value>,
        kinds: &[Kind],
    ) -> Result<Vec<Row>, RegistryError> {
        match &self.place {
            Place::File(database) => {
                let mut reader = database.read().await?;
                let rows = Line::File(&mut reader).rows(sql, values, kinds).await;
                Ok(rows.map_err(DatabaseError::from)?)
            }
            Place::Server { sql: server, .. } => {
                let read = async |link: &mut Link| link.rows(sql, values, kinds).await;
                Ok(Box::pin(server.transaction(false, read)).await?)
            }
        }
    }

    /// Changes something durably. When the caller goes away, it may or may not be changed.
    pub(super) async fn write<W: Work>(&self, work: W) -> Result<W::Output, RegistryError> {
        match &self.place {
            Place::File(database) => Ok(database.write(Written(work)).await?),
            Place::Server { sql, .. } => {
                let write = async |link: &mut Link| -> Result<W::Output, SqlError> {
                    if work.is_alone() {
                        link.rows(ALONE, Vec::new(), &[Kind::Int]).await?;
                    }
                    Ok(work.work(&mut Line::Link(link)).await?)
                };
                // Few wait for a server, and its transaction is large.
                Ok(Box::pin(sql.transaction(true, write)).await?)
            }
        }
    }

    /// Returns a watcher that notices changes from now on.
    pub(super) fn watch(&self) -> Watcher {
        match &self.place {
            Place::File(database) => Watcher::File(database.watch()),
            Place::Server { sql, seen, .. } => Watcher::Server {
                sql: sql.clone(),
                seen: Arc::clone(seen),
                known: None,
            },
        }
    }
}

/// Notices changes of the registry; make it, look, and wait only then.
#[derive(Debug)]
pub(super) enum Watcher {
    File(database::Watcher),
    Server {
        sql: Sql,
        seen: Arc<Mutex<Seen>>,
        known: Option<Moved>,
    },
}

impl Watcher {
    /// Waits until something may have changed. Cancel-safe.
    ///
    /// # Errors
    /// When nothing can change any more, as the file was closed.
    pub(super) async fn changed(&mut self) -> Result<(), RegistryError> {
        match self {
            Self::File(watcher) => Ok(watcher.changed().await?),
            Self::Server { sql, seen, known } => {
                loop {
                    let numbers = look(sql, seen).await;
                    // Whoever cannot look finds out by reading what is wrong.
                    if numbers.is_none() || *known != numbers {
                        *known = numbers;
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Looks at the numbers, at most every 200 ms for all that wait.
async fn look(sql: &Sql, seen: &Mutex<Seen>) -> Option<Moved> {
    let before = seen.lock().await.looked;
    if let Some(before) = before {
        tokio::time::sleep_until(before + LOOK).await;
    }
    let mut seen = seen.lock().await;
    if seen.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
        return seen.numbers;
    }
    let read = async |link: &mut Link| link.rows(NUMBERS, Vec::new(), &[Kind::Int; 3]).await;
    let rows = sql.transaction(false, read).await;
    seen.looked = Some(Instant::now());
    seen.numbers = rows.ok().and_then(|rows| {
        let mut row = rows.into_iter().next()?;
        Some((row.int()?, row.int()?, row.int()?))
    });
    seen.numbers
}

/// A change as a statement of our own file.
struct Written<W>(W);

impl<W: Work> Statement for Written<W> {
    type Output = W::Output;

    fn wakes(&self) -> bool {
        self.0.wakes()
    }

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<W::Output>, sqlx::Error> {
        let mut done = Vec::with_capacity(batch.len());
        for Self(work) in batch {
            done.push(work.work(&mut Line::File(conn)).await?);
        }
        Ok(done)
    }
}
