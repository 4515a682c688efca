//! Who somebody is, by the token they show.

use super::{TokenId, TokenText};
use crate::platform::{Platform, PlatformError};
use crate::sql::{Kind, Link, SqlError, Value};
use crate::task::{Scope, TenantName};
use blake3::Hash;
use jiff::Timestamp;
use std::time::Duration;

/// How often it is written down that a token is used (once a minute).
const USED: Duration = Duration::from_secs(60);

/// Who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The token's id.
    pub token: TokenId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub scope: Scope,
    /// Whose it is; `None` for operators' and workers'.
    pub tenant: Option<TenantName>,
}

/// Why it is not known who somebody is.
#[derive(Debug, thiserror::Error)]
pub enum Unauthenticated {
    /// Refuse them. Whether it is wrong, unknown, expired or revoked is told to nobody.
    #[error("the token is not valid")]
    Refused,
    /// Tell them to come again: it cannot be looked up.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl Platform {
    /// Tells whose a token is, by one read, or none within five seconds of another.
    ///
    /// # Errors
    /// [`Unauthenticated::Refused`] for whatever is no token that holds;
    /// [`Unauthenticated::Platform`] when the database is away.
    pub async fn authenticate(&self, text: &str) -> Result<Identity, Unauthenticated> {
        let text = TokenText::read(text).ok_or(Unauthenticated::Refused)?;
        let (now, hash) = (self.now(), text.hash());
        let epoch = match self.cache.find(&hash, now) {
            Ok(identity) => return Ok(identity),
            Err(epoch) => epoch,
        };
        let id = text.id();
        let work = async |link: &mut Link| kept(link, &id).await;
        let kept = self.sql.transaction(false, work).await;
        let kept = kept.map_err(PlatformError::from)?;
        // Compared in constant time, and also where there is none.
        let expected = kept
            .as_ref()
            .map_or(Hash::from_bytes([0; 32]), |kept| kept.hash);
        let same = expected == hash;
        let Some(kept) = kept.filter(|kept| same && kept.expires_at.is_none_or(|end| now < end))
        else {
            return Err(Unauthenticated::Refused);
        };
        self.used(&kept, now).await;
        let identity = kept.identity;
        self.cache
            .remember(epoch, hash, identity.clone(), now, kept.expires_at);
        Ok(identity)
    }

    /// Writes down that a token is used, where it was not lately.
    async fn used(&self, kept: &Kept, now: Timestamp) {
        let before = crate::clock::before(now, USED);
        if kept
            .used_at
            .is_some_and(|used| used > before && used <= now)
        {
            return;
        }
        let sql = "UPDATE tokens SET used_at = $1 WHERE id = $2";
        let values = vec![
            Value::from(now.as_millisecond()),
            Value::text(kept.identity.token.as_str()),
        ];
        let write = async |link: &mut Link| link.execute(sql, values).await;
        if let Err(error) = self.sql.transaction(true, write).await {
            let error: SqlError = error;
            tracing::debug!(%error, "it was not written down that a token is used");
        }
    }
}

/// What is kept of a token.
struct Kept {
    identity: Identity,
    hash: Hash,
    expires_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
}

/// Reads a token. A row that cannot be read is none: it opens nothing.
async fn kept(link: &mut Link, id: &TokenId) -> Result<Option<Kept>, SqlError> {
    let sql = "SELECT secret, name, scope, tenant, expires_at, used_at FROM tokens WHERE id = $1";
    let kinds = [
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Int,
    ];
    let rows = link.rows(sql, vec![Value::text(id.as_str())], &kinds);
    let Some(mut row) = rows.await?.pop() else {
        return Ok(None);
    };
    let mut read = || {
        let moment = |ms: i64| Timestamp::from_millisecond(ms).ok();
        let hash = Hash::from_hex(row.text()?).ok()?;
        let identity = Identity {
            token: id.clone(),
            name: row.text()?,
            scope: row.text()?.parse().ok()?,
            tenant: row.text().map(|name| name.parse()).transpose().ok()?,
        };
        let expires_at = match row.int() {
            Some(end) => Some(moment(end)?),
            None => None,
        };
        Some(Kept {
            identity,
            hash,
            expires_at,
            used_at: row.int().and_then(moment),
        })
    };
    Ok(read())
}
