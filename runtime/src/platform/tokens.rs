//! Tokens: made, listed, rotated and revoked. Their secrets are shown once and kept as
//! hashes; who has one is told by `authenticate`, in its file.

mod authenticate;
mod cache;
mod secret;

pub use authenticate::{Identity, Unauthenticated};
pub(super) use cache::Cache;
pub use secret::{TokenId, TokenText};

use super::audit::{self, Actor, Entry};
use super::{Platform, PlatformError, begin_change, number, tenants};
use crate::sql::{Kind, Link, Row, SqlError, Value};
use crate::task::{Scope, TenantName};
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

/// Most tokens of a tenant, and most of operators and workers together (1,000).
pub const TOKENS: u64 = 1_000;
/// Longest name of a token, characters.
pub const NAME: usize = 100;
/// Longest time that a token goes on beside the one that replaced it (30 days).
pub const GRACE: Duration = Duration::from_secs(30 * 86_400);
/// How long a token that ended is listed (30 days).
const LISTED: Duration = Duration::from_secs(30 * 86_400);

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id, which is the beginning of it.
    pub id: TokenId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub scope: Scope,
    /// Whose it is; `None` for operators' and workers'.
    pub tenant: Option<TenantName>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to about a minute.
    pub used_at: Option<Timestamp>,
}

/// What a token shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTerms {
    /// What people call it, 1 to 100 characters.
    pub name: String,
    /// What it is for.
    pub scope: Scope,
    /// Whose it is; `None` for operators' and workers'.
    pub tenant: Option<TenantName>,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// A token that was made just now.
#[derive(Debug)]
pub struct NewToken {
    /// What is kept of it.
    pub token: Token,
    /// The whole of it, which nobody can read again.
    pub text: TokenText,
}

impl Token {
    /// Returns what the audit and programs are told of it.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        let moment = |at: Option<Timestamp>| at.map(|at| at.to_string());
        json!({
            "id": self.id.as_str(),
            "name": self.name,
            "scope": self.scope,
            "tenant": self.tenant,
            "created_at": self.created_at.to_string(),
            "expires_at": moment(self.expires_at),
            "used_at": moment(self.used_at),
        })
    }
}

impl Platform {
    /// Makes a token.
    ///
    /// # Errors
    /// [`PlatformError::NotFound`] without its tenant, [`PlatformError::Wrong`],
    /// [`PlatformError::Full`], [`PlatformError::Random`], [`PlatformError::Sql`].
    pub async fn create_token(
        &self,
        actor: &Actor,
        terms: TokenTerms,
    ) -> Result<NewToken, PlatformError> {
        let now = self.now();
        check(&terms, now)?;
        let made = make(terms, now)?;
        let work = async |link: &mut Link| {
            begin_change(link, 0).await?;
            if let Some(tenant) = &made.token.tenant
                && tenants::find(link, tenant).await?.is_none()
            {
                return Err(PlatformError::no_tenant(tenant));
            }
            insert(link, &made, now).await?;
            let became = Some(made.token.document());
            let entry = entry(actor, "token.create", &made.token);
            audit::write(link, now.as_millisecond(), &Entry { became, ..entry }).await?;
            Ok(())
        };
        self.sql.transaction(true, work).await?;
        Ok(made)
    }

    /// Lists the tokens of a tenant, or those of operators and workers, by age.
    ///
    /// # Errors
    /// [`PlatformError::Sql`].
    pub async fn tokens(&self, tenant: Option<&TenantName>) -> Result<Vec<Token>, PlatformError> {
        let read = async |link: &mut Link| {
            let sql = format!(
                "{SELECT} WHERE coalesce(tenant, '') = $1 ORDER BY created_at, id LIMIT $2"
            );
            let most = i64::try_from(TOKENS).unwrap_or(i64::MAX);
            let values = vec![owner(tenant), Value::from(most)];
            let rows = link.rows(&sql, values, &KINDS).await?;
            rows.into_iter().map(token).collect::<Result<Vec<_>, _>>()
        };
        Ok(self.sql.transaction(false, read).await?)
    }

