//! What becomes of modules when their tenant goes: within the transaction that removes it,
//! so that nobody who takes its name later finds them.

use crate::sql::{Kind, Link, SqlError, Value};
use crate::task::TenantName;

/// Counts the modules of a tenant.
///
/// # Errors
/// What the database said.
pub async fn count_modules(link: &mut Link, tenant: &TenantName) -> Result<u64, SqlError> {
    let sql = "SELECT count(*) FROM modules WHERE tenant = $1 AND current IS NOT NULL";
    let rows = link.rows(sql, owner(tenant), &[Kind::Int]).await?;
    let count = rows.into_iter().next().and_then(|mut row| row.int());
    // What cannot be counted is there.
    Ok(count
        .and_then(|count| u64::try_from(count).ok())
        .unwrap_or(u64::MAX))
}

/// Takes away all modules of a tenant. Their numbers stay, so that none ever means two
/// things, and so do its kills, which must hold until the last worker has let it go.
///
/// # Errors
/// What the database said.
pub async fn remove_modules(link: &mut Link, tenant: &TenantName) -> Result<(), SqlError> {
    // First of all, as every change of modules does: the others wait.
    let grow = "UPDATE registry SET generation = generation + 1 WHERE id = 1";
    link.execute(grow, Vec::new()).await?;
    for sql in [
        "UPDATE modules SET current = NULL WHERE tenant = $1",
        "DELETE FROM versions WHERE tenant = $1",
        "DELETE FROM refusals WHERE tenant = $1",
    ] {
        link.execute(sql, owner(tenant)).await?;
    }
    Ok(())
}

fn owner(tenant: &TenantName) -> Vec<Value> {
    vec![Value::text(tenant.as_str())]
}
