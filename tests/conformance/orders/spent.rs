//! CPU time of tenants, counted by all workers together.

use crate::stage::ResultsStage;
use celeriac::results::orders::{Orders, Spending, Total};
use celeriac::task::TenantName;
use std::time::Duration;

crate::stage::kept_behaviours! {
    what_tenants_spend_is_counted_by_all_workers_together,
    an_hour_and_a_day_begin_with_nothing,
}

mod check {
    use super::*;

    /// The first hour of a day.
    const HOUR: i64 = 500_000 / 24 * 24;

    fn name(text: &str) -> TenantName {
        text.parse().unwrap()
    }

    /// Counts, and returns what is known in the order of names: in the hour, in the day.
    async fn spend(
        orders: &dyn Orders,
        hour: i64,
        spent: &[(&str, u64)],
    ) -> Vec<(String, u64, u64)> {
        let cpu = spent
            .iter()
            .map(|(tenant, ms)| (name(tenant), Duration::from_millis(*ms)));
        let cpu = cpu.collect();
        let spending = Spending {
            hour,
            cpu,
            ..Spending::default()
        };
        let totals = orders.spend(spending).await.unwrap().cpu;
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap();
        let mut known: Vec<(String, u64, u64)> = totals
            .into_iter()
            .map(|total: Total| {
                (
                    total.tenant.to_string(),
                    ms(total.in_hour),
                    ms(total.in_day),
                )
            })
            .collect();
        known.sort();
        known
    }

    fn known(tenant: &str, in_hour: u64, in_day: u64) -> (String, u64, u64) {
        (tenant.to_owned(), in_hour, in_day)
    }

    pub(super) async fn what_tenants_spend_is_counted_by_all_workers_together(stage: ResultsStage) {
        let (one, other) = (&*stage.orders, &*stage.others_orders);
        assert_eq!(spend(one, HOUR, &[]).await, []);
        let told = spend(one, HOUR, &[("acme", 5)]).await;
        assert_eq!(told, [known("acme", 5, 5)]);
        let told = spend(other, HOUR, &[("acme", 7), ("default", 1)]).await;
        assert_eq!(told, [known("acme", 12, 12), known("default", 1, 1)]);
        // Whoever only asks changes nothing.
        for _ in 0..2 {
            let told = spend(one, HOUR, &[]).await;
            assert_eq!(told, [known("acme", 12, 12), known("default", 1, 1)]);
        }
        let both = tokio::join!(
            spend(one, HOUR, &[("acme", 100)]),
            spend(other, HOUR, &[("acme", 1_000)])
        );
        drop(both);
        let told = spend(other, HOUR, &[]).await;
        assert_eq!(told, [known("acme", 1_112, 1_112), known("default", 1, 1)]);
    }

    pub(super) async fn an_hour_and_a_day_begin_with_nothing(stage: ResultsStage) {
        let (one, other) = (&*stage.orders, &*stage.others_orders);
        spend(one, HOUR + 22, &[("acme", 5)]).await;
        let told = spend(other, HOUR + 23, &[("acme", 7)]).await;
        assert_eq!(told, [known("acme", 7, 12)]);
        assert_eq!(spend(one, HOUR + 24, &[]).await, []);
        let told = spend(one, HOUR + 24, &[("acme", 1)]).await;
        assert_eq!(told, [known("acme", 1, 1)]);
        // A clock that is behind counts in its own hour.
        let told = spend(other, HOUR + 23, &[("acme", 1)]).await;
        assert_eq!(told, [known("acme", 8, 13)]);
    }
}
