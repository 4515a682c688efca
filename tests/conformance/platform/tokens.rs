//! Tokens: what opens, what does not, and for how long.

use super::{Stage, me, name, rows_behaviours};
use celeriac::clock::after;
use celeriac::platform::tokens::TOKENS;
use celeriac::platform::{NewToken, PlatformError, Terms, TokenTerms, Unauthenticated};
use celeriac::sql::{Kind, SqlError};
use celeriac::task::Scope;
use std::time::Duration;

rows_behaviours! {
    a_token_tells_who_somebody_is_in_every_process,
    a_token_that_is_wrong_in_any_way_is_refused_in_the_same_words,
    a_revoked_token_ends_here_at_once_and_elsewhere_within_five_seconds,
    an_old_token_goes_on_for_its_grace_and_no_longer,
    the_token_of_another_tenant_is_not_there,
    a_tenant_has_at_most_a_thousand_and_those_that_ended_go,
    the_secret_is_nowhere_in_the_tables,
    its_use_is_written_down_once_a_minute,
    a_token_that_cannot_be_is_not_made,
}

mod check {
    use super::*;

    async fn acme(stage: &Stage) {
        let terms = Terms::default();
        stage
            .platform
            .create_tenant(me(), &name("acme"), terms)
            .await
            .unwrap();
    }

    fn of_acme(scope: Scope) -> TokenTerms {
        TokenTerms {
            name: "ci".to_owned(),
            scope,
            tenant: Some(name("acme")),
            expires_at: None,
        }
    }

    fn of_the_operator() -> TokenTerms {
        TokenTerms {
            scope: Scope::Operator,
            tenant: None,
            ..of_acme(Scope::Deploy)
        }
    }

    async fn make(stage: &Stage, terms: TokenTerms) -> NewToken {
        stage.platform.create_token(me(), terms).await.unwrap()
    }

    pub(super) async fn a_token_tells_who_somebody_is_in_every_process(stage: Stage) {
        acme(&stage).await;
        for scope in Scope::ALL {
            let tenant = scope.is_of_a_tenant().then(|| name("acme"));
            let made = make(
                &stage,
                TokenTerms {
                    tenant,
                    ..of_acme(scope)
                },
            )
            .await;
            for platform in [&stage.platform, &stage.others, &stage.others] {
                let who = platform.authenticate(made.text.expose()).await.unwrap();
                assert_eq!((who.scope, who.tenant), (scope, made.token.tenant.clone()));
                assert_eq!(
                    (who.token, who.name),
                    (made.token.id.clone(), "ci".to_owned())
                );
            }
        }
        let listed = async |tenant: Option<&str>| {
            let tenant = tenant.map(name);
            stage.others.tokens(tenant.as_ref()).await.unwrap().len()
        };
        assert_eq!([listed(None).await, listed(Some("acme")).await], [2, 4]);
    }

    pub(super) async fn a_token_that_is_wrong_in_any_way_is_refused_in_the_same_words(
        stage: Stage,
    ) {
        acme(&stage).await;
        let now = stage.clock.now();
        let mut good = of_acme(Scope::Deploy);
        good.expires_at = Some(after(now, Duration::from_secs(60)));
        let expired = make(&stage, good).await;
        let revoked = make(&stage, of_acme(Scope::Call)).await;
        let other = make(&stage, of_acme(Scope::Call)).await;
        assert!(
            stage
                .platform
                .authenticate(expired.text.expose())
                .await
                .is_ok()
        );
        stage.clock.advance(Duration::from_secs(60));
        let acme = name("acme");
        let gone = stage
            .platform
            .revoke_token(me(), Some(&acme), &revoked.token.id);
        gone.await.unwrap();
        let (id, other) = (other.token.id.as_str(), other.text.expose());
        let flipped = match other.ends_with('0') {
            true => format!("{}1", &other[..80]),
            false => format!("{}0", &other[..80]),
        };
        let borrowed = other.replace(id, expired.token.id.as_str());
        let unknown = other.replace(id, "000000000000");
        for text in [
            "",
            "clr_",
            "' OR 1 = 1 --",
            expired.text.expose(),
            revoked.text.expose(),
            &flipped,
            &borrowed,
            &unknown,
            &other.to_uppercase(),
            &format!(" {other}"),
        ] {
            let error = stage.platform.authenticate(text).await.unwrap_err();
            assert!(matches!(error, Unauthenticated::Refused), "{text}: {error}");
            assert_eq!(error.to_string(), "the token is not valid");
        }
        assert!(stage.platform.authenticate(other).await.is_ok());
    }

