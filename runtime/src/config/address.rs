//! Addresses of brokers and result backends.

mod amqp;
mod postgres;
mod redis;
mod sentinel;
mod server;
mod tls;

pub use amqp::AmqpUrl;
pub use postgres::PostgresUrl;
pub use redis::RedisUrl;
pub use sentinel::SentinelUrl;
pub use server::ServerUrl;
pub use tls::TlsPaths;

pub(super) use server::host_and_port;

use std::fmt;
use std::path::{Path, PathBuf};

/// Name of the embedded file within its folder.
pub const DATABASE_FILE: &str = "celeriac.db";

/// Where messages or results are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The embedded file `celeriac.db` in this folder.
    Embedded(PathBuf),
    /// One database of a Redis server.
    Redis(RedisUrl),
    /// One database of the Redis server that sentinels call the master.
    Sentinel(SentinelUrl),
    /// One virtual host of a RabbitMQ server.
    Amqp(AmqpUrl),
    /// Celery's own tables in a SQLite file.
    Database(PathBuf),
    /// Celery's own tables in a database of a Postgres server.
    Postgres(PostgresUrl),
    /// Celery's own files in a folder.
    Files(PathBuf),
    /// Sent through the broker to the caller alone, and not kept.
    Rpc,
    /// Nowhere: results are not kept.
    Disabled,
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Messages.
    Broker,
    /// States and results.
    ResultBackend,
}

impl Purpose {
    /// Lists the addresses that work.
    fn choices(self) -> &'static str {
        match self {
            Self::Broker => {
                "brokers that work: sqlite://FOLDER (the embedded file), redis://HOST:PORT/DB, \
                 sentinel://HOST:PORT;sentinel://HOST:PORT, amqp://HOST:PORT/VHOST"
            }
            Self::ResultBackend => {
                "result backends that work: sqlite://FOLDER (the embedded file), redis://HOST:PORT/DB, \
                 sentinel://HOST:PORT;sentinel://HOST:PORT, db+sqlite:///FILE (Celery's tables), \
                 db+postgresql://HOST:PORT/DATABASE (the same), file:///FOLDER (Celery's files), rpc:// (to the caller alone), disabled:// (none)"
            }
        }
    }
}

impl Address {
    /// Reads an address; `sqlite://` alone is the data folder.
    pub(super) fn parse(text: &str, purpose: Purpose, data: &Path) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("a URL is wanted; {}", purpose.choices()));
        };
        match (scheme, purpose) {
            ("sqlite", _) => embedded(rest, data),
            ("redis", _) => RedisUrl::plain(rest).map(Self::Redis),
            ("rediss", _) => RedisUrl::with_tls(rest).map(Self::Redis),
            ("sentinel", _) => SentinelUrl::parse(rest).map(Self::Sentinel),
            ("amqp" | "pyamqp", Purpose::Broker) => AmqpUrl::parse(rest, false).map(Self::Amqp),
            ("amqps", Purpose::Broker) => AmqpUrl::parse(rest, true).map(Self::Amqp),
            ("db+sqlite", Purpose::ResultBackend) => database(rest).map(Self::Database),
            (
                "db+postgresql"
                | "db+postgres"
                | "db+postgresql+psycopg2"
                | "db+postgresql+psycopg",
                Purpose::ResultBackend,
            ) => PostgresUrl::parse(rest).map(Self::Postgres),
            ("file", Purpose::ResultBackend) => files(rest).map(Self::Files),
            ("rpc", Purpose::ResultBackend) => Ok(Self::Rpc),
            ("disabled", Purpose::ResultBackend) => Ok(Self::Disabled),
            _ => Err(format!("{scheme}:// is not known; {}", purpose.choices())),
        }
    }

    /// Returns the address where results are kept when nobody says where: in the
    /// file of the embedded broker, else nowhere, as Celery does.
    pub(super) fn results_beside(&self) -> Self {
        match self {
            Self::Embedded(folder) => Self::Embedded(folder.clone()),
            Self::Redis(_)
            | Self::Sentinel(_)
            | Self::Amqp(_)
            | Self::Database(_)
            | Self::Postgres(_)
            | Self::Files(_)
            | Self::Rpc
            | Self::Disabled => Self::Disabled,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(folder) => {
                write!(f, "sqlite://{}", folder.join(DATABASE_FILE).display())
            }
            Self::Redis(url) => write!(f, "{url}"),
            Self::Sentinel(url) => write!(f, "{url}"),
            Self::Amqp(url) => write!(f, "{}", url.server),
            Self::Database(file) => write!(f, "db+sqlite:///{}", file.display()),
            Self::Postgres(url) => write!(f, "db+{}", url.server),
            Self::Files(folder) => write!(f, "file://{}", folder.display()),
            Self::Rpc => f.write_str("rpc://"),
            Self::Disabled => f.write_str("disabled://"),
        }
    }
}

