//! `/v1/tokens` of operators and workers, and `/v1/tenants/{tenant}/tokens`: made, listed,
//! rotated and revoked.

use super::caller::Caller;
use super::sent::{Asked, At, Page, Sent};
use super::{Plane, Problem, trouble};
use crate::plane::{Failure, NewTokenView, RotateWish, TokenView, TokenWish, Tokens};
use crate::platform::{NewToken, PlatformError, Token, TokenId, TokenTerms};
use crate::policy::access::Action;
use crate::task::TenantName;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Plane> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
        .routes(routes!(rotate))
        .routes(routes!(list_of, create_of))
        .routes(routes!(revoke_of))
        .routes(routes!(rotate_of))
}

type Made = Result<(StatusCode, Json<NewTokenView>), Problem>;

/// Lists the tokens of operators and workers
#[utoipa::path(
    get,
    path = "/v1/tokens",
    tag = "tokens",
    operation_id = "list_operator_tokens",
    params(Page),
    responses((status = 200, description = "A page of them, by age", body = Tokens)),
)]
async fn list(
    State(plane): State<Plane>,
    caller: Caller,
    Asked(page): Asked<Page>,
) -> Result<Json<Tokens>, Problem> {
    caller.may(Action::ManageOperatorTokens)?;
    listed(&plane, None, &page).await
}

/// Makes a token of an operator or a worker
#[utoipa::path(
    post,
    path = "/v1/tokens",
    tag = "tokens",
    operation_id = "create_operator_token",
    request_body = TokenWish,
    responses(
        (status = 201, description = "It is shown this once", body = NewTokenView),
        (status = 409, description = "`limit_reached`", body = Failure),
    ),
)]
async fn create(State(plane): State<Plane>, caller: Caller, sent: Sent) -> Made {
    caller.may(Action::ManageOperatorTokens)?;
    created(&plane, &caller, None, sent).await
}

/// Ends a token of an operator or a worker
#[utoipa::path(
    delete,
    path = "/v1/tokens/{id}",
    tag = "tokens",
    operation_id = "revoke_operator_token",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 204, description = "It ended")),
)]
async fn revoke(
    State(plane): State<Plane>,
    caller: Caller,
    At(id): At<String>,
) -> Result<StatusCode, Problem> {
    caller.may(Action::ManageOperatorTokens)?;
    revoked(&plane, &caller, None, &id).await
}

/// Replaces a token of an operator or a worker
#[utoipa::path(
    post,
    path = "/v1/tokens/{id}/rotate",
    tag = "tokens",
    operation_id = "rotate_operator_token",
    params(("id" = String, Path, description = "The token's id")),
    request_body = Option<RotateWish>,
    responses(
        (status = 201, description = "The new one is shown this once", body = NewTokenView),
        (status = 409, description = "`limit_reached`", body = Failure),
    ),
)]
async fn rotate(
    State(plane): State<Plane>,
    caller: Caller,
    At(id): At<String>,
    sent: Sent,
) -> Made {
    caller.may(Action::ManageOperatorTokens)?;
    rotated(&plane, &caller, None, &id, sent).await
}

/// Lists the tokens of a tenant
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/tokens",
    tag = "tokens",
    operation_id = "list_tokens",
    params(("tenant" = String, Path, description = "The tenant"), Page),
    responses((status = 200, description = "A page of them, by age", body = Tokens)),
)]
async fn list_of(
    State(plane): State<Plane>,
    caller: Caller,
    At(tenant): At<String>,
    Asked(page): Asked<Page>,
) -> Result<Json<Tokens>, Problem> {
    let tenant = caller.tenant(Action::ManageTokens, &tenant).await?;
    listed(&plane, Some(&tenant.name), &page).await
}

/// Makes a token of a tenant
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/tokens",
    tag = "tokens",
    operation_id = "create_token",
    params(("tenant" = String, Path, description = "The tenant")),
    request_body = TokenWish,
    responses(
        (status = 201, description = "It is shown this once", body = NewTokenView),
        (status = 409, description = "`limit_reached`", body = Failure),
    ),
)]
async fn create_of(
    State(plane): State<Plane>,
    caller: Caller,
    At(tenant): At<String>,
    sent: Sent,
) -> Made {
    let tenant = caller.tenant(Action::ManageTokens, &tenant).await?;
    created(&plane, &caller, Some(tenant.name), sent).await
}

