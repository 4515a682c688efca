//! `GET /metrics`.

use super::Api;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

/// The media type of the OpenMetrics text form.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers with all metrics.
pub(super) async fn scrape(State(api): State<Api>) -> Response {
    let kind = HeaderValue::from_static(OPEN_METRICS);
    ([(header::CONTENT_TYPE, kind)], api.metrics.encode()).into_response()
}