fn embedded(rest: &str, data: &Path) -> Result<Address, String> {
    if rest.is_empty() {
        return Ok(Address::Embedded(data.to_owned()));
    }
    let path = Path::new(rest);
    match path.file_name().and_then(|name| name.to_str()) {
        Some(DATABASE_FILE) => {
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            Ok(Address::Embedded(
                folder.unwrap_or(Path::new(".")).to_owned(),
            ))
        }
        Some(name) if has_database_ending(name) => Err(format!(
            "the embedded file is always called {DATABASE_FILE}; name its folder: sqlite://FOLDER"
        )),
        Some(_) | None => Ok(Address::Embedded(path.to_owned())),
    }
}

/// Reads what follows `db+sqlite://` as SQLAlchemy does: three slashes and a path from
/// here, or four and one from the root.
fn database(rest: &str) -> Result<PathBuf, String> {
    const FORM: &str = "the form is db+sqlite:///FILE, or db+sqlite:////FILE from the root";
    match rest.strip_prefix('/') {
        Some("" | ":memory:") => Err(format!("a database in memory has no other reader; {FORM}")),
        Some(file) if file.contains(['?', '#']) => {
            Err(format!("options are not taken from the address; {FORM}"))
        }
        Some(file) => Ok(PathBuf::from(file)),
        None => Err(format!("there is no host; {FORM}")),
    }
}

/// Reads what follows `file://` as Celery does.
fn files(rest: &str) -> Result<PathBuf, String> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    match path.starts_with('/') {
        true => Ok(PathBuf::from(path)),
        false => Err("the form is file:///FOLDER, from the root".to_owned()),
    }
}

fn has_database_ending(name: &str) -> bool {
    Path::new(name)
        .extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| ["db", "sqlite", "sqlite3"].contains(&ending))
}

