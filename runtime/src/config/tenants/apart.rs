//! Whether tenants are apart: each has a place of its own for its messages, and one for its
//! results.

use super::TenantConfig;
use crate::config::address::Address;
use crate::config::error::ConfigError;
use crate::config::reader::Reader;
use crate::task::TenantName;
use std::collections::BTreeMap;

/// Refuses tenants whose messages or results would be in one place: each would run the
/// other's tasks, or read the other's results.
pub(super) fn check(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, RawConfig};
    use std::path::Path;

    /// Reads a configuration whose tenant `default` is at these places.
    fn read(broker: &str, results: &str, tenants: &str) -> Result<(), String> {
        let text = format!("broker = \"{broker}\"\nresult_backend = \"{results}\"\n{tenants}");
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("celeriac.toml"), &text).unwrap();
        let checked = Config::check(raw).map_err(|error| error.to_string());
        checked.map(drop)
    }

    fn acme(broker: &str, results: &str, more: &str) -> String {
        format!("[tenants.acme]\nbroker = \"{broker}\"\nresult_backend = \"{results}\"\n{more}\n")
    }

    #[test]
    fn whatever_names_one_place_is_one_place() {
        let own = ("redis://h:6379/1", "db+postgresql://h:5432/d");
        for (broker, results, of) in [
            ("redis://h:6379/1", "redis://h:6379/2", "prefix = \"a:\""),
            ("redis://u:pw@h:6379/1", "redis://h:6379/2", ""),
            ("amqp://h:5672/acme", "redis://h:6379/1", ""),
            ("amqp://h:5672/acme", "rpc://", ""),
            ("amqp://h:5672/acme", "disabled://", ""),
            ("redis://other:6379/1", "db+postgresql://h:5432/acme", ""),
        ] {
            assert_eq!(read(own.0, own.1, &acme(broker, results, of)), Ok(()));
        }
        let other = "[tenants.other]\nbroker = \"redis://o@h:6379/1\"\nprefix = \"a:\"\n";
        let one = acme("redis://h:6379/1", "redis://h:6379/2", "prefix = \"a:\"");
        let error = read(own.0, own.1, &(one + other)).unwrap_err();
        assert!(error.contains("tenants.other.broker"), "{error}");
        assert!(error.contains("that of tenant acme already"), "{error}");
        let error = read(own.0, own.1, &acme("amqp://h/a", own.1, "")).unwrap_err();
        assert!(error.contains("tenants.acme.result_backend"), "{error}");
        assert!(error.contains("that of tenant default already"), "{error}");
    }

    #[test]
    fn two_virtual_hosts_of_one_server_are_two_places_whoever_the_user_is() {
        let own = ("amqp://guest:guest@h:5672/own", "rpc://");
        assert_eq!(
            read(own.0, own.1, &acme("amqp://h:5672/acme", "rpc://", "")),
            Ok(())
        );
        let error = read(own.0, own.1, &acme("amqp://a:b@h:5672/own", "rpc://", "")).unwrap_err();
        assert!(error.contains("tenants.acme.broker"), "{error}");
        assert!(!error.contains("a:b@"), "{error}");
    }

    #[test]
    fn one_folder_of_results_is_one_place_unless_prefixes_tell_them_apart() {
        let own = ("redis://h/0", "file:///r");
        let same = acme("redis://h/1", "file:///r", "");
        assert_eq!(read(own.0, own.1, &same), Ok(()));
        let error = read(
            "redis://h/0",
            "sqlite:///r",
            &acme("redis://h/1", "sqlite:///r", ""),
        );
        assert!(error.unwrap_err().contains("tenants.acme.result_backend"));
    }
}