    pub(super) async fn a_revoked_token_ends_here_at_once_and_elsewhere_within_five_seconds(
        stage: Stage,
    ) {
        let made = make(&stage, of_the_operator()).await;
        let text = made.text.expose();
        assert!(stage.platform.authenticate(text).await.is_ok());
        assert!(stage.others.authenticate(text).await.is_ok());
        stage
            .platform
            .revoke_token(me(), None, &made.token.id)
            .await
            .unwrap();
        assert!(stage.platform.authenticate(text).await.is_err());
        stage.clock.advance(Duration::from_secs(5));
        assert!(stage.others.authenticate(text).await.is_err());
        let again = stage.platform.revoke_token(me(), None, &made.token.id);
        assert!(matches!(again.await, Err(PlatformError::NotFound { .. })));
    }

    pub(super) async fn an_old_token_goes_on_for_its_grace_and_no_longer(stage: Stage) {
        let mut terms = of_the_operator();
        terms.expires_at = Some(after(stage.clock.now(), Duration::from_secs(1_000)));
        let first = make(&stage, terms).await;
        stage.clock.advance(Duration::from_secs(500));
        let rotate = async |token: &NewToken, seconds| {
            let grace = Duration::from_secs(seconds);
            stage
                .platform
                .rotate_token(me(), None, &token.token.id, grace)
                .await
        };
        let holds =
            async |token: &NewToken| stage.others.authenticate(token.text.expose()).await.is_ok();
        let second = rotate(&first, 60).await.unwrap();
        assert_eq!(second.token.scope, Scope::Operator);
        // It lives as long as the first was to live, from now on.
        let end = after(stage.clock.now(), Duration::from_secs(1_000));
        assert_eq!(second.token.expires_at, Some(end));
        assert_eq!([holds(&first).await, holds(&second).await], [true, true]);
        stage.clock.advance(Duration::from_secs(60));
        assert_eq!([holds(&first).await, holds(&second).await], [false, true]);
        let third = rotate(&second, 0).await.unwrap();
        stage.clock.advance(Duration::from_secs(5));
        assert_eq!([holds(&second).await, holds(&third).await], [false, true]);
        assert!(rotate(&second, 0).await.is_err());
        // Grace makes nothing live longer than it was to.
        let fourth = rotate(&third, 30 * 86_400).await.unwrap();
        stage.clock.advance(Duration::from_secs(1_000));
        assert_eq!([holds(&third).await, holds(&fourth).await], [false, false]);
        let error = rotate(&fourth, 30 * 86_400 + 1).await.unwrap_err();
        assert_eq!(error.to_string(), "grace: it is at most 30 days");
    }

    pub(super) async fn the_token_of_another_tenant_is_not_there(stage: Stage) {
        acme(&stage).await;
        let other = stage
            .platform
            .create_tenant(me(), &name("other"), Terms::default())
            .await;
        other.unwrap();
        let theirs = make(&stage, of_acme(Scope::TenantAdmin)).await;
        let operators = make(&stage, of_the_operator()).await;
        let other = name("other");
        let none = "ffffffffffff".parse().unwrap();
        for id in [&theirs.token.id, &operators.token.id, &none] {
            let text = format!("there is no token {:?}", id.as_str());
            let revoked = stage.platform.revoke_token(me(), Some(&other), id).await;
            assert_eq!(revoked.unwrap_err().to_string(), text);
            let rotated = stage
                .platform
                .rotate_token(me(), Some(&other), id, Duration::ZERO);
            assert_eq!(rotated.await.unwrap_err().to_string(), text);
        }
        let as_the_operators = stage.platform.revoke_token(me(), None, &theirs.token.id);
        assert!(as_the_operators.await.is_err());
        assert!(
            stage
                .platform
                .tokens(Some(&other))
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            stage
                .platform
                .authenticate(theirs.text.expose())
                .await
                .is_ok()
        );
    }

