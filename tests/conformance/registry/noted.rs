//! Changes of modules, and their rows in the audit.

use super::{Stage, component, current, module, push, tenant};
use celeriac::platform::{Actor, AuditQuery};
use celeriac::registry::{Aim, Registry};
use celeriac::sql::{Sql, SqlError};

async fn execute(sql: &Sql, statement: &str) {
    let done = sql.transaction(true, async |link| link.execute(statement, Vec::new()).await);
    let done: Result<u64, SqlError> = done.await;
    done.unwrap();
}

/// Pushes a version by somebody; tells whether it was taken.
async fn pushed(registry: &Registry, number: u8) -> bool {
    let (acme, report) = (tenant("acme"), &mut |_| {});
    let bytes = component(number);
    let pushed = registry.push(&acme, &module(), bytes, report).await;
    pushed.is_ok()
}

pub(super) async fn each_change_of_modules_stands_in_the_audit_or_does_not_happen(stage: Stage) {
    let (sql, acme) = (stage.sql(), tenant("acme"));
    let platform = stage.platform().await;
    let by = stage
        .here
        .changed_by(Actor::new("token x (ci)", Some("request-1")));
    execute(&sql, "ALTER TABLE audit RENAME TO elsewhere").await;
    let aim = Aim::Module(acme.clone(), module());
    assert!(!pushed(&by, 1).await);
    assert_eq!(current(&stage.there, "acme").await, None);
    push(&stage.here, "acme", 1).await;
    assert!(!pushed(&by, 2).await);
    assert!(by.kill(aim.clone(), "why", false).await.is_err());
    assert!(by.remove(&acme, &module()).await.is_err());
    assert_eq!(current(&stage.there, "acme").await, Some(1));
    assert!(stage.there.kills(&acme).await.unwrap().is_empty());
    execute(&sql, "ALTER TABLE elsewhere RENAME TO audit").await;
    assert!(pushed(&by, 2).await);
    // What runs already is no change.
    assert!(pushed(&by, 2).await);
    by.rollback(&acme, &module(), None).await.unwrap();
    by.pin(&acme, &module(), Some(2)).await.unwrap();
    by.kill(aim.clone(), "why", true).await.unwrap();
    by.unkill(aim.clone()).await.unwrap().unwrap();
    assert!(by.unkill(aim).await.unwrap().is_none());
    by.remove(&acme, &module()).await.unwrap();
    let query = AuditQuery {
        limit: 100,
        ..AuditQuery::default()
    };
    let rows = platform.audit(&query).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
    let expected = [
        "module.remove",
        "kill.end",
        "kill.create",
        "module.pin",
        "module.rollback",
        "module.push",
    ];
    assert_eq!(told, expected);
    for row in &rows {
        assert_eq!(
            (row.who.as_str(), row.tenant.as_deref()),
            ("token x (ci)", Some("acme"))
        );
        assert_eq!(row.request.as_deref(), Some("request-1"));
    }
    assert!(rows[5].became.as_ref().unwrap().contains("\"version\":2"));
}