    /// Makes another token in the place of one, which goes on for `grace`, at most
    /// [`GRACE`]. The new one lives as long as the old one was to live.
    ///
    /// # Errors
    /// [`PlatformError::NotFound`] when there is none of that tenant (`None`: of operators
    /// and workers), and as [`Platform::create_token`].
    pub async fn rotate_token(
        &self,
        actor: &Actor,
        tenant: Option<&TenantName>,
        id: &TokenId,
        grace: Duration,
    ) -> Result<NewToken, PlatformError> {
        if grace > GRACE {
            return Err(PlatformError::Wrong {
                field: "grace",
                reason: format!("it is at most {} days", GRACE.as_secs() / 86_400),
            });
        }
        let now = self.now();
        let work = async |link: &mut Link| {
            begin_change(link, 0).await?;
            let old = of(link, tenant, id).await?;
            let life = old.expires_at.map(|end| end.duration_since(old.created_at));
            let terms = TokenTerms {
                name: old.name.clone(),
                scope: old.scope,
                tenant: old.tenant.clone(),
                expires_at: life.map(|life| now.checked_add(life).unwrap_or(Timestamp::MAX)),
            };
            let made = make(terms, now)?;
            let end = crate::clock::after(now, grace);
            let end = old.expires_at.map_or(end, |expires| expires.min(end));
            if grace.is_zero() {
                delete(link, id).await?;
            } else {
                let sql = "UPDATE tokens SET expires_at = $1 WHERE id = $2";
                let values = vec![end.as_millisecond().into(), Value::text(id.as_str())];
                link.execute(sql, values).await?;
            }
            insert(link, &made, now).await?;
            let mut became = made.token.document();
            if let Some(members) = became.as_object_mut() {
                members.insert("old_until".to_owned(), json!(end.to_string()));
            }
            let entry = Entry {
                was: Some(old.document()),
                became: Some(became),
                ..entry(actor, "token.rotate", &old)
            };
            audit::write(link, now.as_millisecond(), &entry).await?;
            Ok::<_, PlatformError>(made)
        };
        let made = self.sql.transaction(true, work).await;
        self.cache.forget();
        made
    }

    /// Ends a token at once.
    ///
    /// # Errors
    /// [`PlatformError::NotFound`] when there is none of that tenant (`None`: of operators
    /// and workers), [`PlatformError::Sql`].
    pub async fn revoke_token(
        &self,
        actor: &Actor,
        tenant: Option<&TenantName>,
        id: &TokenId,
    ) -> Result<(), PlatformError> {
        let now = self.now();
        let work = async |link: &mut Link| {
            begin_change(link, 0).await?;
            let token = of(link, tenant, id).await?;
            delete(link, id).await?;
            let was = Some(token.document());
            let entry = entry(actor, "token.revoke", &token);
            audit::write(link, now.as_millisecond(), &Entry { was, ..entry }).await?;
            Ok::<_, PlatformError>(())
        };
        let revoked = self.sql.transaction(true, work).await;
        // Also where it failed: it may have been done before the answer was lost.
        self.cache.forget();
        revoked
    }
}

fn check(terms: &TokenTerms, now: Timestamp) -> Result<(), PlatformError> {
    let wrong = |field, reason: String| Err(PlatformError::Wrong { field, reason });
    let length = terms.name.chars().count();
    if length == 0 || length > NAME || terms.name.chars().any(char::is_control) {
        return wrong(
            "name",
            format!("it has 1 to {NAME} characters on one line, not {length}"),
        );
    }
    match (terms.scope.is_of_a_tenant(), &terms.tenant) {
        (true, None) => wrong(
            "tenant",
            format!("a token of scope {} is for one tenant", terms.scope),
        ),
        (false, Some(tenant)) => wrong(
            "tenant",
            format!(
                "a token of scope {} is for all tenants, not for {tenant:?} alone",
                terms.scope,
                tenant = tenant.as_str()
            ),
        ),
        (true, Some(_)) | (false, None) => match terms.expires_at {
            Some(end) if end <= now => wrong("expires_at", format!("{end} is over")),
            Some(_) | None => Ok(()),
        },
    }
}

