//! Finding the master that sentinels watch over, and finding it again when another
//! server has become it.

use super::{ANSWER, CONNECT, needs_a_person};
use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisError, Value, cmd,
};
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _, Shared};
use futures::stream::FuturesUnordered;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pause after a search that found no master (200 ms): sentinels need seconds to
/// agree upon another one.
const PAUSE: Duration = Duration::from_millis(200);

/// Where to ask for a master.
#[derive(Clone, Default)]
pub struct Sentinels {
    /// Host and port of each.
    pub places: Vec<(String, u16)>,
    /// What they call the master.
    pub master: String,
    /// A user of the sentinels themselves.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
}

/// The server that is the master just now.
pub(super) struct Master {
    seeker: Arc<Seeker>,
    search: Mutex<Search>,
}

/// A search that all share who wait for its end.
type Search = Shared<BoxFuture<'static, Result<Found, RedisError>>>;

/// A master, found.
#[derive(Clone)]
struct Found {
    client: Client,
    connection: MultiplexedConnection,
}

struct Seeker {
    sentinels: Vec<Client>,
    name: String,
    /// User, password and database; the address is put into it.
    server: ConnectionInfo,
}

impl Master {
    /// Prepares searches; the first one starts when it is wanted.
    pub(super) fn new(sentinels: &Sentinels, server: &ConnectionInfo) -> Result<Self, RedisError> {
        let seeker = Arc::new(Seeker {
            sentinels: sentinels.clients()?,
            name: sentinels.master.clone(),
            server: server.clone(),
        });
        let search = Mutex::new(Seeker::search(&seeker, Duration::ZERO));
        Ok(Self { seeker, search })
    }

    /// Calls the master. A failure that tells of a lost connection, or of a server that
    /// is no master any more, is returned, and lets the next call look for another one.
    pub(super) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(MultiplexedConnection) -> Result<T, RedisError>,
        answers: impl Fn(&T) -> &[Value],
    ) -> Result<T, RedisError> {
        let (search, found) = self.found().await?;
        let result = call(found.connection).await;
        let is_over = match &result {
            Ok(values) => answers(values).iter().any(|value| {
                matches!(value, Value::ServerError(error) if is_over(&error.clone().into()))
            }),
            Err(error) => is_over(error),
        };
        if is_over {
            self.replace(&search, Duration::ZERO);
        }
        result
    }

    /// Returns how to connect to the master.
    pub(super) async fn client(&self) -> Result<Client, RedisError> {
        Ok(self.found().await?.1.client)
    }

    /// Lets the next call look for the master: another connection to it failed.
    pub(super) fn doubt(&self) {
        let search = self.lock().clone();
        if search.peek().is_some() {
            self.replace(&search, Duration::ZERO);
        }
    }

    pub(super) fn database(&self) -> i64 {
        self.seeker.server.redis_settings().db()
    }

    async fn found(&self) -> Result<(Search, Found), RedisError> {
        let search = self.lock().clone();
        match search.clone().await {
            Ok(found) => Ok((search, found)),
            Err(error) => {
                self.replace(&search, PAUSE);
                Err(error)
            }
        }
    }

    /// Puts a new search into the place of a finished one; others may have done so.
    fn replace(&self, finished: &Search, pause: Duration) {
        let mut search = self.lock();
        if search.ptr_eq(finished) {
            *search = Seeker::search(&self.seeker, pause);
        }
    }

    /// A search that a panicking thread left is still a search.
    fn lock(&self) -> MutexGuard<'_, Search> {
        self.search.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seeker {
    fn search(seeker: &Arc<Self>, pause: Duration) -> Search {
        let seeker = Arc::clone(seeker);
        let search = async move {
            tokio::time::sleep(pause).await;
            seeker.find().await
        };
        search.boxed().shared()
    }

    /// Asks all sentinels at once: who is away costs no time, and who does not know of a
    /// change yet leads to a server that says so itself.
    async fn find(&self) -> Result<Found, RedisError> {
        let mut answers: FuturesUnordered<_> = self
            .sentinels
            .iter()
            .map(|sentinel| async {
                let answer = tokio::time::timeout(ANSWER, self.through(sentinel)).await;
                answer.unwrap_or_else(|_| Err(timed_out()))
            })
            .collect();
        let mut worst: Option<RedisError> = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(found) => return Ok(found),
                // What may pass is not made a matter of the configuration by another.
                Err(error) if worst.as_ref().is_none_or(needs_a_person) => worst = Some(error),
                Err(_) => {}
            }
        }
        Err(worst.unwrap_or_else(timed_out))
    }

    async fn ask(&self, sentinel: &Client) -> Result<Option<(String, u16)>, RedisError> {
        cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.name)
            .query_async(&mut connect(sentinel).await?)
            .await
    }

    /// Asks one sentinel, and the server that it names.
    async fn through(&self, sentinel: &Client) -> Result<Found, RedisError> {
        let place = self.ask(sentinel).await.map_err(of_sentinel)?;
        let (host, port) = place.ok_or_else(|| {
            let name = format!("{:?}, see master_name of the transport options", self.name);
            RedisError::from((
                ErrorKind::InvalidClientConfig,
                "the sentinels know no master of this name",
                name,
            ))
        })?;
        let address = ConnectionAddr::Tcp(host, port);
        let client = Client::open(self.server.clone().set_addr(address))?;
        let mut connection = connect(&client).await?;
        match cmd("ROLE").query_async::<Vec<Value>>(&mut connection).await {
            Ok(role) if is_master(&role) => {}
            Ok(_) => {
                return Err(RedisError::from((
                    ErrorKind::Io,
                    "the server that a sentinel calls the master is none yet",
                )));
            }
            // A user who may not ask believes the sentinel.
            Err(error) if error.code() == Some("NOPERM") => {}
            Err(error) => return Err(error),
        }
        Ok(Found { client, connection })
    }
}

/// Tells whose user and password are wrong: the sentinels have their own.
fn of_sentinel(error: RedisError) -> RedisError {
    match needs_a_person(&error) {
        true => RedisError::from((
            ErrorKind::AuthenticationFailed,
            "a sentinel refuses us, see sentinel_kwargs of the transport options",
            error.to_string(),
        )),
        false => error,
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER));
    client
        .get_multiplexed_async_connection_with_config(&settings)
        .await
}

fn is_master(role: &[Value]) -> bool {
    match role.first() {
        Some(Value::BulkString(word)) => word.as_slice() == b"master",
        Some(Value::SimpleString(word)) => word == "master",
        _ => false,
    }
}

/// Tells whether this connection has no future. A server that answers nobody is as
/// good as away: another may have become the master.
fn is_over(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("READONLY" | "MASTERDOWN"))
        // Up to Redis 6.2, this is how a script says so.
        || error.detail().is_some_and(|detail| detail.contains("READONLY"))
}

pub(super) fn timed_out() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))
}

impl Sentinels {
    fn clients(&self) -> Result<Vec<Client>, RedisError> {
        let client = |(host, port): &(String, u16)| {
            let info = ConnectionAddr::Tcp(host.clone(), *port).into_connection_info()?;
            let mut user = info.redis_settings().clone();
            if let Some(username) = &self.username {
                user = user.set_username(username);
            }
            if let Some(password) = &self.password {
                user = user.set_password(password);
            }
            Client::open(info.set_redis_settings(user))
        };
        self.places.iter().map(client).collect()
    }
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password stays out of it.
        f.debug_struct("Sentinels")
            .field("places", &self.places)
            .field("master", &self.master)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Master").field(&self.seeker.name).finish()
    }
}
