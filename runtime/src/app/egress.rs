//! How is sent what tasks send by HTTP.

use super::{App, StartError};
use crate::config::{Address, Config, ServerUrl};
use celeriac_sandbox::{Egress, EgressSettings};

impl App {
    /// Prepares outgoing HTTP.
    pub(super) fn egress(&self) -> Result<Egress, StartError> {
        of(&self.config)
    }
}

/// Prepares outgoing HTTP; where something is granted, whom it trusts is read now.
pub(super) fn of(config: &Config) -> Result<Egress, StartError> {
    let mut own = servers(&config.broker);
    own.extend(servers(&config.result_backend));
    let egress = Egress::new(EgressSettings {
        limits: config.http.limits.clone(),
        ca_file: config.http.ca_file.clone(),
        own,
    })
    .map_err(StartError::Http)?;
    let mut grants = config.grants.values();
    if grants.any(|grant| !grant.http.hosts.is_empty()) {
        egress.prepare();
    }
    Ok(egress)
}

/// Returns the servers of an address that a guest must not reach by chance. The
/// masters that sentinels name are known to them alone.
fn servers(address: &Address) -> Vec<(String, u16)> {
    let one = |server: &ServerUrl| server.place().into_iter().collect();
    match address {
        Address::Redis(url) => one(&url.server),
        Address::Amqp(url) => one(&url.server),
        Address::Postgres(url) => one(&url.server),
        Address::Sentinel(url) => {
            let mut all = url.sentinels.clone();
            all.extend(url.server.place());
            all
        }
        Address::Embedded(_)
        | Address::Database(_)
        | Address::Files(_)
        | Address::Rpc
        | Address::Disabled => Vec::new(),
    }
}
