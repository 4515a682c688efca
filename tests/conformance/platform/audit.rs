//! The audit: nothing changes without a row, and it has an end.

use super::{Stage, me, name, rows_behaviours};
use celeriac::platform::audit::{self, KEPT, PAGE, ROWS};
use celeriac::platform::{AuditQuery, AuditRow, Entry, Terms, TokenTerms};
use celeriac::sql::SqlError;
use celeriac::task::Scope;
use std::time::Duration;

rows_behaviours! {
    each_change_has_its_row_without_passwords,
    a_change_whose_row_cannot_be_written_does_not_happen,
    rows_come_in_pages_the_latest_first_and_by_tenant,
    it_keeps_four_hundred_days_and_a_million_rows,
}

mod check {
    use super::*;

    async fn all(stage: &Stage) -> Vec<AuditRow> {
        let query = AuditQuery {
            limit: PAGE,
            ..AuditQuery::default()
        };
        stage.platform.audit(&query).await.unwrap()
    }

    async fn note(stage: &Stage, subject: &str, tenant: Option<&str>) {
        let tenant = tenant.map(name);
        let entry = Entry {
            actor: me(),
            action: "module.push",
            tenant: tenant.as_ref(),
            subject,
            was: None,
            became: None,
        };
        let now = stage.clock.now_ms();
        let noted = stage
            .sql
            .transaction(true, async |link| audit::write(link, now, &entry).await);
        let noted: Result<(), SqlError> = noted.await;
        noted.unwrap();
    }

    async fn execute(stage: &Stage, sql: &str) {
        let done = stage
            .sql
            .transaction(true, async |link| link.execute(sql, Vec::new()).await);
        let done: Result<u64, SqlError> = done.await;
        done.unwrap();
    }

    pub(super) async fn each_change_has_its_row_without_passwords(stage: Stage) {
        let (platform, acme) = (&stage.platform, name("acme"));
        let terms = Terms {
            broker: Some("amqp://acme:s3cret@h/acme".to_owned()),
            ..Terms::default()
        };
        platform.create_tenant(me(), &acme, terms).await.unwrap();
        let password = platform.change_tenant(me(), &acme, |terms| {
            terms.broker = Some("amqp://acme:s3cret2@h/acme".to_owned());
            Ok(())
        });
        password.await.unwrap();
        let token = TokenTerms {
            name: "ci".to_owned(),
            scope: Scope::Deploy,
            tenant: Some(acme.clone()),
            expires_at: None,
        };
        let token = platform.create_token(me(), token).await.unwrap().token.id;
        let next = platform.rotate_token(me(), Some(&acme), &token, Duration::ZERO);
        let next = next.await.unwrap().token.id;
        platform
            .revoke_token(me(), Some(&acme), &next)
            .await
            .unwrap();
        platform.delete_tenant(me(), &acme, true).await.unwrap();
        let rows = all(&stage).await;
        let told: Vec<_> = rows
            .iter()
            .rev()
            .map(|row| (row.action.as_str(), row.subject.as_str()))
            .collect();
        let (token, next) = (token.as_str(), next.as_str());
        let expected = [
            ("tenant.create", "acme"),
            ("tenant.change", "acme"),
            ("token.create", token),
            ("token.rotate", token),
            ("token.revoke", next),
            ("tenant.delete", "acme"),
        ];
        assert_eq!(told, expected);
        for row in &rows {
            assert_eq!(row.who, "token 0123456789ab (ci)");
            assert_eq!(row.request.as_deref(), Some("request-1"));
            assert_eq!(row.tenant.as_deref(), Some("acme"));
            assert_eq!(row.at, stage.clock.now());
            assert!(row.was.is_some() || row.became.is_some());
            assert!(!format!("{row:?}").contains("s3cret"), "{row:?}");
        }
        // That the password is another one is told, and not what it is.
        let same = "{\"broker\":\"amqp://acme:…@h/acme\"}";
        assert_eq!(rows[4].was.as_deref(), Some(same));
        assert_eq!(rows[4].became.as_deref(), Some(same));
    }

    pub(super) async fn a_change_whose_row_cannot_be_written_does_not_happen(stage: Stage) {
        let (platform, acme) = (&stage.platform, name("acme"));
        platform
            .create_tenant(me(), &acme, Terms::default())
            .await
            .unwrap();
        execute(&stage, "ALTER TABLE audit RENAME TO elsewhere").await;
        assert!(platform.suspend_tenant(me(), &acme).await.is_err());
        assert!(platform.delete_tenant(me(), &acme, true).await.is_err());
        execute(&stage, "ALTER TABLE elsewhere RENAME TO audit").await;
        assert!(!platform.tenant(&acme).await.unwrap().suspended);
        assert_eq!(platform.generation().await.unwrap(), 1);
    }

    pub(super) async fn rows_come_in_pages_the_latest_first_and_by_tenant(stage: Stage) {
        for number in 0..5 {
            let tenant = ["acme", "other"][number % 2];
            note(&stage, &number.to_string(), Some(tenant)).await;
        }
        note(&stage, "whole", None).await;
        let page = async |tenant: Option<&str>, before, limit| {
            let query = AuditQuery {
                tenant: tenant.map(name),
                before,
                limit,
            };
            let rows = stage.platform.audit(&query).await.unwrap();
            let last = rows.last().map(|row| row.number);
            let subjects: Vec<_> = rows.into_iter().map(|row| row.subject).collect();
            (subjects.join(" "), last)
        };
        let (subjects, last) = page(None, None, 3).await;
        assert_eq!(subjects, "whole 4 3");
        let (subjects, last) = page(None, last, 9).await;
        assert_eq!(subjects, "2 1 0");
        assert_eq!(page(None, last, 9).await.0, "");
        assert_eq!(page(Some("acme"), None, 9).await.0, "4 2 0");
        let (_, last) = page(Some("acme"), None, 1).await;
        assert_eq!(page(Some("acme"), last, 1).await.0, "2");
        assert_eq!(page(Some("none"), None, 9).await.0, "");
        assert_eq!(page(None, None, 0).await.0, "");
    }

    pub(super) async fn it_keeps_four_hundred_days_and_a_million_rows(stage: Stage) {
        note(&stage, "first", None).await;
        stage.clock.advance(Duration::from_secs(86_400));
        note(&stage, "second", None).await;
        stage.clock.advance(KEPT - Duration::from_secs(86_400));
        note(&stage, "third", None).await;
        assert_eq!(all(&stage).await.len(), 3);
        stage.clock.advance(Duration::from_millis(1));
        note(&stage, "fourth", None).await;
        let subjects = async || {
            let rows = all(&stage).await.into_iter().map(|row| row.subject);
            rows.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(subjects().await, "fourth third second");
        // A million further on, of which no test waits for all.
        let far = format!(
            "UPDATE audit SET number = {} WHERE subject = 'fourth'",
            ROWS + 2
        );
        execute(&stage, &far).await;
        assert_eq!(subjects().await, "fourth third second");
        note(&stage, "fifth", None).await;
        let kept = subjects().await;
        assert!(!kept.contains("second") && kept.contains("fifth"), "{kept}");
        assert!(kept.contains("fourth"), "{kept}");
    }
}
