//! `celeriac token`.

use super::exit::{Exit, Problem};
use super::moment::{moment_or_span, span};
use super::options::Options;
use super::place::{Made, Place};
use super::screen::Screen;
use super::show;
use crate::platform::{Token, TokenId, TokenTerms};
use crate::task::{Scope, TenantName};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "Scopes: operator (everything), tenant-admin (one tenant), deploy (its modules), call (its tasks), \
    read-only (looking at it), worker (what workers need). Those of one tenant take --tenant.\n\n\
    JSON: {\"token\": TOKEN, \"text\"}, {\"tokens\": [TOKEN]} or {\"token\": ID, \"revoked\"}, with TOKEN = {\"id\", \"name\", \
    \"scope\", \"tenant\", \"created_at\", \"expires_at\", \"used_at\"}; \"text\" is the whole token, which is told this once.";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a token for the control plane.
    #[command(after_help = JSON)]
    Create(CreateArgs),
    /// List the tokens of a tenant; without --tenant those of operators and workers.
    #[command(after_help = JSON)]
    List,
    /// Make another token in the place of one.
    #[command(after_help = JSON)]
    Rotate(RotateArgs),
    /// End a token at once.
    #[command(after_help = JSON)]
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// What it is for
    #[arg(long)]
    scope: Scope,
    /// What to call it [default: its scope]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// When it ends: a moment, or a time from now such as 90d [default: when it is revoked]
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RotateArgs {
    /// Its id, as `celeriac token list` shows it
    id: TokenId,
    /// How long the old one goes on, such as 1h [default: it ends at once]
    #[arg(long, value_name = "TIME")]
    grace: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// Its id, as `celeriac token list` shows it
    id: TokenId,
}

/// Makes, lists, rotates or revokes tokens.
pub(crate) async fn run(
    command: Command,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let place = options.place().await?;
    let done = work(&place, command, options.named_tenant(), screen).await;
    place.close().await;
    done
}

async fn work(
    place: &Place,
    command: Command,
    tenant: Option<TenantName>,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    match command {
        Command::Create(args) => {
            let terms = terms(args, tenant, place.now())?;
            let made = place.create_token(terms).await?;
            made_now(&made, "made", screen);
        }
        Command::List => list(place, tenant.as_ref(), screen).await?,
        Command::Rotate(args) => {
            let grace = args.grace.as_deref().map(|text| span("--grace", text));
            let grace: Duration = grace.transpose()?.unwrap_or_default();
            let made = place.rotate_token(tenant.as_ref(), &args.id, grace).await?;
            made_now(&made, &format!("in the place of {}", args.id), screen);
        }
        Command::Revoke(args) => {
            place.revoke_token(tenant.as_ref(), &args.id).await?;
            screen.document(&json!({"token": args.id.as_str(), "revoked": true}));
            screen.line(format!(
                "token {} revoked; it ends everywhere within 5 s",
                args.id
            ));
        }
    }
    Ok(Exit::Done)
}

fn terms(
    args: CreateArgs,
    tenant: Option<TenantName>,
    now: Timestamp,
) -> Result<TokenTerms, Problem> {
    let expires = args.expires.as_deref();
    let expires = expires.map(|text| moment_or_span("--expires", text, now));
    if args.scope.is_of_a_tenant() && tenant.is_none() {
        let what = format!("a token of scope {} is for one tenant", args.scope);
        return Err(Problem::usage(what).hint("name it with --tenant NAME"));
    }
    Ok(TokenTerms {
        name: args.name.unwrap_or_else(|| args.scope.to_string()),
        scope: args.scope,
        tenant,
        expires_at: expires.transpose()?,
    })
}

/// Shows the whole token, this once.
fn made_now((token, text): &Made, how: &str, screen: &mut Screen) {
    screen.document(&json!({"token": token.document(), "text": text}));
    let whose = match &token.tenant {
        Some(tenant) => format!(" of tenant {tenant}"),
        None => String::new(),
    };
    screen.line(format!(
        "token {} ({}, {}{whose}) {how}",
        token.id, token.name, token.scope
    ));
    screen.line(text);
    screen.line("it is shown this once; keep it where only its user reads it");
}

async fn list(
    place: &Place,
    tenant: Option<&TenantName>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let (tokens, now) = (place.tokens(tenant).await?, place.now());
    let documents: Vec<Value> = tokens.iter().map(Token::document).collect();
    screen.document(&json!({"tokens": documents}));
    if tokens.is_empty() {
        screen.line("no tokens yet: celeriac token create --scope SCOPE");
        return Ok(());
    }
    let rows = tokens.iter().map(|token| {
        vec![
            token.id.to_string(),
            token.name.clone(),
            token.scope.to_string(),
            show::ago(now, token.created_at),
            token
                .used_at
                .map_or_else(|| "never".to_owned(), |used| show::ago(now, used)),
            ends(token, now),
        ]
    });
    screen.table(
        &["token", "name", "scope", "made", "used", "ends"],
        rows.collect(),
    );
    Ok(())
}

fn ends(token: &Token, now: Timestamp) -> String {
    match token.expires_at {
        None => String::new(),
        Some(end) if end <= now => "ended".to_owned(),
        Some(end) => end.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    }
}
