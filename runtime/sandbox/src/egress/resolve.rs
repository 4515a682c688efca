//! Names to addresses, asked once for each request: what is connected to is
//! what was judged.

use super::lookups::{Asker, Lookups};
use super::policy::Host;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
#[cfg(test)]
use std::sync::Arc;

/// Addresses of one name that are looked at (64).
const ADDRESSES: usize = 64;

/// Who looks names up.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) lookups: Lookups,
    names: Names,
}

/// Who knows the addresses of names.
#[derive(Debug, Clone)]
enum Names {
    /// The machine.
    System,
    /// A table for tests.
    #[cfg(test)]
    Table(Arc<super::tests::Table>),
}

impl Resolver {
    pub(super) fn system() -> Self {
        Self {
            lookups: Lookups::default(),
            names: Names::System,
        }
    }

    #[cfg(test)]
    pub(super) fn table(table: Arc<super::tests::Table>) -> Self {
        Self {
            lookups: Lookups::default(),
            names: Names::Table(table),
        }
    }

    /// Returns the addresses of a host, for an attempt or for the worker itself. The
    /// caller gives it a time.
    pub(super) async fn addresses(
        &self,
        host: &Host,
        asker: Option<&Asker>,
    ) -> io::Result<Vec<IpAddr>> {
        let name = match host {
            Host::Address(ip) => return Ok(vec![*ip]),
            Host::Name(name) => name.clone(),
        };
        let turn = self.lookups.turn(asker).await?;
        let names = self.names.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let found = names.look(&name);
            drop(turn);
            found
        });
        looked.await.map_err(io::Error::other)?
    }
}

impl Names {
    /// Looks a name up, which may take long.
    fn look(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::System => {
                let found = (name, 0).to_socket_addrs()?;
                Ok(found.map(|one| one.ip()).take(ADDRESSES).collect())
            }
            #[cfg(test)]
            Self::Table(table) => Ok(table.addresses(name)),
        }
    }
}