/// Ends a token of a tenant
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}/tokens/{id}",
    tag = "tokens",
    operation_id = "revoke_token",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("id" = String, Path, description = "The token's id"),
    ),
    responses((status = 204, description = "It ended")),
)]
async fn revoke_of(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, id)): At<(String, String)>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.tenant(Action::ManageTokens, &tenant).await?;
    revoked(&plane, &caller, Some(&tenant.name), &id).await
}

/// Replaces a token of a tenant
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/tokens/{id}/rotate",
    tag = "tokens",
    operation_id = "rotate_token",
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("id" = String, Path, description = "The token's id"),
    ),
    request_body = Option<RotateWish>,
    responses(
        (status = 201, description = "The new one is shown this once", body = NewTokenView),
        (status = 409, description = "`limit_reached`", body = Failure),
    ),
)]
async fn rotate_of(
    State(plane): State<Plane>,
    caller: Caller,
    At((tenant, id)): At<(String, String)>,
    sent: Sent,
) -> Made {
    let tenant = caller.tenant(Action::ManageTokens, &tenant).await?;
    rotated(&plane, &caller, Some(&tenant.name), &id, sent).await
}

async fn listed(
    plane: &Plane,
    tenant: Option<&TenantName>,
    page: &Page,
) -> Result<Json<Tokens>, Problem> {
    let all = plane.platform.tokens(tenant).await;
    let key = |token: &Token| format!("{}.{}", token.created_at.as_millisecond(), token.id);
    let (some, next) = page.cut(all.map_err(trouble::platform)?, key)?;
    let tokens = some.iter().map(view).collect::<Result<_, _>>()?;
    Ok(Json(Tokens { tokens, next }))
}

async fn created(plane: &Plane, caller: &Caller, tenant: Option<TenantName>, sent: Sent) -> Made {
    let wish: TokenWish = sent.json().await?;
    let expires_at = wish.expires_at.as_deref().map(moment).transpose()?;
    let terms = TokenTerms {
        name: wish.name,
        scope: wish.scope,
        tenant,
        expires_at,
    };
    made(plane.platform.create_token(&caller.actor(), terms).await)
}

async fn rotated(
    plane: &Plane,
    caller: &Caller,
    tenant: Option<&TenantName>,
    id: &str,
    sent: Sent,
) -> Made {
    let wish: RotateWish = sent.maybe_json().await?;
    let (id, grace) = (token_id(id)?, Duration::from_secs(wish.grace_seconds));
    let actor = caller.actor();
    made(
        plane
            .platform
            .rotate_token(&actor, tenant, &id, grace)
            .await,
    )
}

async fn revoked(
    plane: &Plane,
    caller: &Caller,
    tenant: Option<&TenantName>,
    id: &str,
) -> Result<StatusCode, Problem> {
    let (id, actor) = (token_id(id)?, caller.actor());
    let revoked = plane.platform.revoke_token(&actor, tenant, &id).await;
    revoked.map_err(trouble::platform)?;
    Ok(StatusCode::NO_CONTENT)
}

fn made(made: Result<NewToken, PlatformError>) -> Made {
    let made = made.map_err(trouble::platform)?;
    let view = NewTokenView {
        token: view(&made.token)?,
        secret: made.text.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(view)))
}

fn view(token: &Token) -> Result<TokenView, Problem> {
    serde_json::from_value(token.document()).map_err(Problem::internal)
}

fn token_id(text: &str) -> Result<TokenId, Problem> {
    text.parse().map_err(|_| Problem::not_found("token", text))
}

fn moment(text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| {
        Problem::invalid(
            format!("expires_at is {:?}", super::problem::short(text)),
            "give a moment of RFC 3339, such as 2027-01-31T12:00:00Z",
        )
    })
}
