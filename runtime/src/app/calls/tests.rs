//! Clients of tenants; tasks are called in the end-to-end tests, of real workers.

use super::clients::{CLIENTS, Clients};
use crate::clock::Clock;
use crate::config::{Config, RawConfig};
use crate::platform::Tenant;
use crate::task::{Ceiling, Quota, Weight};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

fn clients() -> (Clients, Clock, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut raw = RawConfig::default();
    raw.set_flag("data", "data", folder.path().display().to_string());
    let (config, _) = Config::check(raw).unwrap();
    let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
    (Clients::new(config, clock.clone()), clock, folder)
}

/// A tenant whose broker is nobody's: it is asked only when something is called.
fn tenant(name: &str, broker: &str) -> Tenant {
    Tenant {
        name: name.parse().unwrap(),
        created_at: Timestamp::UNIX_EPOCH,
        suspended: false,
        weight: Weight::default(),
        quota: Quota::default(),
        ceiling: Ceiling::default(),
        may: Vec::new(),
        broker: Some(broker.to_owned()),
        result_backend: Some("redis://127.0.0.1:1/1".to_owned()),
    }
}

#[tokio::test]
async fn a_client_is_opened_once_and_again_for_other_addresses() {
    let (clients, _, _folder) = clients();
    let acme = tenant("acme", "redis://127.0.0.1:1/0");
    let first = clients.get(&acme).await.unwrap();
    assert!(Arc::ptr_eq(&first, &clients.get(&acme).await.unwrap()));
    let options = &first.config.broker_transport_options;
    assert_eq!(options.global_keyprefix, "celeriac:acme:");
    let moved = tenant("acme", "redis://127.0.0.1:1/7");
    let second = clients.get(&moved).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    clients.close().await;
}

#[tokio::test]
async fn only_so_many_are_open_and_those_nobody_uses_make_room() {
    let (clients, clock, _folder) = clients();
    let of = |at: usize| tenant(&format!("t{at}"), "redis://127.0.0.1:1/0");
    let mut held = Vec::new();
    for at in 0..CLIENTS {
        held.push(clients.get(&of(at)).await.unwrap());
    }
    let refused = clients.get(&of(CLIENTS)).await.unwrap_err().to_string();
    assert!(
        refused.contains("256 tenants are served at once"),
        "{refused}"
    );
    let first = held.swap_remove(0);
    drop(first);
    let newcomer = clients.get(&of(CLIENTS)).await.unwrap();
    // Those that are held stay, however long.
    clock.advance(Duration::from_secs(3_600));
    let one = clients.get(&of(1)).await.unwrap();
    assert!(held.iter().any(|held| Arc::ptr_eq(held, &one)));
    drop((held, one));
    clock.advance(Duration::from_secs(3_600));
    let same = clients.get(&of(CLIENTS)).await.unwrap();
    assert!(Arc::ptr_eq(&newcomer, &same));
    assert_eq!(clients.len(), 1);
}

#[tokio::test]
async fn addresses_that_cannot_be_used_are_told_to_nobody() {
    let (clients, _, _folder) = clients();
    let wrong = tenant("acme", "kafka://s3cret@h");
    let refused = clients.get(&wrong).await.unwrap_err();
    assert!(!refused.to_string().contains("s3cret"), "{refused}");
}
