//! Tokens, here or there.

use super::{Place, of_tenant, pages, read};
use crate::plane::{NewTokenView, RotateWish, TokenWish, Tokens};
use crate::platform::{Actor, NewToken, Token, TokenId, TokenTerms};
use crate::remote::Ask;
use crate::task::TenantName;
use std::time::Duration;

/// A token that was made just now, and the whole of it.
pub(crate) type Made = (Token, String);

impl Place {
    /// Makes a token.
    pub(crate) async fn create_token(&self, terms: TokenTerms) -> anyhow::Result<Made> {
        match self {
            Self::Here(app) => {
                let (platform, actor) = (app.platform().await?, Actor::on_the_machine());
                Ok(made(platform.create_token(&actor, terms).await?))
            }
            Self::There(remote) => {
                let wish = TokenWish {
                    name: terms.name,
                    scope: terms.scope,
                    expires_at: terms.expires_at.map(|at| at.to_string()),
                };
                answered(remote.post(&path(terms.tenant.as_ref(), &[])).json(&wish)).await
            }
        }
    }

    /// Lists the tokens of a tenant, or those of operators and workers.
    pub(crate) async fn tokens(&self, tenant: Option<&TenantName>) -> anyhow::Result<Vec<Token>> {
        match self {
            Self::Here(app) => {
                let platform = app.platform().await?;
                if let Some(tenant) = tenant {
                    // One that is not there has no tokens either, and people mistype.
                    platform.tenant(tenant).await?;
                }
                Ok(platform.tokens(tenant).await?)
            }
            Self::There(remote) => {
                let path = path(tenant, &[]);
                let listed = pages(remote, &path, |page: &mut Tokens| page.next.take()).await?;
                let tokens = listed.into_iter().flat_map(|page| page.tokens);
                Ok(tokens.map(read::token).collect::<Result<_, _>>()?)
            }
        }
    }

    /// Makes another token in the place of one, which goes on for a time.
    pub(crate) async fn rotate_token(
        &self,
        tenant: Option<&TenantName>,
        id: &TokenId,
        grace: Duration,
    ) -> anyhow::Result<Made> {
        match self {
            Self::Here(app) => {
                let (platform, actor) = (app.platform().await?, Actor::on_the_machine());
                let new = platform.rotate_token(&actor, tenant, id, grace).await?;
                Ok(made(new))
            }
            Self::There(remote) => {
                let wish = RotateWish {
                    grace_seconds: grace.as_secs(),
                };
                let path = path(tenant, &[id.as_str(), "rotate"]);
                answered(remote.post(&path).json(&wish)).await
            }
        }
    }

    /// Ends a token.
    pub(crate) async fn revoke_token(
        &self,
        tenant: Option<&TenantName>,
        id: &TokenId,
    ) -> anyhow::Result<()> {
        match self {
            Self::Here(app) => {
                let (platform, actor) = (app.platform().await?, Actor::on_the_machine());
                Ok(platform.revoke_token(&actor, tenant, id).await?)
            }
            Self::There(remote) => Ok(remote.delete(&path(tenant, &[id.as_str()])).done().await?),
        }
    }
}

fn path<'a>(tenant: Option<&'a TenantName>, rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = match tenant {
        Some(tenant) => of_tenant(tenant, &["tokens"]),
        None => vec!["v1", "tokens"],
    };
    path.extend(rest);
    path
}

fn made(new: NewToken) -> Made {
    let text = new.text.expose().to_owned();
    (new.token, text)
}

async fn answered(ask: Ask<'_>) -> anyhow::Result<Made> {
    let view: NewTokenView = ask.document().await?;
    Ok((read::token(view.token)?, view.secret))
}
