//! Names to addresses, asked once for each request: what is connected to is
//! what was judged.

use super::policy::Host;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Lookups at once in a worker (64): each holds a thread, and may hold it long
/// after the attempt that asked for it has ended.
const LOOKUPS: usize = 64;
/// Addresses of one name that are looked at (64).
const ADDRESSES: usize = 64;

/// Who knows the addresses of names.
#[derive(Debug)]
pub(super) enum Resolver {
    /// The machine's.
    System(Arc<Semaphore>),
    /// A table for tests.
    #[cfg(test)]
    Table(super::tests::Table),
}

impl Resolver {
    pub(super) fn system() -> Self {
        Self::System(Arc::new(Semaphore::new(LOOKUPS)))
    }

    /// Returns the addresses of a host. The caller gives it a time.
    pub(super) async fn addresses(&self, host: &Host) -> io::Result<Vec<IpAddr>> {
        let name = match host {
            Host::Address(ip) => return Ok(vec![*ip]),
            Host::Name(name) => name.clone(),
        };
        match self {
            Self::System(lookups) => system(lookups, name).await,
            #[cfg(test)]
            Self::Table(table) => Ok(table.addresses(&name)),
        }
    }
}

async fn system(lookups: &Arc<Semaphore>, name: String) -> io::Result<Vec<IpAddr>> {
    let place = Arc::clone(lookups).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let looked = tokio::task::spawn_blocking(move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        drop(place);
        found.map(|found| found.map(|one| one.ip()).take(ADDRESSES).collect())
    });
    looked.await.map_err(io::Error::other)?
}