/// Replaces the passwords of a URL, or of several that `;` divides, by `***`. What
/// stands before the last `@` may be a password, even where no URL has one.
pub(super) fn redact(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return match text.rsplit_once('@') {
            Some((_, host)) => format!("***@{host}"),
            None => text.to_owned(),
        };
    };
    if ["sqlite", "db+sqlite", "file"].contains(&scheme) {
        return text.to_owned();
    }
    if let Some((before, _)) = rest.split_once("password=") {
        return redact(&format!("{scheme}://{before}")) + "password=***";
    }
    // Kombu divides so; a `;` that nothing of this kind follows may be of a password.
    let next = format!(";{scheme}://");
    let parts = rest.split(&next).map(|part| match part.rsplit_once('@') {
        Some((credentials, host)) => {
            let user = credentials.split_once(':').map(|(user, _)| user);
            format!("{}:***@{host}", user.unwrap_or(credentials))
        }
        None => part.to_owned(),
    });
    format!("{scheme}://{}", parts.collect::<Vec<_>>().join(&next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, String> {
        Address::parse(text, Purpose::Broker, Path::new("data"))
    }

    #[test]
    fn a_folder_and_the_file_in_it_are_the_same_address() {
        for (text, folder) in [
            ("sqlite://", "data"),
            ("sqlite:///var/lib/celeriac", "/var/lib/celeriac"),
            (
                "sqlite:///var/lib/celeriac/celeriac.db",
                "/var/lib/celeriac",
            ),
            ("sqlite://here", "here"),
            ("sqlite://celeriac.db", "."),
        ] {
            assert_eq!(parse(text), Ok(Address::Embedded(folder.into())), "{text}");
        }
    }

    #[test]
    fn an_unknown_scheme_is_answered_with_those_that_work() {
        let error = parse("kafka://h").unwrap_err();
        assert_eq!(
            error,
            "kafka:// is not known; brokers that work: sqlite://FOLDER (the embedded file), redis://HOST:PORT/DB, sentinel://HOST:PORT;sentinel://HOST:PORT, amqp://HOST:PORT/VHOST"
        );
        assert!(parse("localhost").unwrap_err().contains("sqlite://FOLDER"));
        assert!(
            parse("sqlite://other.db")
                .unwrap_err()
                .contains("always called celeriac.db")
        );
    }

    #[test]
    fn results_are_beside_an_embedded_broker_and_else_nowhere() {
        for (broker, results) in [
            ("sqlite://here", "sqlite://here/celeriac.db"),
            ("redis://h", "disabled://"),
            ("amqp://h", "disabled://"),
        ] {
            let beside = parse(broker).unwrap().results_beside();
            assert_eq!(beside.to_string(), results, "{broker}");
        }
    }

    #[test]
    fn only_results_can_be_kept_nowhere() {
        let results = |text| Address::parse(text, Purpose::ResultBackend, Path::new("data"));
        assert_eq!(results("disabled://"), Ok(Address::Disabled));
        assert!(parse("disabled://").unwrap_err().contains("is not known"));
        assert_eq!(results("rpc://"), Ok(Address::Rpc));
        assert!(parse("rpc://").unwrap_err().contains("is not known"));
        assert!(results("amqp://h").unwrap_err().contains("rpc://"));
        assert!(results("kafka://h").unwrap_err().contains("disabled://"));
    }

    #[test]
    fn celerys_tables_and_files_are_named_as_celery_names_them() {
        let results = |text: &str| Address::parse(text, Purpose::ResultBackend, Path::new("data"));
        for (text, address) in [
            ("db+sqlite:///r.db", Address::Database("r.db".into())),
            (
                "db+sqlite:////var/r.db",
                Address::Database("/var/r.db".into()),
            ),
            ("file:///var/r", Address::Files("/var/r".into())),
        ] {
            assert_eq!(results(text).as_ref(), Ok(&address), "{text}");
            assert_eq!(address.to_string(), text);
            assert!(parse(text).unwrap_err().contains("is not known"), "{text}");
        }
        for scheme in [
            "db+postgresql",
            "db+postgres",
            "db+postgresql+psycopg2",
            "db+postgresql+psycopg",
        ] {
            let address = results(&format!("{scheme}://me:s3cret@h/d")).unwrap();
            assert_eq!(address.to_string(), "db+postgresql://me:***@h:5432/d");
        }
        assert_eq!(
            results("file://localhost/var/r"),
            Ok(Address::Files("/var/r".into()))
        );
        for (text, words) in [
            ("db+sqlite://", "the form is db+sqlite:///FILE"),
            ("db+sqlite:///", "no other reader"),
            ("db+sqlite:///:memory:", "no other reader"),
            ("db+sqlite:///r.db?timeout=5", "options are not taken"),
            ("db+mysql://h/d", "db+sqlite:///FILE (Celery's tables)"),
            ("file://r", "from the root"),
            ("file://", "from the root"),
        ] {
            let error = results(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(redact("redis://:s3cret@h:6379/1"), "redis://:***@h:6379/1");
        assert_eq!(redact("amqp://me:a:b@c@h//"), "amqp://me:***@h//");
        assert_eq!(redact("sqlite://x"), "sqlite://x");
        assert_eq!(
            redact("db+postgresql://me:a/b@h/d?password=s3cret&x=1"),
            "db+postgresql://me:***@h/d?password=***"
        );
        assert_eq!(
            redact("sentinel://:s3cret@h:1;sentinel://me:s3cret@h2:1/0"),
            "sentinel://:***@h:1;sentinel://me:***@h2:1/0"
        );
        for text in [
            "redis://:s3/cret@h:6379/1",
            "redis://:s3?cret@h:6379/1",
            "sentinel://:s3;cret@h:1;sentinel://:s3/cret@h2",
            "me:s3cret@h",
            "amqp:/me:s3cret@h",
        ] {
            let shown = redact(text);
            assert!(!shown.contains("s3") && !shown.contains("cret"), "{shown}");
        }
    }
}
