//! How a tenant looks.

use crate::cli::screen::Screen;
use crate::cli::show;
use crate::platform::Tenant;
use crate::telemetry::human;
use jiff::Timestamp;
use std::time::Duration;

/// A row of the list.
pub(super) fn row(tenant: &Tenant) -> Vec<String> {
    vec![
        tenant.name.to_string(),
        state(tenant).to_owned(),
        tenant.weight.get().to_string(),
        listed(&quota(tenant), "no bound"),
        listed(&ceiling(tenant), "no bound"),
        listed(&tenant.may, "nothing"),
    ]
}

/// All that is known of one, without passwords.
pub(super) fn facts(tenant: &Tenant, now: Timestamp, screen: &mut Screen) {
    let made = match tenant.name.is_default() {
        true => "always there".to_owned(),
        false => format!("made {}", show::ago(now, tenant.created_at)),
    };
    let state = match tenant.suspended {
        true => "suspended: its tasks wait",
        false => "at work",
    };
    screen.line(format!("tenant {}  {state}  {made}", tenant.name));
    screen.line(format!("weight: {}", tenant.weight.get()));
    screen.line(format!("quota: {}", listed(&quota(tenant), "no bound")));
    screen.line(format!(
        "one attempt at most: {}",
        listed(&ceiling(tenant), "no bound of its own")
    ));
    screen.line(format!("may reach: {}", listed(&tenant.may, "nothing")));
    let document = tenant.document();
    for (key, name) in [("broker", "broker"), ("result_backend", "results")] {
        let address = document.get(key).and_then(|address| address.as_str());
        let address = address.unwrap_or("that of the configuration");
        screen.line(format!("{name}: {address}"));
    }
}

fn state(tenant: &Tenant) -> &'static str {
    match tenant.suspended {
        true => "suspended",
        false => "",
    }
}

fn listed(all: &[String], none: &str) -> String {
    match all {
        [] => none.to_owned(),
        all => all.join(", "),
    }
}

fn quota(tenant: &Tenant) -> Vec<String> {
    let quota = &tenant.quota;
    let seconds = |seconds: u64| human::span(Duration::from_secs(seconds));
    [
        quota
            .concurrency
            .map(|most| human::count(most.into(), "attempt")),
        quota
            .starts_per_minute
            .map(|most| format!("{} a minute", human::count(most.into(), "start"))),
        quota
            .queue_depth
            .map(|most| format!("{} waiting", human::count(most, "message"))),
        quota
            .module_bytes
            .map(|most| format!("modules {}", human::size(most))),
        quota
            .result_bytes
            .map(|most| format!("results {}", human::size(most))),
        quota
            .cpu_per_hour_seconds
            .map(|most| format!("cpu {} an hour", seconds(most))),
        quota
            .cpu_per_day_seconds
            .map(|most| format!("cpu {} a day", seconds(most))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn ceiling(tenant: &Tenant) -> Vec<String> {
    let ceiling = &tenant.ceiling;
    let span = |ms: u64| human::span(Duration::from_millis(ms));
    [
        ceiling.wall_ms.map(span),
        ceiling.cpu_ms.map(|most| format!("cpu {}", span(most))),
        ceiling
            .memory_bytes
            .map(|most| format!("memory {}", human::size(most))),
        ceiling.max_retries.map(|most| match most {
            1 => "1 retry".to_owned(),
            most => format!("{most} retries"),
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}
