//! Tenants: made, changed, suspended, removed.

use super::{Stage, me, name, rows_behaviours};
use celeriac::platform::{AuditQuery, PlatformError, TENANTS, Terms, TokenTerms};
use celeriac::sql::{Kind, SqlError};
use celeriac::task::{Ceiling, Quota, Scope, Weight};

rows_behaviours! {
    the_tenant_default_is_always_there_and_stays,
    a_tenant_is_made_read_and_listed_by_every_process,
    a_change_moves_the_generation_and_one_that_changes_nothing_does_not,
    terms_that_cannot_be_are_refused_and_change_nothing,
    a_tenant_at_work_is_not_deleted_unless_forced_and_takes_its_tokens_along,
    a_tenant_with_modules_is_not_deleted_unless_forced_and_nobody_inherits_them,
    there_are_at_most_ten_thousand,
    many_at_once_make_one_tenant_once,
    a_row_that_cannot_be_read_lifts_no_bounds,
}

mod check {
    use super::*;

    fn terms() -> Terms {
        Terms {
            weight: Weight::try_from(200).unwrap(),
            quota: Quota {
                cpu_per_day_seconds: Some(7_200),
                ..Quota::default()
            },
            ceiling: Ceiling {
                memory_bytes: Some(64 << 20),
                ..Ceiling::default()
            },
            may: vec!["http:api.acme.example".to_owned()],
            broker: Some("amqp://acme:s3cret@h/acme".to_owned()),
            result_backend: Some("redis://acme:s3cret@h/0".to_owned()),
        }
    }

    pub(super) async fn the_tenant_default_is_always_there_and_stays(stage: Stage) {
        let platform = &stage.platform;
        let default = platform.tenant(&name("default")).await.unwrap();
        assert!(!default.suspended && default.name.is_default());
        assert_eq!(default.created_at, crate::stage::START);
        assert_eq!(default.may, ["everything"]);
        for force in [false, true] {
            let kept = platform.delete_tenant(me(), &name("default"), force).await;
            let error = kept.unwrap_err();
            assert!(matches!(error, PlatformError::Refused { .. }), "{error}");
        }
        let broker = platform
            .change_tenant(me(), &name("default"), |terms| {
                terms.broker = Some("amqp://h".to_owned());
                Ok(())
            })
            .await;
        let error = broker.unwrap_err().to_string();
        assert!(error.contains("that of the configuration"), "{error}");
        let suspended = platform.suspend_tenant(me(), &name("default")).await;
        assert!(suspended.unwrap().suspended);
    }

