//! A long task that tells how far it is and stops when it is asked to.

use celeriac_sdk::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

/// The most pages of one report.
const MAX_PAGES: u64 = 10_000;

/// A finished report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
struct Report {
    /// What it is about.
    title: String,
    /// Its pages.
    pages: u64,
    /// Milliseconds since 1970 at which it was finished.
    finished_at_ms: u64,
}

/// Writes a report page by page, each after a wait for its data.
///
/// It tells its progress after every page. When the soft time limit passes, the task is revoked or
/// the worker drains, it stops between two pages.
#[task(
    time_limit = "10m",
    soft_time_limit = "9m",
    memory = "32MiB",
    max_retries = 3,
    backoff = "10s..5m"
)]
fn build(
    ctx: &Context,
    title: String,
    #[task(default = 10)] pages: u64,
    #[task(default = 500)] wait_ms: u64,
) -> Result<Report, TaskError> {
    if pages > MAX_PAGES {
        return Err(TaskError::fail(
            "ValueError",
            format_args!("{pages} pages, at most {MAX_PAGES}"),
        ));
    }
    ctx.with("title", &title)
        .with("pages", &pages)
        .info("started");
    for page in 1..=pages {
        ctx.sleep(Duration::from_millis(wait_ms))?;
        ctx.progress_message(page, Some(pages), format_args!("wrote page {page}"));
    }
    ctx.info("finished");
    Ok(Report {
        title,
        pages,
        finished_at_ms: ctx.now_unix_ms(),
    })
}

/// What has been packed so far: the meta of the state PACKING.
#[derive(Serialize)]
struct Packing<'a> {
    parcel: &'a str,
    left: usize,
}

/// Packs parcels, with a state of its own, and hands the rest to a retry when the worker drains.
#[task(time_limit = "10m", max_retries = 10)]
fn pack(
    ctx: &Context,
    parcels: Vec<String>,
    #[task(default = 200)] wait_ms: u64,
) -> Result<usize, TaskError> {
    for (index, parcel) in parcels.iter().enumerate() {
        ctx.set_state(
            "PACKING",
            &Packing {
                parcel,
                left: parcels.len() - index,
            },
        )?;
        match ctx.sleep(Duration::from_millis(wait_ms)) {
            Err(Interrupted(Interruption::Shutdown)) => {
                let reason = format_args!(
                    "the worker drains after {index} of {} parcels",
                    parcels.len()
                );
                return Err(TaskError::retry(reason).after("1s"));
            }
            other => other?,
        }
    }
    Ok(parcels.len())
}

/// Sleeps, and does nothing else: a task that waits costs the worker no thread.
#[task(time_limit = "1h", memory = "16MiB")]
fn nap(ctx: &Context, ms: u64) -> Result<u64, TaskError> {
    ctx.sleep(Duration::from_millis(ms))?;
    Ok(ms)
}

celeriac_sdk::export!(build, pack, nap);

#[cfg(test)]
mod tests {
    use celeriac_sdk::testing::{Progress, describe};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_tells_its_progress_page_by_page() {
        let ctx = Context::test().now_unix_ms(1_000).build();
        let report = build(&ctx, "Sales".to_owned(), 3, 100).expect("nothing stops it");
        assert_eq!(
            report,
            Report {
                title: "Sales".to_owned(),
                pages: 3,
                finished_at_ms: 1_300
            }
        );
        let told = ctx.recording();
        let last = Progress {
            current: 3,
            total: Some(3),
            message: Some("wrote page 3".to_owned()),
        };
        assert_eq!(
            (told.progress.len(), told.progress.last()),
            (3, Some(&last))
        );
        let lines: Vec<_> = told.log.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(lines, ["started", "finished"]);
    }

    #[test]
    fn the_soft_time_limit_stops_a_report_between_two_pages() {
        let ctx = Context::test()
            .soft_time_limit(Duration::from_millis(250))
            .build();
        let stopped = build(&ctx, "Sales".to_owned(), 10, 100);
        assert_eq!(
            stopped,
            Err(TaskError::interrupted(Interruption::SoftLimit))
        );
        assert_eq!(ctx.recording().progress.len(), 2);
    }

    #[test]
    fn a_report_over_the_bound_is_refused() {
        assert!(build(&Context::test().build(), "x".to_owned(), MAX_PAGES + 1, 0).is_err());
    }

    #[test]
    fn packing_shows_a_state_of_its_own() {
        let ctx = Context::test().build();
        assert_eq!(pack(&ctx, vec!["a".to_owned(), "b".to_owned()], 1), Ok(2));
        assert_eq!(
            ctx.recording().states[1],
            ("PACKING".to_owned(), json!({"parcel": "b", "left": 1}))
        );
    }

    #[test]
    fn a_draining_worker_gets_a_retry() {
        let ctx = Context::test()
            .interrupt_after(1, Interruption::Shutdown)
            .build();
        let retry =
            pack(&ctx, vec!["a".to_owned(), "b".to_owned()], 1).expect_err("the worker drains");
        assert_eq!(
            retry.to_string(),
            "retry in 1s after RuntimeError: the worker drains after 1 of 2 parcels"
        );
        assert_eq!(
            describe::<pack>()
                .retry
                .and_then(|policy| policy.max_retries),
            Some(10)
        );
    }

    #[test]
    fn a_nap_takes_its_time() {
        let ctx = Context::test().build();
        assert_eq!(nap(&ctx, 60_000), Ok(60_000));
        assert_eq!(ctx.recording().sleeps, [Duration::from_secs(60)]);
        assert_eq!(ctx.remaining(), Duration::from_secs(240));
    }
}
