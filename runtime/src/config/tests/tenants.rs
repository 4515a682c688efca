//! The sections `[tenants.NAME]`.

use crate::config::address::Address;
use crate::config::{Config, RawConfig, TenantConfig};
use crate::task::{Ceiling, Quota, Share, TenantName};
use std::path::Path;
use std::time::Duration;

fn check(text: &str) -> Result<Config, String> {
    let mut raw = RawConfig::default();
    raw.read_text(Path::new("celeriac.toml"), text).unwrap();
    let checked = Config::check(raw).map_err(|error| error.to_string());
    checked.map(|(config, _)| config)
}

fn acme() -> TenantName {
    "acme".parse().unwrap()
}

fn read(text: &str) -> TenantConfig {
    let config = check(&format!("[tenants.acme]\n{text}")).unwrap();
    config.tenants[&acme()].clone()
}

#[test]
fn a_section_without_a_word_is_a_place_of_its_own_and_the_ceiling_of_default() {
    let config = check("[tenants.default]\nmemory = \"128MiB\"\n[tenants.acme]\nweight = 100\n");
    let config = config.unwrap();
    let tenant = &config.tenants[&acme()];
    let folder = config.data.join("tenants/acme");
    assert_eq!(tenant.broker, Address::Embedded(folder.clone()));
    assert_eq!(tenant.result_backend, Address::Embedded(folder));
    assert_eq!(tenant.prefix, "celeriac:acme:");
    assert_eq!(tenant.queues, ["celery"]);
    assert_eq!(tenant.share, Share::default());
    assert_eq!(tenant.ceiling.memory, 128 << 20);
    assert_eq!(tenant.ceiling, config.ceiling);
    assert!(tenant.grants.is_empty());
}

