//! `GET /v1/openapi.json`: the document of this API, made from its routes.

use super::{Plane, routes as all_routes};
use crate::plane::{Code, Failure};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use std::sync::OnceLock;
use utoipa::ToSchema as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    ResponseBuilder,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The name of the one way to say who asks.
const BEARER: &str = "token";

pub(super) fn router() -> OpenApiRouter<Plane> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// Returns this document
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "health",
    security(()),
    responses((status = 200, description = "The document", body = serde_json::Value)),
)]
async fn openapi() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(document);
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], text.as_str()).into_response()
}

/// Returns the document of the API, as `docs/openapi.json` has it.
#[must_use]
pub fn document() -> String {
    let (_, mut api) = all_routes().split_for_parts();
    for item in api.paths.paths.values_mut() {
        for operation in operations(item) {
            add_common(operation);
        }
    }
    api.to_pretty_json().unwrap_or_default()
}

/// What the document says before its paths.
pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("celeriac")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The control plane of Celeriac: tenants, tokens, modules and tasks.\n\n\
             Every request but those of health has a token, `Authorization: Bearer clr_…`. \
             What is not the token's tenant's looks like what is not there. \
             Every answer has a header `X-Request-Id`, the request's own where it sent one; \
             what goes wrong is told as `Failure`, with a code that stays.",
        ));
    let mut schemas = Vec::new();
    Failure::schemas(&mut schemas);
    let components = ComponentsBuilder::new()
        .security_scheme(
            BEARER,
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        )
        .schema("Failure", <Failure as utoipa::PartialSchema>::schema())
        .schemas_from_iter(schemas);
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], &str>(
            BEARER,
            [],
        )]))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    all.into_iter().flatten()
}

/// Adds what may be answered wherever a request goes.
fn add_common(operation: &mut Operation) {
    // Those that name their own security need none.
    let is_open = operation.security.is_some();
    let mut codes = vec![
        Code::RateLimited,
        Code::Internal,
        Code::Unavailable,
        Code::TooBusy,
        Code::Stopping,
    ];
    if !is_open {
        codes.extend([
            Code::Unauthorized,
            Code::Forbidden,
            Code::TenantSuspended,
            Code::NotFound,
        ]);
    }
    if operation.parameters.is_some() || operation.request_body.is_some() {
        codes.push(Code::InvalidRequest);
    }
    if operation.request_body.is_some() {
        codes.extend([
            Code::RequestTimeout,
            Code::TooLarge,
            Code::UnsupportedMediaType,
        ]);
    }
    for code in codes {
        add(operation, code);
    }
}

/// Adds one code to the answers of its status.
fn add(operation: &mut Operation, code: Code) {
    let responses = &mut operation.responses.responses;
    let known = responses.entry(code.status().to_string());
    let known = known.or_insert_with(|| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Failure")));
        let response = ResponseBuilder::new().content("application/json", content.build());
        RefOr::T(response.build())
    });
    let RefOr::T(response) = known else {
        return;
    };
    let word = format!("`{}`", code.text());
    if response.description.contains(&word) {
        return;
    }
    if !response.description.is_empty() {
        response.description.push_str(", ");
    }
    response.description.push_str(&word);
}