    pub(super) async fn a_tenant_is_made_read_and_listed_by_every_process(stage: Stage) {
        let made = stage
            .platform
            .create_tenant(me(), &name("acme"), terms())
            .await;
        let made = made.unwrap();
        assert_eq!(made.terms(), terms());
        assert_eq!(stage.others.tenant(&name("acme")).await.unwrap(), made);
        let again = stage
            .others
            .create_tenant(me(), &name("acme"), terms())
            .await;
        let error = again.unwrap_err();
        assert_eq!(error.to_string(), "there is a tenant \"acme\" already");
        let none = stage.others.tenant(&name("acm")).await.unwrap_err();
        assert_eq!(none.to_string(), "there is no tenant \"acm\"");
        for other in ["b", "c"] {
            let made = stage
                .others
                .create_tenant(me(), &name(other), Terms::default())
                .await;
            assert_eq!(made.unwrap().may, [] as [&str; 0]);
        }
        let page = async |after: Option<&str>, limit| {
            let after = after.map(name);
            let page = stage.platform.tenants(after.as_ref(), limit).await.unwrap();
            let names = page.into_iter().map(|tenant| tenant.name.to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(page(None, 2).await, ["acme", "b"]);
        assert_eq!(page(Some("b"), 2).await, ["c", "default"]);
        assert_eq!(page(Some("default"), u32::MAX).await, [] as [&str; 0]);
        let (generation, all) = stage.platform.all_tenants().await.unwrap();
        assert_eq!((generation, all.len()), (3, 4));
        assert!(!format!("{all:?}").contains("s3cret"));
    }

    pub(super) async fn a_change_moves_the_generation_and_one_that_changes_nothing_does_not(
        stage: Stage,
    ) {
        let platform = &stage.platform;
        let acme = name("acme");
        platform.create_tenant(me(), &acme, terms()).await.unwrap();
        let moved = async || stage.others.generation().await.unwrap();
        assert_eq!(moved().await, 1);
        let weight = |weight: u32| {
            let weight = Weight::try_from(weight).unwrap();
            move |terms: &mut Terms| {
                terms.weight = weight;
                Ok(())
            }
        };
        let changed = platform.change_tenant(me(), &acme, weight(300)).await;
        assert_eq!(changed.unwrap().weight.get(), 300);
        assert_eq!(moved().await, 2);
        let same = platform.change_tenant(me(), &acme, weight(300)).await;
        assert_eq!(same.unwrap().weight.get(), 300);
        assert_eq!(moved().await, 2);
        for _ in 0..2 {
            let suspended = platform.suspend_tenant(me(), &acme).await;
            assert!(suspended.unwrap().suspended);
        }
        assert_eq!(moved().await, 3);
        assert!(!platform.resume_tenant(me(), &acme).await.unwrap().suspended);
        assert_eq!(moved().await, 4);
        let none = platform.suspend_tenant(me(), &name("none")).await;
        assert!(matches!(none, Err(PlatformError::NotFound { .. })));
        assert_eq!(moved().await, 4);
        // What changed is told, and nothing else.
        let rows = platform
            .audit(&AuditQuery {
                limit: 9,
                ..AuditQuery::default()
            })
            .await;
        let rows: Vec<_> = rows.unwrap().into_iter().rev().collect();
        let told: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.action.as_str(),
                    row.was.as_deref(),
                    row.became.as_deref(),
                )
            })
            .skip(1)
            .collect();
        let expected = [
            ("tenant.change", "{\"weight\":200}", "{\"weight\":300}"),
            (
                "tenant.suspend",
                "{\"suspended\":false}",
                "{\"suspended\":true}",
            ),
            (
                "tenant.resume",
                "{\"suspended\":true}",
                "{\"suspended\":false}",
            ),
        ];
        let expected = expected.map(|(action, was, became)| (action, Some(was), Some(became)));
        assert_eq!(told, expected);
    }

    pub(super) async fn terms_that_cannot_be_are_refused_and_change_nothing(stage: Stage) {
        let acme = name("acme");
        let platform = &stage.platform;
        platform.create_tenant(me(), &acme, terms()).await.unwrap();
        for (field, change) in [
            (
                "broker",
                (|terms| terms.broker = Some("kafka://s3cret".to_owned())) as fn(&mut Terms),
            ),
            ("result_backend", |terms| {
                terms.result_backend = Some("s3cret".to_owned());
            }),
            ("may", |terms| {
                terms.may = vec!["anything:at all".to_owned()];
            }),
            ("quota.concurrency", |terms| {
                terms.quota.concurrency = Some(0);
            }),
            ("ceiling.cpu_ms", |terms| {
                terms.ceiling.cpu_ms = Some(u64::MAX);
            }),
        ] {
            let refused = platform.change_tenant(me(), &acme, |terms| {
                change(terms);
                Ok(())
            });
            let error = refused.await.unwrap_err();
            assert!(
                matches!(error, PlatformError::Wrong { field: wrong, .. } if wrong == field),
                "{error}"
            );
            assert!(!error.to_string().contains("s3cret"), "{error}");
            let mut wrong = terms();
            change(&mut wrong);
            let refused = platform.create_tenant(me(), &name("other"), wrong).await;
            assert!(matches!(refused, Err(PlatformError::Wrong { .. })));
        }
        assert_eq!(platform.tenant(&acme).await.unwrap().terms(), terms());
        assert_eq!(platform.generation().await.unwrap(), 1);
    }

    pub(super) async fn a_tenant_at_work_is_not_deleted_unless_forced_and_takes_its_tokens_along(
        stage: Stage,
    ) {
        let platform = &stage.platform;
        for (tenant, force) in [("acme", false), ("other", true)] {
            let tenant = name(tenant);
            platform
                .create_tenant(me(), &tenant, terms())
                .await
                .unwrap();
            let token = TokenTerms {
                name: "ci".to_owned(),
                scope: Scope::Deploy,
                tenant: Some(tenant.clone()),
                expires_at: None,
            };
            let token = platform.create_token(me(), token).await.unwrap();
            assert!(platform.authenticate(token.text.expose()).await.is_ok());
            if !force {
                let error = platform
                    .delete_tenant(me(), &tenant, false)
                    .await
                    .unwrap_err();
                assert!(error.to_string().contains("suspend it first"), "{error}");
                platform.suspend_tenant(me(), &tenant).await.unwrap();
            }
            platform.delete_tenant(me(), &tenant, force).await.unwrap();
            assert!(platform.tenant(&tenant).await.is_err());
            assert!(platform.authenticate(token.text.expose()).await.is_err());
            let gone = platform.delete_tenant(me(), &tenant, force).await;
            assert!(matches!(gone, Err(PlatformError::NotFound { .. })));
        }
    }

    pub(super) async fn a_tenant_with_modules_is_not_deleted_unless_forced_and_nobody_inherits_them(
        stage: Stage,
    ) {
        let (platform, acme) = (&stage.platform, name("acme"));
        platform.create_tenant(me(), &acme, terms()).await.unwrap();
        platform.suspend_tenant(me(), &acme).await.unwrap();
        let push = stage.sql.transaction(true, async |link| {
            for sql in [
                "INSERT INTO components (digest, bytes, tasks, imports) VALUES ('d', 1, '[]', '[]')",
                "INSERT INTO modules (tenant, name, current, newest) VALUES ('acme', 'm', 1, 1), ('default', 'm', 1, 1)",
                "INSERT INTO versions (tenant, module, version, digest, pushed_at) \
                 VALUES ('acme', 'm', 1, 'd', 0), ('default', 'm', 1, 'd', 0)",
            ] {
                link.execute(sql, Vec::new()).await?;
            }
            Ok::<_, SqlError>(())
        });
        push.await.unwrap();
        let error = platform
            .delete_tenant(me(), &acme, false)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("has modules"), "{error}");
        platform.delete_tenant(me(), &acme, true).await.unwrap();
        platform.create_tenant(me(), &acme, terms()).await.unwrap();
        let left = stage.sql.transaction(false, async |link| {
            let sql = "SELECT m.tenant FROM modules m JOIN versions v \
                 ON v.tenant = m.tenant AND v.module = m.name WHERE m.current IS NOT NULL";
            link.rows(sql, Vec::new(), &[Kind::Text]).await
        });
        let left: Result<Vec<_>, SqlError> = left.await;
        let left: Vec<_> = left
            .unwrap()
            .into_iter()
            .map(|mut row| row.text())
            .collect();
        assert_eq!(left, [Some("default".to_owned())]);
    }

    pub(super) async fn there_are_at_most_ten_thousand(stage: Stage) {
        let fill = "INSERT INTO tenants (name, created_at, suspended, weight, quota, ceiling, may) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
             SELECT 't' || i, 0, 0, 100, '{}', '{}', '[]' FROM n";
        let some = i64::try_from(TENANTS).unwrap() - 2;
        let filled = stage.sql.transaction(true, async |link| {
            link.execute(fill, vec![some.into()]).await
        });
        let filled: Result<u64, SqlError> = filled.await;
        assert_eq!(filled.unwrap(), TENANTS - 2);
        let make = async |tenant| {
            stage
                .platform
                .create_tenant(me(), &name(tenant), Terms::default())
                .await
        };
        make("last").await.unwrap();
        let error = make("more").await.unwrap_err();
        let expected =
            "there are 10000 tenants already, which is the most; delete those that are gone";
        assert_eq!(error.to_string(), expected);
        assert_eq!(stage.platform.all_tenants().await.unwrap().1.len(), 10_000);
        assert_eq!(
            stage.platform.tenants(None, u32::MAX).await.unwrap().len(),
            1_000
        );
    }

    pub(super) async fn many_at_once_make_one_tenant_once(stage: Stage) {
        let acme = name("acme");
        let actor = me();
        let make = |platform| {
            let made = celeriac::platform::Platform::create_tenant(platform, actor, &acme, terms());
            async move { made.await.is_ok() }
        };
        let all = (0..10).map(|number| make([&stage.platform, &stage.others][number % 2]));
        let made = futures::future::join_all(all).await;
        assert_eq!(made.into_iter().filter(|made| *made).count(), 1);
        assert_eq!(stage.platform.generation().await.unwrap(), 1);
    }

    pub(super) async fn a_row_that_cannot_be_read_lifts_no_bounds(stage: Stage) {
        let platform = &stage.platform;
        platform
            .create_tenant(me(), &name("acme"), terms())
            .await
            .unwrap();
        let spoil = "UPDATE tenants SET quota = '{\"later\":1}' WHERE name = 'acme'";
        let spoiled = stage
            .sql
            .transaction(true, async |link| link.execute(spoil, Vec::new()).await);
        let spoiled: Result<u64, SqlError> = spoiled.await;
        assert_eq!(spoiled.unwrap(), 1);
        let error = platform.all_tenants().await.unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
        assert!(platform.tenant(&name("acme")).await.is_err());
        assert!(platform.tenant(&name("default")).await.is_ok());
        let rows = stage.sql.transaction(false, async |link| {
            link.rows("SELECT count(*) FROM tenants", Vec::new(), &[Kind::Int])
                .await
        });
        let rows: Result<Vec<_>, SqlError> = rows.await;
        assert_eq!(rows.unwrap()[0].int(), Some(2));
    }
}