/// Makes up a token.
fn make(terms: TokenTerms, now: Timestamp) -> Result<NewToken, PlatformError> {
    let text = TokenText::random().map_err(|source| PlatformError::Random { source })?;
    let token = Token {
        id: text.id(),
        name: terms.name,
        scope: terms.scope,
        tenant: terms.tenant,
        created_at: now,
        expires_at: terms.expires_at,
        used_at: None,
    };
    Ok(NewToken { token, text })
}

async fn insert(link: &mut Link, made: &NewToken, now: Timestamp) -> Result<(), PlatformError> {
    let NewToken { token, text } = made;
    let ended = crate::clock::before(now, LISTED).as_millisecond();
    let sql = "DELETE FROM tokens WHERE expires_at < $1";
    link.execute(sql, vec![ended.into()]).await?;
    let count = "SELECT count(*) FROM tokens WHERE coalesce(tenant, '') = $1";
    let whose = owner(token.tenant.as_ref());
    let count = number(link.rows(count, vec![whose], &[Kind::Int]).await?)?;
    if u64::try_from(count).unwrap_or(u64::MAX) >= TOKENS {
        return Err(PlatformError::Full {
            kind: "tokens",
            most: TOKENS,
            remedy: "revoke those that nobody uses",
        });
    }
    let sql = "INSERT INTO tokens (id, tenant, name, scope, secret, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = vec![
        Value::text(token.id.as_str()),
        Value::maybe(token.tenant.as_ref().map(TenantName::as_str)),
        Value::text(&token.name),
        Value::text(token.scope.as_str()),
        Value::text(text.hash().to_hex().as_str()),
        Value::from(token.created_at.as_millisecond()),
        Value::from(token.expires_at.map(|end| end.as_millisecond())),
    ];
    link.execute(sql, values).await?;
    Ok(())
}

async fn delete(link: &mut Link, id: &TokenId) -> Result<(), SqlError> {
    let sql = "DELETE FROM tokens WHERE id = $1";
    link.execute(sql, vec![Value::text(id.as_str())]).await?;
    Ok(())
}

/// Reads a token of somebody; that of others is not there.
async fn of(
    link: &mut Link,
    tenant: Option<&TenantName>,
    id: &TokenId,
) -> Result<Token, PlatformError> {
    let sql = format!("{SELECT} WHERE id = $1 AND coalesce(tenant, '') = $2");
    let values = vec![Value::text(id.as_str()), owner(tenant)];
    let row = link.rows(&sql, values, &KINDS).await?.pop();
    let row = row.ok_or_else(|| PlatformError::NotFound {
        kind: "token",
        name: id.as_str().to_owned(),
    })?;
    Ok(token(row)?)
}

/// Whose tokens are meant: no tenant's name is empty.
fn owner(tenant: Option<&TenantName>) -> Value {
    Value::text(tenant.map_or("", TenantName::as_str))
}

const UNREADABLE: &str =
    "a row of a token cannot be read; restore the database, or use the celeriac that wrote it";
const SELECT: &str = "SELECT id, tenant, name, scope, created_at, expires_at, used_at FROM tokens";
const KINDS: [Kind; 7] = [
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Int,
    Kind::Int,
    Kind::Int,
];

fn token(mut row: Row) -> Result<Token, SqlError> {
    let moment = |ms: i64| Timestamp::from_millisecond(ms).ok();
    let read = |row: &mut Row| {
        Some(Token {
            id: row.text()?.parse().ok()?,
            tenant: row.text().map(|name| name.parse()).transpose().ok()?,
            name: row.text()?,
            scope: row.text()?.parse().ok()?,
            created_at: moment(row.int()?)?,
            expires_at: match row.int() {
                Some(end) => Some(moment(end)?),
                None => None,
            },
            used_at: row.int().and_then(moment),
        })
    };
    read(&mut row).ok_or_else(|| SqlError::Misconfigured {
        reason: UNREADABLE.to_owned(),
    })
}

fn entry<'a>(actor: &'a Actor, action: &'static str, token: &'a Token) -> Entry<'a> {
    Entry {
        actor,
        action,
        tenant: token.tenant.as_ref(),
        subject: token.id.as_str(),
        was: None,
        became: None,
    }
}
