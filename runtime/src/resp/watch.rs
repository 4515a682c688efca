//! A connection that is told by the server when keys change.

use super::{ANSWER, CONNECT, RedisServer};
use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisError,
    Script, ToRedisArgs, cmd,
};
use futures::FutureExt as _;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Notify;

/// Tells that keys changed which were read through it (`CLIENT TRACKING`), without
/// taking anything and without a setting of the server.
pub struct Watch {
    connection: MultiplexedConnection,
    changed: Arc<Notify>,
}

impl RedisServer {
    /// Opens a connection that is told of changes.
    ///
    /// # Errors
    /// What the server or the network said; see [`cannot_watch`].
    pub async fn watch(&self) -> Result<Watch, RedisError> {
        // Only the third protocol has messages that nobody asked for.
        let info = self.client().await?.get_connection_info().clone();
        let redis = info.redis_settings().clone();
        let redis = redis.set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(redis))?;
        let changed = Arc::new(Notify::new());
        let told = Arc::clone(&changed);
        let tell = move |info: PushInfo| -> Result<(), ()> {
            if matches!(info.kind, PushKind::Invalidate | PushKind::Disconnection) {
                told.notify_one();
            }
            Ok(())
        };
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_push_sender(tell);
        let opened = client
            .get_multiplexed_async_connection_with_config(&settings)
            .await;
        let mut connection = self.opened(opened)?;
        cmd("CLIENT")
            .arg("TRACKING")
            .arg("ON")
            .exec_async(&mut connection)
            .await?;
        Ok(Watch {
            connection,
            changed,
        })
    }
}

impl Watch {
    /// Runs a script that only reads. From that moment on, the next change of what
    /// it read is told, and so is the end of the connection.
    ///
    /// # Errors
    /// What the server or the network said.
    pub async fn read<T: ::redis::FromRedisValue>(
        &mut self,
        script: &Script,
        keys: &[String],
        argument: impl ToRedisArgs,
    ) -> Result<T, RedisError> {
        // An earlier change is no news: this read sees it.
        let _earlier = self.changed.notified().now_or_never();
        let mut call = script.prepare_invoke();
        for key in keys {
            call.key(key);
        }
        call.arg(argument).invoke_async(&mut self.connection).await
    }

    /// Waits for a change. Cancel-safe.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// Tells whether [`RedisServer::watch`] failed because the server, a proxy before it
/// or the rights of the user do not allow it, so that another try is no use.
#[must_use]
pub fn cannot_watch(error: &RedisError) -> bool {
    error.kind() == ErrorKind::RESP3NotSupported
        || matches!(error.code(), Some("ERR" | "NOPERM" | "NOPROTO"))
}
