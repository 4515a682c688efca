//! Ids of tasks that were called here.
//!
//! Celery cannot tell a task that waits from one that never was. Ours can, without a row
//! for each: a part of the id follows from the rest, the tenant, and a secret of this
//! installation. Whoever asks for an id that was never given to them learns that there is
//! no such task, whoever else may have it.

use super::{Platform, PlatformError};
use crate::sql::{Kind, Link, Row, SqlError, Value};
use crate::task::{TaskId, TenantName};
use std::fmt;
use uuid::Uuid;

/// Bytes of an id that follow from the rest: nobody finds them in 2^48 tries, and 74
/// random bits are left to tell ids apart.
const PROOF: usize = 6;

/// Gives ids, and knows those it gave. Cheap to clone.
#[derive(Clone)]
pub struct Issuer {
    secret: [u8; 32],
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").finish_non_exhaustive()
    }
}

impl Issuer {
    /// Gives a new id, a UUID (version 8).
    #[must_use]
    pub fn issue(&self, tenant: &TenantName) -> TaskId {
        let random = *Uuid::new_v4().as_bytes();
        let id = uuid::Builder::from_custom_bytes(random).into_uuid();
        let mut bytes = *id.as_bytes();
        let proof = self.proof(tenant, &bytes);
        for (byte, proof) in bytes.iter_mut().rev().zip(proof) {
            *byte = proof;
        }
        // Never refused: it is the text of a UUID.
        TaskId::parse(&Uuid::from_bytes(bytes).to_string()).unwrap_or_else(|_| TaskId::random())
    }

    /// Tells whether an id was given to a tenant.
    #[must_use]
    pub fn is_issued(&self, tenant: &TenantName, id: &TaskId) -> bool {
        let Ok(uuid) = Uuid::try_parse(id.as_str()) else {
            return false;
        };
        // Written as we write it: others are other ids to brokers.
        if uuid.to_string() != id.as_str() {
            return false;
        }
        let bytes = uuid.as_bytes();
        let proof = self.proof(tenant, bytes);
        let wrong = bytes.iter().rev().zip(proof).map(|(one, two)| one ^ two);
        wrong.fold(0, |all, wrong| all | wrong) == 0
    }

    /// Returns what follows from the first bytes of an id.
    fn proof(&self, tenant: &TenantName, bytes: &[u8; 16]) -> [u8; PROOF] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        for byte in bytes.iter().take(bytes.len() - PROOF) {
            hasher.update(&[*byte]);
        }
        hasher.update(tenant.as_str().as_bytes());
        let mut proof = [0; PROOF];
        hasher.finalize_xof().fill(&mut proof);
        proof
    }
}

impl Platform {
    /// Returns what gives ids to tasks; the first to ask makes its secret.
    ///
    /// # Errors
    /// [`PlatformError::Sql`].
    pub async fn issuer(&self) -> Result<Issuer, PlatformError> {
        let made: Vec<u8> = [Uuid::new_v4(), Uuid::new_v4()]
            .iter()
            .flat_map(|random| *random.as_bytes())
            .collect();
        let work = async |link: &mut Link| {
            let sql = "INSERT INTO call_secret (id, secret) VALUES (1, $1) \
                 ON CONFLICT (id) DO NOTHING";
            link.execute(sql, vec![Value::Bytes(Some(made))]).await?;
            let sql = "SELECT secret FROM call_secret WHERE id = 1";
            let rows = link.rows(sql, Vec::new(), &[Kind::Bytes]).await?;
            let secret = rows.into_iter().next().and_then(|mut row: Row| row.bytes());
            let secret = secret.and_then(|secret| <[u8; 32]>::try_from(secret).ok());
            secret.ok_or_else(|| SqlError::Misconfigured {
                reason: "the secret of task ids cannot be read; restore the database".to_owned(),
            })
        };
        let secret = self.sql.transaction(true, work).await?;
        Ok(Issuer { secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_to_the_tenant_it_was_given_to_and_to_nobody_else() {
        let issuer = Issuer { secret: [7; 32] };
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let (one, two) = (issuer.issue(&acme), issuer.issue(&acme));
        assert_ne!(one, two);
        assert!(issuer.is_issued(&acme, &one) && issuer.is_issued(&acme, &two));
        assert!(!issuer.is_issued(&other, &one));
        let elsewhere = Issuer { secret: [8; 32] };
        assert!(!elsewhere.is_issued(&acme, &one));
        let upper = one.as_str().to_uppercase();
        let guesses = [TaskId::random().to_string(), "7".to_owned(), upper];
        for guess in guesses {
            let guess = TaskId::parse(&guess).unwrap();
            assert!(!issuer.is_issued(&acme, &guess), "{guess}");
        }
    }

    #[test]
    fn an_id_is_a_uuid_of_its_own_version() {
        let issuer = Issuer { secret: [7; 32] };
        let id = issuer.issue(&TenantName::default());
        let uuid = Uuid::try_parse(id.as_str()).unwrap();
        assert_eq!((uuid.get_version_num(), id.as_str().len()), (8, 36));
    }
}
