//! A connection that many tasks use at once.

use super::sentinel::Master;
use ::redis::aio::{ConnectionLike, ConnectionManager};
use ::redis::{Cmd, Pipeline, RedisFuture, Value};
use futures::FutureExt as _;
use std::sync::Arc;

/// A connection whose calls travel together, and that is opened again by itself when
/// it is lost: to the same server, or to the one that is the master by then.
#[derive(Clone)]
pub struct Shared(pub(super) Place);

/// Where it leads.
#[derive(Clone)]
pub(super) enum Place {
    /// Always the same server.
    Fixed(ConnectionManager),
    /// The server that sentinels call the master.
    Master(Arc<Master>),
}

impl ConnectionLike for Shared {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.0 {
            Place::Fixed(manager) => manager.req_packed_command(cmd),
            Place::Master(master) => master
                .call(
                    async |mut connection| connection.req_packed_command(cmd).await,
                    std::slice::from_ref,
                )
                .boxed(),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.0 {
            Place::Fixed(manager) => manager.req_packed_commands(pipeline, offset, count),
            Place::Master(master) => master
                .call(
                    async move |mut connection| {
                        connection
                            .req_packed_commands(pipeline, offset, count)
                            .await
                    },
                    Vec::as_slice,
                )
                .boxed(),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Place::Fixed(manager) => manager.get_db(),
            Place::Master(master) => master.database(),
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
