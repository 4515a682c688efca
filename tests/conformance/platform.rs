//! What the tables of the platform must do, in SQLite and in Postgres.

mod audit;
mod calls;
mod tenants;
mod tokens;
mod usage;

use crate::stage::START;
use celeriac::clock::Clock;
use celeriac::database::{Database, FILE_NAME};
use celeriac::platform::{Actor, Platform};
use celeriac::sql::Sql;
use celeriac::task::TenantName;
use std::sync::LazyLock;
use support::Postgres;

/// The platform on a database of its own, and another process's hand on the same.
pub(crate) struct Stage {
    pub(crate) clock: Clock,
    pub(crate) platform: Platform,
    pub(crate) others: Platform,
    pub(crate) sql: Sql,
    _server: Option<Postgres>,
    _folder: Option<tempfile::TempDir>,
}

impl Stage {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(START);
        let file = Database::open(folder.path(), clock.clone()).await.unwrap();
        file.close().await;
        let path = folder.path().join(FILE_NAME);
        let sqls = [Sql::sqlite(&path), Sql::sqlite(&path)];
        Self::on(sqls, clock, None, Some(folder)).await
    }

    pub(crate) async fn postgres() -> Self {
        let server = Postgres::start();
        let sql = || Sql::postgres(&server.url()).unwrap();
        let sqls = [sql(), sql()];
        Self::on(sqls, Clock::manual(START), Some(server), None).await
    }

    async fn on(
        [ours, theirs]: [Sql; 2],
        clock: Clock,
        server: Option<Postgres>,
        folder: Option<tempfile::TempDir>,
    ) -> Self {
        let open = |sql| Platform::open(sql, clock.clone());
        // Two that start at once on an empty database take turns.
        let (platform, others) = tokio::join!(open(ours.clone()), open(theirs));
        Self {
            platform: platform.unwrap(),
            others: others.unwrap(),
            clock,
            sql: ours,
            _server: server,
            _folder: folder,
        }
    }
}

/// Whoever changes something.
pub(crate) fn me() -> &'static Actor {
    static ME: LazyLock<Actor> =
        LazyLock::new(|| Actor::new("token 0123456789ab (ci)", Some("request-1")));
    &ME
}

pub(crate) fn name(text: &str) -> TenantName {
    text.parse().unwrap()
}

/// Expands each behaviour for both databases.
macro_rules! rows_behaviours {
    ($($behaviour:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::check::$behaviour(crate::platform::Stage::sqlite().await).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::check::$behaviour(crate::platform::Stage::postgres().await).await;
                }
            )*
        }
    };
}
pub(crate) use rows_behaviours;
