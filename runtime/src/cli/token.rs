//! `celeriac token`.

use super::exit::{Exit, Problem};
use super::moment::{moment_or_span, span};
use super::options::Options;
use super::screen::Screen;
use super::show;
use crate::app::App;
use crate::platform::{Actor, NewToken, Platform, Token, TokenId, TokenTerms};
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
    let app = options.open().await?;
    let done = work(&app, command, options.named_tenant(), screen).await;
    app.close().await;
    done
}

async fn work(
    app: &App,
    command: Command,
    tenant: Option<TenantName>,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let (platform, now) = (app.platform().await?, app.clock().now());
    let actor = Actor::on_the_machine();
    match command {
        Command::Create(args) => {
            let terms = terms(args, tenant, now)?;
            let made = platform.create_token(&actor, terms).await?;
            made_now(&made, "made", screen);
        }
        Command::List => list(&platform, tenant.as_ref(), now, screen).await?,
        Command::Rotate(args) => {
            let grace = args.grace.as_deref().map(|text| span("--grace", text));
            let grace: Duration = grace.transpose()?.unwrap_or_default();
            let made = platform
                .rotate_token(&actor, tenant.as_ref(), &args.id, grace)
                .await?;
            made_now(&made, &format!("in the place of {}", args.id), screen);
        }
        Command::Revoke(args) => {
            platform
                .revoke_token(&actor, tenant.as_ref(), &args.id)
                .await?;
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
fn made_now(made: &NewToken, how: &str, screen: &mut Screen) {
    let NewToken { token, text } = made;
    screen.document(&json!({"token": token.document(), "text": text.expose()}));
    let whose = match &token.tenant {
        Some(tenant) => format!(" of tenant {tenant}"),
        None => String::new(),
    };
    screen.line(format!(
        "token {} ({}, {}{whose}) {how}",
        token.id, token.name, token.scope
    ));
    screen.line(text.expose());
    screen.line("it is shown this once; keep it where only its user reads it");
}

async fn list(
    platform: &Platform,
    tenant: Option<&TenantName>,
    now: Timestamp,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    if let Some(tenant) = tenant {
        // One that is not there has no tokens either, and people mistype.
        platform.tenant(tenant).await?;
    }
    let tokens = platform.tokens(tenant).await?;
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
