//! Counts what tenants use together with other workers, each second: on one Redis, or on one
//! data folder, where it outlasts a restart. It never delays a task: while the place for
//! orders is away, each worker goes by what it counted itself.

use super::lanes::Hall;
use crate::clock::Clock;
use crate::results::orders::{Spending, Total, Totals};
use crate::task::{Buckets, TenantName};
use crate::worker::Lane;
use crate::worker::meter::Meter;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often it is counted together (1 s).
const EVERY: Duration = Duration::from_secs(1);

/// Longest wait for the count before a lane opens (2 s): it goes by its own then.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells the meter of a lane that is about to open what its tenant used before.
pub(super) async fn known(hall: &Hall, clock: &Clock, tenant: &TenantName, meter: &Meter) {
    let asked = hall.orders.spend(Spending {
        hour: hour(clock),
        second: clock.now().as_second(),
        cpu: Vec::new(),
        stored: vec![(tenant.clone(), Vec::new())],
    });
    let Ok(Ok(totals)) = tokio::time::timeout(PATIENCE, asked).await else {
        return;
    };
    if let Some(total) = totals.cpu.iter().find(|total| total.tenant == *tenant) {
        meter.at_least(total.in_hour, total.in_day);
    }
    for (_, stored) in totals.stored.into_iter().filter(|(of, _)| of == tenant) {
        meter.learn(stored);
    }
}

type Lanes = [(TenantName, Arc<Lane>)];

/// What tenants stored that nobody else was told of, and what is to be known of those whose
/// results have a quota.
fn stored(lanes: &Lanes) -> Vec<(TenantName, Buckets)> {
    let told = lanes.iter().map(|(tenant, lane)| {
        let meter = lane.meter();
        (tenant, meter.tell(), meter.counts_results())
    });
    told.filter(|(_, news, wanted)| *wanted || !news.is_empty())
        .map(|(tenant, news, _)| (tenant.clone(), news))
        .collect()
}

/// Takes back what could not be told.
fn untell(lanes: &Lanes, stored: Vec<(TenantName, Buckets)>) {
    for (tenant, buckets) in stored {
        if let Some(lane) = find(lanes, &tenant) {
            lane.meter().untell(buckets);
        }
    }
}

fn find<'a>(lanes: &'a Lanes, tenant: &TenantName) -> Option<&'a Arc<Lane>> {
    let lane = lanes.iter().find(|(name, _)| name == tenant);
    lane.map(|(_, lane)| lane)
}

/// Hours since 1970.
fn hour(clock: &Clock) -> i64 {
    clock.now().as_second() / 3_600
}

/// What this worker told and heard.
#[derive(Debug)]
pub(super) struct Ledger {
    hall: Arc<Hall>,
    clock: Clock,
    /// CPU time of each tenant that was told.
    told: BTreeMap<TenantName, Duration>,
    /// CPU time of each tenant in the day, as it was heard.
    heard: BTreeMap<TenantName, Duration>,
}

impl Ledger {
    pub(super) fn new(hall: Arc<Hall>, clock: Clock) -> Self {
        Self {
            hall,
            clock,
            told: BTreeMap::new(),
            heard: BTreeMap::new(),
        }
    }

    /// Counts for ever; it is ended from outside, at any moment.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.count().await;
        }
    }

    async fn count(&mut self) {
        let lanes = self.hall.lanes();
        // A lane that was opened again counts from the beginning.
        self.told.retain(|tenant, told| {
            let lane = lanes.iter().find(|(name, _)| name == tenant);
            lane.is_some_and(|(_, lane)| lane.spent() >= *told)
        });
        let news = lanes.iter().map(|(tenant, lane)| {
            let told = self.told.get(tenant).copied().unwrap_or_default();
            (tenant.clone(), lane.spent().saturating_sub(told))
        });
        let news: Vec<(TenantName, Duration)> = news.collect();
        let spending = Spending {
            hour: hour(&self.clock),
            cpu: news
                .iter()
                .filter(|(_, cpu)| !cpu.is_zero())
                .cloned()
                .collect(),
            second: self.clock.now().as_second(),
            stored: stored(&lanes),
        };
        let stored = spending.stored.clone();
        let Totals { cpu, stored } = match self.hall.orders.spend(spending).await {
            Ok(totals) => totals,
            Err(error) => {
                untell(&lanes, stored);
                tracing::debug!(%error, "what tenants use is not counted together now");
                return;
            }
        };
        for (tenant, cpu) in &news {
            *self.told.entry(tenant.clone()).or_default() += *cpu;
        }
        for (tenant, stored) in stored {
            if let Some(lane) = find(&lanes, &tenant) {
                lane.meter().learn(stored);
            }
        }
        for total in cpu {
            let Some(lane) = find(&lanes, &total.tenant) else {
                continue;
            };
            let own = news.iter().find(|(name, _)| *name == total.tenant);
            let elsewhere = self.elsewhere(&total, own.map_or(Duration::ZERO, |(_, cpu)| *cpu));
            lane.counts(elsewhere, total.in_hour, total.in_day);
        }
    }

    /// What others used since it was last heard. A first hearing tells nothing of when.
    fn elsewhere(&mut self, total: &Total, own: Duration) -> Duration {
        let before = self.heard.insert(total.tenant.clone(), total.in_day);
        let since = before.map_or(Duration::ZERO, |before| total.in_day.saturating_sub(before));
        since.saturating_sub(own)
    }
}
