//! What was used: `GET /v1/tenants/{tenant}/usage` and `GET /v1/usage`, as JSON or CSV, and
//! `POST /v1/worker/usage`, by which workers tell it.

use super::caller::Caller;
use super::sent::{Asked, At, Page, Sent};
use super::{Plane, Problem, trouble};
use crate::plane::{PAGE_DEFAULT, UsageBatch, UsageBy, UsagePage, UsageTold, csv, usage_days};
use crate::platform::{Tenant, UsageQuery};
use crate::policy::access::Action;
use crate::task::Day;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The media type of spreadsheets.
const CSV: &str = "text/csv";

pub(super) fn router() -> OpenApiRouter<Plane> {
    OpenApiRouter::new()
        .routes(routes!(of_tenant))
        .routes(routes!(of_all))
        .routes(routes!(told))
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// `UsagePage`.
    Json,
    /// Comma-separated values under their names; the next page is in the header `Link`.
    Csv,
}

/// Which part of it is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// The first day of UTC, as in 2026-11-01; by default 29 days before the last one.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Day>,
    /// The last one, at most 365 days later; by default today.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<Day>,
    /// How far it is told apart.
    #[serde(default)]
    #[param(inline, required = false)]
    by: UsageBy,
    /// How it is written; by default as the header `Accept` prefers, JSON or `text/csv`.
    #[param(inline)]
    format: Option<Format>,
    /// How many entries at most, 1 to 1000.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 1_000, default = 100, required = false)]
    limit: u32,
    /// What the page before had as `next`.
    #[param(max_length = 512)]
    after: Option<String>,
}

fn default_limit() -> u32 {
    PAGE_DEFAULT
}

/// Tells what a tenant used
///
/// Runs count on the day of UTC on which they ended, a few seconds after that; nothing is
/// told of days before the tenant was made.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/usage",
    tag = "usage",
    operation_id = "tenant_usage",
    params(("tenant" = String, Path, description = "The tenant"), Wanted),
    responses((
        status = 200,
        description = "A page of it, by day, module and task",
        content((UsagePage = "application/json"), (String = "text/csv")),
    )),
)]
async fn of_tenant(
    State(plane): State<Plane>,
    caller: Caller,
    At(tenant): At<String>,
    headers: HeaderMap,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Problem> {
    let tenant = caller.tenant(Action::ReadUsage, &tenant).await?;
    page(&plane, Some(tenant), &headers, wanted).await
}

/// Tells what all tenants used
///
/// For operators. Runs count on the day of UTC on which they ended, a few seconds after
/// that; tenants that were deleted are among it.
#[utoipa::path(
    get,
    path = "/v1/usage",
    tag = "usage",
    operation_id = "usage",
    params(Wanted),
    responses((
        status = 200,
        description = "A page of it, by day, tenant, module and task",
        content((UsagePage = "application/json"), (String = "text/csv")),
    )),
)]
async fn of_all(
    State(plane): State<Plane>,
    caller: Caller,
    headers: HeaderMap,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Problem> {
    caller.may(Action::ReadWholeUsage)?;
    page(&plane, None, &headers, wanted).await
}

/// Counts what a worker used
///
/// For workers. A batch counts once, however often it is sent; they are to be sent one
/// after the other.
#[utoipa::path(
    post,
    path = "/v1/worker/usage",
    tag = "worker",
    operation_id = "tell_usage",
    request_body = UsageBatch,
    responses((status = 200, description = "It is counted", body = UsageTold)),
)]
async fn told(
    State(plane): State<Plane>,
    caller: Caller,
    sent: Sent,
) -> Result<Json<UsageTold>, Problem> {
    caller.may(Action::Serve)?;
    let batch: UsageBatch = sent.json().await?;
    let counted = plane.platform.count_usage(&batch).await;
    let counted = counted.map_err(trouble::platform)?;
    Ok(Json(UsageTold { counted }))
}

async fn page(
    plane: &Plane,
    tenant: Option<Tenant>,
    headers: &HeaderMap,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let format = wanted.format.unwrap_or_else(|| preferred(headers));
    let days = usage_days(wanted.from, wanted.to, Day::of(plane.clock.now()));
    let (from, to) = days.map_err(|wrong| {
        Problem::invalid(wrong, "ask for a year at most, its first day as `from`")
    })?;
    let limit = Page {
        limit: wanted.limit,
        after: None,
    };
    let limit = limit.limit()?;
    let place = |text: &str| wanted.by.read_place(text).ok_or_else(no_place);
    // What an earlier tenant of the name used is not this one's to see.
    let made = tenant.as_ref().map(|tenant| Day::of(tenant.created_at));
    let query = UsageQuery {
        tenant: tenant.map(|tenant| tenant.name),
        from: made.map_or(from, |made| from.max(made)),
        to,
        by: wanted.by,
        after: wanted.after.as_deref().map(place).transpose()?,
        limit: wanted.limit,
    };
    let entries = plane.platform.usage(&query).await;
    let entries = entries.map_err(trouble::platform)?;
    // A page that is not full is the last one.
    let next = entries.last().filter(|_| entries.len() >= limit);
    let next = next.map(|entry| entry.place());
    match format {
        Format::Json => {
            let page = UsagePage {
                from,
                to,
                entries,
                next,
            };
            Ok(Json(page).into_response())
        }
        Format::Csv => {
            let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
            let mut response = ([(header::CONTENT_TYPE, kind)], csv(&entries)).into_response();
            if let Some(link) = next.and_then(|next| link(&query, from, &next)) {
                response.headers_mut().insert(header::LINK, link);
            }
            Ok(response)
        }
    }
}

fn no_place() -> Problem {
    Problem::invalid(
        "`after` is no place in this list",
        "give the `next` of a page, with the same `by`",
    )
}

/// Returns how the header `Accept` wants it: as a spreadsheet where it names that first.
fn preferred(headers: &HeaderMap) -> Format {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let accepted = accepted.filter_map(|value| value.to_str().ok());
    let mut kinds = accepted
        .flat_map(|value| value.split(','))
        .map(|kind| kind.split(';').next().unwrap_or_default().trim())
        .filter(|kind| [CSV, "application/json", "application/*", "*/*"].contains(kind));
    match kinds.next() == Some(CSV) {
        true => Format::Csv,
        false => Format::Json,
    }
}

/// Says where the next page is, as RFC 8288 has it. The names in it need no escapes: they
/// are letters, digits, `.`, `-`, `_`, `~`, `*`, and what stands between them.
fn link(query: &UsageQuery, from: Day, next: &str) -> Option<HeaderValue> {
    let by = query.by.as_str();
    let (to, limit) = (query.to, query.limit);
    let text = format!(
        "<?from={from}&to={to}&by={by}&format=csv&limit={limit}&after={next}>; rel=\"next\""
    );
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_is_for_whoever_prefers_it() {
        for (accept, format) in [
            (&[][..], Format::Json),
            (&["*/*"], Format::Json),
            (&["text/csv"], Format::Csv),
            (&["text/html, text/csv;q=0.9, */*;q=0.8"], Format::Csv),
            (&["application/json, text/csv"], Format::Json),
            (&["text/html", "text/csv"], Format::Csv),
            (&["text/csvx"], Format::Json),
        ] {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(header::ACCEPT, value.parse().unwrap());
            }
            assert_eq!(preferred(&headers), format, "{accept:?}");
        }
    }
}