    pub(super) async fn a_tenant_has_at_most_a_thousand_and_those_that_ended_go(stage: Stage) {
        acme(&stage).await;
        let end = after(stage.clock.now(), Duration::from_secs(1));
        let fill = "INSERT INTO tokens (id, tenant, name, scope, secret, created_at, expires_at) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
             SELECT '0000000' || (10000 + i), 'acme', 'x', 'call', '', 0, $2 FROM n";
        let most = i64::try_from(TOKENS).unwrap();
        let values = || vec![(most - 1).into(), end.as_millisecond().into()];
        let filled = stage
            .sql
            .transaction(true, async |link| link.execute(fill, values()).await);
        let filled: Result<u64, SqlError> = filled.await;
        assert_eq!(filled.unwrap(), TOKENS - 1);
        let make = async || {
            stage
                .platform
                .create_token(me(), of_acme(Scope::Call))
                .await
        };
        make().await.unwrap();
        let error = make().await.unwrap_err().to_string();
        assert!(
            error.starts_with("there are 1000 tokens already"),
            "{error}"
        );
        // Another's room is not touched, and a hash that is none opens nothing.
        super::check::make(&stage, of_the_operator()).await;
        let forged = format!("clr_000000010001_{}", "0".repeat(64));
        assert!(stage.platform.authenticate(&forged).await.is_err());
        stage.clock.advance(Duration::from_secs(31 * 86_400));
        make().await.unwrap();
        assert_eq!(
            stage
                .platform
                .tokens(Some(&name("acme")))
                .await
                .unwrap()
                .len(),
            2
        );
    }

    pub(super) async fn the_secret_is_nowhere_in_the_tables(stage: Stage) {
        let made = make(&stage, of_the_operator()).await;
        let made = stage
            .platform
            .rotate_token(me(), None, &made.token.id, Duration::from_secs(9));
        let made = made.await.unwrap();
        let secret = made.text.expose().rsplit('_').next().unwrap();
        let read = stage.sql.transaction(false, async |link| {
            let kinds = [Kind::Text; 2];
            let tokens = link
                .rows("SELECT secret, name FROM tokens", Vec::new(), &kinds)
                .await?;
            let audit = link
                .rows("SELECT became, was FROM audit", Vec::new(), &kinds)
                .await?;
            Ok::<_, SqlError>([tokens, audit])
        });
        for mut row in read.await.unwrap().into_iter().flatten() {
            for cell in [row.text(), row.text()].into_iter().flatten() {
                assert!(!cell.contains(secret) && !cell.contains("clr_"), "{cell}");
            }
        }
        assert!(!format!("{made:?} {:?}", stage.platform).contains(secret));
    }

    pub(super) async fn its_use_is_written_down_once_a_minute(stage: Stage) {
        let made = make(&stage, of_the_operator()).await;
        let used = async || stage.platform.tokens(None).await.unwrap()[0].used_at;
        assert_eq!(used().await, None);
        let first = stage.clock.now();
        for _ in 0..6 {
            assert!(
                stage
                    .platform
                    .authenticate(made.text.expose())
                    .await
                    .is_ok()
            );
            assert_eq!(used().await, Some(first));
            stage.clock.advance(Duration::from_secs(10));
        }
        let later = stage.clock.now();
        assert!(
            stage
                .platform
                .authenticate(made.text.expose())
                .await
                .is_ok()
        );
        assert_eq!(used().await, Some(later));
    }

    pub(super) async fn a_token_that_cannot_be_is_not_made(stage: Stage) {
        acme(&stage).await;
        let now = stage.clock.now();
        let good = || of_acme(Scope::Call);
        let long = "x".repeat(101);
        let named = |name: &str| TokenTerms {
            name: name.to_owned(),
            ..good()
        };
        let scoped = |scope| TokenTerms { scope, ..good() };
        let nobodys = TokenTerms {
            tenant: None,
            ..good()
        };
        let ended = TokenTerms {
            expires_at: Some(now),
            ..good()
        };
        for (field, terms) in [
            ("name", named("")),
            ("name", named(&long)),
            ("name", named("a\nb")),
            ("tenant", nobodys),
            ("tenant", scoped(Scope::Operator)),
            ("tenant", scoped(Scope::Worker)),
            ("expires_at", ended),
        ] {
            let error = stage.platform.create_token(me(), terms).await.unwrap_err();
            assert!(
                matches!(error, PlatformError::Wrong { field: wrong, .. } if wrong == field),
                "{error}"
            );
        }
        let nobodys = TokenTerms {
            tenant: Some(name("none")),
            ..good()
        };
        let error = stage
            .platform
            .create_token(me(), nobodys)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "there is no tenant \"none\"");
    }
}
