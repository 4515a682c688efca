//! What a worker says of itself to whoever inspects it, by Celery's names and
//! without secrets.

use crate::config::{Address, Config};
use crate::control::Facts;
use crate::task::{KnownQueues, TenantName};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// The file of this machine's zone.
const LOCALTIME: &str = "/etc/localtime";
/// Largest file of a zone, bytes (64 KiB).
const ZONE_BYTES: u64 = 64 << 10;

/// Collects it.
pub(super) fn of(tenant: &TenantName, config: &Config, queues: &KnownQueues) -> Facts {
    let settings = settings(config);
    Facts {
        tenant: tenant.clone(),
        report: report(&settings),
        broker: broker(&config.broker),
        settings,
        queues: queues.clone(),
        has_fanout: !matches!(config.broker, Address::Redis(_) | Address::Sentinel(_)),
        aliases: config.aliases.clone(),
        timeouts: [
            config.limits.soft.map_or(0, |soft| soft.as_secs()),
            config.limits.wall.as_secs(),
        ],
        task_events: config.worker.task_events,
    }
}

fn settings(config: &Config) -> Value {
    let worker = &config.worker;
    let accepted = config.accept_content.formats().iter();
    let accepted: Vec<&str> = accepted.map(|format| format.name()).collect();
    json!({
        "broker_url": config.broker.to_string(),
        "result_backend": config.result_backend.to_string(),
        "accept_content": accepted,
        "task_serializer": "json",
        "result_serializer": "json",
        "enable_utc": true,
        "timezone": config.timezone.iana_name().unwrap_or("UTC"),
        "task_default_queue": worker.queues.first(),
        "task_track_started": worker.track_started,
        "task_acks_late": true,
        "task_time_limit": config.limits.wall.as_secs_f64(),
        "task_soft_time_limit": config.limits.soft.map(|soft| soft.as_secs_f64()),
        "result_extended": worker.result_extended,
        "result_expires": worker.result_keep.map(|keep| keep.as_secs()),
        "worker_concurrency": worker.concurrency,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": worker.task_events,
    })
}

fn report(settings: &Value) -> String {
    let mut report = format!(
        "\nsoftware -> celeriac:{}\nplatform -> system:{} arch:{}\n\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
    );
    for (name, value) in settings.as_object().into_iter().flatten() {
        report.push_str(&format!("{name}: {value}\n"));
    }
    report
}

/// Describes the broker as kombu describes its connections.
fn broker(address: &Address) -> Value {
    let shown = address.to_string();
    let (transport, rest) = shown.split_once("://").unwrap_or(("", &shown));
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, place) = place.rsplit_once('@').unwrap_or(("", place));
    let user = user.split(':').next().filter(|user| !user.is_empty());
    let (host, port) = place.rsplit_once(':').unwrap_or((place, ""));
    let embedded = matches!(address, Address::Embedded(_));
    json!({
        "hostname": if embedded { "localhost" } else { host },
        "userid": user,
        "virtual_host": if embedded { rest } else { path.split('?').next().unwrap_or_default() },
        "port": port.parse::<u16>().ok(),
        "insist": false,
        "ssl": matches!(transport, "rediss" | "amqps"),
        "transport": transport,
        "connect_timeout": 4,
        "transport_options": {},
        "login_method": null,
        "uri_prefix": null,
        "heartbeat": null,
        "failover_strategy": "round-robin",
        "alternates": [],
    })
}

/// Returns the zone of this machine, UTC where it is not known: monitors shift
/// the times of events by how far it is from theirs.
pub(super) fn zone() -> TimeZone {
    let named = std::env::var("TZ").ok();
    let named = named.filter(|name| !name.is_empty());
    if let Some(name) = named {
        let name = name.trim_start_matches(':');
        return TimeZone::get(name).unwrap_or(TimeZone::UTC);
    }
    let read = || {
        let small = std::fs::metadata(LOCALTIME).ok()?.len() <= ZONE_BYTES;
        let bytes = small.then(|| std::fs::read(LOCALTIME).ok()).flatten()?;
        TimeZone::tzif("local", &bytes).ok()
    };
    read().unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_is_described_without_its_password() {
        for (address, host, port, transport) in [
            (
                "redis://:secret@example.com:6380/3",
                "example.com",
                6380,
                "redis",
            ),
            (
                "amqps://me:secret@example.com:5671/shop",
                "example.com",
                5671,
                "amqps",
            ),
        ] {
            let mut raw = crate::config::read(None, std::iter::empty()).unwrap();
            raw.set_flag("broker", "--broker", address.to_owned());
            let (config, _) = Config::check(raw).unwrap();
            let facts = of(&TenantName::default(), &config, &KnownQueues::default());
            assert_eq!(facts.broker["hostname"], host);
            assert_eq!(facts.broker["port"], port);
            assert_eq!(facts.broker["transport"], transport);
            for text in [
                facts.broker.to_string(),
                facts.settings.to_string(),
                facts.report,
            ] {
                assert!(!text.contains("secret"), "{text}");
            }
        }
    }
}
