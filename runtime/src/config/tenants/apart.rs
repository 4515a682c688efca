//! Tenants have their messages and results in places of their own: in one place each would
//! run the other's tasks, or read the other's results.

use super::TenantConfig;
use crate::config::Config;
use crate::config::address::Address;
use crate::config::error::ConfigError;
use crate::config::reader::Reader;
use crate::task::TenantName;
use std::collections::BTreeMap;

/// Whose each place is, by what is there and where it is.
pub type Places = BTreeMap<(&'static str, String), TenantName>;

impl Config {
    /// Returns the places of tenant `default`.
    #[must_use]
    pub fn places(&self) -> Places {
        let broker = &self.broker_transport_options.global_keyprefix;
        let results = &self.result_backend_transport_options.global_keyprefix;
        let own = [
            ("broker", &self.broker, broker),
            ("result_backend", &self.result_backend, results),
        ];
        let own = own
            .into_iter()
            .filter(|(_, address, _)| is_a_place(address));
        own.map(|(what, address, prefix)| ((what, place(address, prefix)), TenantName::default()))
            .collect()
    }
}

impl TenantConfig {
    /// Takes its places, or tells who has one of them; then it takes none.
    #[must_use]
    pub fn takes_place_in(&self, places: &mut Places, name: &TenantName) -> Option<TenantName> {
        let own = self.places();
        let taken = own.iter().find_map(|place| places.get(place));
        if let Some(other) = taken {
            return Some(other.clone());
        }
        places.extend(own.into_iter().map(|place| (place, name.clone())));
        None
    }

    fn places(&self) -> Vec<(&'static str, String)> {
        let own = [
            ("broker", &self.broker),
            ("result_backend", &self.result_backend),
        ];
        let own = own.into_iter().filter(|(_, address)| is_a_place(address));
        own.map(|(what, address)| (what, place(address, &self.prefix)))
            .collect()
    }
}

/// Tells whether something is kept there.
fn is_a_place(address: &Address) -> bool {
    !matches!(address, Address::Rpc | Address::Disabled)
}

/// Refuses tenants whose messages or results would be in one place: each would run the
/// other's tasks, or read the other's results.
pub(in crate::config) fn check_apart(
    reader: &Reader,
    default: [(&'static str, &Address, &str); 2],
    tenants: &BTreeMap<TenantName, TenantConfig>,
) -> Result<(), ConfigError> {
    let mut places = BTreeMap::new();
    for (what, address, prefix) in default {
        places.insert((what, place(address, prefix)), "default");
    }
    for (name, tenant) in tenants {
        for (what, address) in [
            ("broker", &tenant.broker),
            ("result_backend", &tenant.result_backend),
        ] {
            if matches!(address, Address::Rpc | Address::Disabled) {
                continue;
            }
            let key = (what, place(address, &tenant.prefix));
            let Some(other) = places.insert(key, name.as_str()) else {
                continue;
            };
            let key = format!("tenants.{name}.{what}");
            return Err(ConfigError::Wrong {
                value: format!("{:?}", address.to_string()),
                reason: format!(
                    "it is that of tenant {other} already; give each a virtual host, a database, \
                     or a prefix in Redis, of its own"
                ),
                source_place: reader.source(&key),
                key,
            });
        }
    }
    Ok(())
}

/// Names where something is, whoever asks for them.
fn place(address: &Address, prefix: &str) -> String {
    let shown = address.to_string();
    let shown = shown.split('?').next().unwrap_or_default();
    let (scheme, rest) = shown.split_once("://").unwrap_or(("", shown));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    match address {
        Address::Redis(_) | Address::Sentinel(_) => format!("redis {host}/{path} {prefix}"),
        Address::Amqp(_) => format!("amqp {host}/{path}"),
        Address::Files(_) => format!("files {rest} {prefix}"),
        Address::Embedded(_)
        | Address::Database(_)
        | Address::Postgres(_)
        | Address::Rpc
        | Address::Disabled => format!("{scheme} {host}/{path}"),
    }
}