#[test]
fn what_is_written_of_a_tenant_is_its_own() {
    let text = "broker = \"amqp://h/acme\"\nresult_backend = \"redis://h/1\"\nprefix = \"a:\"\n\
        queues = [\"mail\"]\nsuspended = true\nweight = 50\nconcurrency = 8\n\
        starts_per_minute = 60\nqueue_depth = 9\nmodule_bytes = \"1MiB\"\nresult_bytes = \"2MiB\"\n\
        cpu_per_hour = \"10m\"\ncpu_per_day = \"1h\"\nwall = \"10s\"\nmax_retries = 2\n\
        [tenants.acme.grants.images]\nsubmit = [\"images.*\"]\n";
    let tenant = read(text);
    assert_eq!(tenant.broker.to_string(), "amqp://guest:***@h:5672/acme");
    assert_eq!(
        (tenant.prefix.as_str(), tenant.queues),
        ("a:", vec!["mail".to_owned()])
    );
    let quota = Quota {
        concurrency: Some(8),
        starts_per_minute: Some(60),
        queue_depth: Some(9),
        module_bytes: Some(1 << 20),
        result_bytes: Some(2 << 20),
        cpu_per_hour_seconds: Some(600),
        cpu_per_day_seconds: Some(3_600),
    };
    assert_eq!(tenant.share.quota, quota);
    assert!(tenant.share.suspended);
    assert_eq!(tenant.share.weight.get(), 50);
    assert_eq!(tenant.ceiling.wall, Duration::from_secs(10));
    assert_eq!(tenant.max_retries, 2);
    assert_eq!(tenant.grants.keys().collect::<Vec<_>>(), ["images"]);
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_can() {
    for (text, words) in [
        ("[tenants.Acme]\nweight = 1", "tenants"),
        ("[tenants.acme]\nwieght = 1", "tenants.acme.weight"),
        ("[tenants.acme]\nweight = 0", "at least 1"),
        ("[tenants.acme]\nweight = 10001", "at most 10000"),
        ("[tenants.acme]\nconcurrency = 0", "at least 1"),
        ("[tenants.acme]\nconcurrency = 4001", "at most 4000"),
        (
            "[tenants.acme]\nstarts_per_minute = 1000000001",
            "at most 1000000000",
        ),
        ("[tenants.acme]\nmodule_bytes = 5", "no unit"),
        (
            "[tenants.acme]\nmodule_bytes = \"2000000000GiB\"",
            "at most",
        ),
        ("[tenants.acme]\ncpu_per_day = \"500ms\"", "at least"),
        ("[tenants.acme]\nprefix = \"\"", "those of tenant default"),
        (
            "[tenants.acme]\nbroker = \"sentinel://h/0\"",
            "not by sentinels",
        ),
        ("[tenants.acme]\naliases = \"x\"", "tenants.acme.aliases"),
    ] {
        let error = check(text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn a_worker_serves_a_thousand_tenants_and_no_more() {
    let sections = |count: usize| {
        let all = (0..count).map(|number| format!("[tenants.t{number}]\nweight = 1\n"));
        all.collect::<String>()
    };
    assert_eq!(check(&sections(1_000)).unwrap().tenants.len(), 1_000);
    let error = check(&sections(1_001)).unwrap_err();
    assert!(error.contains("at most 1000 are allowed"), "{error}");
}

#[test]
fn a_tenant_has_nothing_of_what_default_has() {
    let text = "aliases = { \"a.b\" = \"text.echo\" }\nroutes = { \"a.*\" = \"q\" }\n\
        [worker]\nunknown_task = \"forward:python\"\nqueues = [\"own\"]\n\
        [tasks.\"a.b\"]\nrate_limit = \"1/s\"\n[grants.odd]\nsubmit = [\"a.*\"]\n\
        [tenants.acme]\ncpu = \"1s\"\n";
    let config = check(text).unwrap();
    let tenant = config.tenants[&acme()].clone();
    let own = config.of_tenant(&acme(), &tenant);
    assert_eq!(own.worker.queues, ["celery"]);
    assert_eq!(own.ceiling.cpu, Duration::from_secs(1));
    assert!(own.worker.forward.is_none());
    assert!(own.aliases.is_empty() && own.routes.is_empty() && own.rates.is_empty());
    assert!(own.grants.is_empty() && own.tenants.is_empty());
    assert_eq!(own.data, config.data.join("tenants/acme"));
}

#[test]
fn what_a_control_plane_names_goes_over_what_is_written_and_never_over_its_ceiling() {
    let written =
        check("[tenants.acme]\nmemory = \"32MiB\"\nqueues = [\"mail\"]\nprefix = \"a:\"\n");
    let written = written.unwrap();
    let (bare, share) = (check("").unwrap(), Share::default());
    let ceiling = Ceiling {
        memory_bytes: Some(64 << 20),
        cpu_ms: Some(500),
        max_retries: Some(1),
        ..Ceiling::default()
    };
    let places = (Some("redis://h:6379/1"), None);
    let named = |config: &Config| config.named_tenant(&acme(), share.clone(), &ceiling, places);
    let tenant = named(&written).unwrap();
    assert_eq!(tenant.broker.to_string(), "redis://h:6379/1");
    assert_eq!(tenant.ceiling.memory, 32 << 20);
    assert_eq!(tenant.ceiling.cpu, Duration::from_millis(500));
    assert_eq!(tenant.max_retries, 1);
    assert_eq!(
        (tenant.prefix.as_str(), tenant.queues),
        ("a:", vec!["mail".to_owned()])
    );
    let tenant = named(&bare).unwrap();
    assert_eq!(tenant.ceiling.memory, 64 << 20);
    assert_eq!(tenant.prefix, "celeriac:acme:");
    assert_eq!(tenant.queues, ["celery"]);
    let wrong = (Some("carrier-pigeon://h"), None);
    let error = bare.named_tenant(&acme(), share, &ceiling, wrong);
    assert!(error.unwrap_err().contains("carrier-pigeon"));
}

/// Reads a configuration whose tenant `default` is at these places.
fn places(broker: &str, results: &str, tenants: &str) -> Result<(), String> {
    let text = format!("broker = \"{broker}\"\nresult_backend = \"{results}\"\n{tenants}");
    check(&text).map(drop)
}

fn acme_at(broker: &str, results: &str, more: &str) -> String {
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
        assert_eq!(places(own.0, own.1, &acme_at(broker, results, of)), Ok(()));
    }
    let other = "[tenants.other]\nbroker = \"redis://o:pw@h:6379/1\"\nprefix = \"a:\"\n";
    let one = acme_at("redis://h:6379/1", "redis://h:6379/2", "prefix = \"a:\"");
    let error = places(own.0, own.1, &(one + other)).unwrap_err();
    assert!(error.contains("tenants.other.broker"), "{error}");
    assert!(error.contains("that of tenant acme already"), "{error}");
    let error = places(own.0, own.1, &acme_at("amqp://h/a", own.1, "")).unwrap_err();
    assert!(error.contains("tenants.acme.result_backend"), "{error}");
    assert!(error.contains("that of tenant default already"), "{error}");
}

#[test]
fn two_virtual_hosts_of_one_server_are_two_places_whoever_the_user_is() {
    let own = ("amqp://guest:guest@h:5672/own", "rpc://");
    assert_eq!(
        places(own.0, own.1, &acme_at("amqp://h:5672/acme", "rpc://", "")),
        Ok(())
    );
    let error = places(
        own.0,
        own.1,
        &acme_at("amqp://a:b@h:5672/own", "rpc://", ""),
    )
    .unwrap_err();
    assert!(error.contains("tenants.acme.broker"), "{error}");
    assert!(!error.contains("a:b@"), "{error}");
}

#[test]
fn one_folder_of_results_is_one_place_unless_prefixes_tell_them_apart() {
    let own = ("redis://h/0", "file:///r");
    let same = acme_at("redis://h/1", "file:///r", "");
    assert_eq!(places(own.0, own.1, &same), Ok(()));
    let error = places(
        "redis://h/0",
        "sqlite:///r",
        &acme_at("redis://h/1", "sqlite:///r", ""),
    );
    assert!(error.unwrap_err().contains("tenants.acme.result_backend"));
}
