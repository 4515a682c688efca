//! The section `[serve]`: the HTTP edge of the control plane.

use super::address::{Address, PostgresUrl, Purpose};
use super::error::ConfigError;
use super::raw::Source;
use super::reader::Reader;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where it listens unless told otherwise.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8790);
/// Most requests in a minute that can be allowed (1,000,000).
const REQUESTS: u64 = 1_000_000;
/// Most connections that can be allowed (65,536): each is a file of the process.
const CONNECTIONS: u64 = 65_536;
const SECOND: Duration = Duration::from_secs(1);

/// How the control plane is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeConfig {
    /// The address.
    pub listen: SocketAddr,
    /// Whether a person chose it; else a taken port is no error.
    pub listen_is_chosen: bool,
    /// The files of its certificate and its key, PEM; without them it speaks plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether a proxy stands before it, which speaks TLS and tells who asks.
    pub proxy: bool,
    /// Whether plain HTTP may leave this machine without a proxy.
    pub insecure: bool,
    /// The Postgres server of its rows; `None` is the embedded file.
    pub database: Option<PostgresUrl>,
    /// The object store of components, `s3://BUCKET/…`; `None` is the data folder.
    pub components: Option<String>,
    /// Most requests of one token in a minute.
    pub requests_per_minute: u32,
    /// Most requests of one address in a minute.
    pub address_requests_per_minute: u32,
    /// Most connections at once.
    pub connections: usize,
    /// Time for the head of a request.
    pub header_timeout: Duration,
    /// Time for the body of a request.
    pub body_timeout: Duration,
    /// Time that a connection is kept without a request.
    pub idle_timeout: Duration,
    /// Time for what is under way when it stops.
    pub drain: Duration,
}

impl ServeConfig {
    pub(super) fn read(reader: &mut Reader, data: &Path) -> Result<Self, ConfigError> {
        let listen = reader.text(
            "serve.listen",
            SocketAddr::from(LISTEN),
            listen,
            ToString::to_string,
        )?;
        let tls = tls(reader)?;
        let proxy = reader.flag("serve.proxy", false)?;
        let insecure = reader.flag("serve.insecure", false)?;
        let database = reader.text(
            "serve.database",
            None,
            |text| database(text, data),
            |url| {
                let url = url.as_ref();
                url.map(|url| url.server.to_string()).unwrap_or_default()
            },
        )?;
        let components = reader.text("serve.components", None, components, |url| {
            url.clone().unwrap_or_default()
        })?;
        let long = SECOND..=600 * SECOND;
        Ok(Self {
            listen,
            listen_is_chosen: reader.source("serve.listen") != Source::Default,
            tls,
            proxy,
            insecure,
            database,
            components,
            requests_per_minute: rate(reader, "serve.requests_per_minute", 1_200)?,
            address_requests_per_minute: rate(reader, "serve.address_requests_per_minute", 6_000)?,
            connections: usize::try_from(reader.number(
                "serve.connections",
                1_024,
                1..=CONNECTIONS,
            )?)
            .unwrap_or(usize::MAX),
            header_timeout: reader.duration("serve.header_timeout", 10 * SECOND, long.clone())?,
            body_timeout: reader.duration("serve.body_timeout", 120 * SECOND, long.clone())?,
            idle_timeout: reader.duration("serve.idle_timeout", 75 * SECOND, long.clone())?,
            drain: reader.duration("serve.drain", 30 * SECOND, Duration::ZERO..=*long.end())?,
        })
    }
}

fn rate(reader: &mut Reader, key: &str, default: u64) -> Result<u32, ConfigError> {
    let rate = reader.number(key, default, 1..=REQUESTS)?;
    Ok(u32::try_from(rate).unwrap_or(u32::MAX))
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "an address and a port are wanted, such as \"127.0.0.1:8790\" or \"0.0.0.0:443\"".to_owned()
    })
}

fn tls(reader: &mut Reader) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    let certificate = path(reader, "serve.tls_certificate")?;
    let key = path(reader, "serve.tls_key")?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        (Some(lonely), None) => Err(alone(reader, "serve.tls_certificate", &lonely)),
        (None, Some(lonely)) => Err(alone(reader, "serve.tls_key", &lonely)),
    }
}

fn alone(reader: &Reader, key: &str, path: &Path) -> ConfigError {
    ConfigError::Wrong {
        key: key.to_owned(),
        value: format!("{:?}", path.display().to_string()),
        reason: "tls_certificate and tls_key belong together; write both or none".to_owned(),
        source_place: reader.source(key),
    }
}

fn path(reader: &mut Reader, key: &str) -> Result<Option<PathBuf>, ConfigError> {
    let read = |text: &str| Ok(Some(PathBuf::from(text)).filter(|_| !text.is_empty()));
    reader.text(key, None, read, |path| {
        let path = path.as_deref().unwrap_or(Path::new(""));
        path.display().to_string()
    })
}

fn database(text: &str, data: &Path) -> Result<Option<PostgresUrl>, String> {
    const FORM: &str = "the form is postgresql://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE, \
         or \"\" for the embedded file";
    let known = ["postgresql://", "postgres://"];
    let Some(rest) = known.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
        return match text {
            "" => Ok(None),
            _ => Err(FORM.to_owned()),
        };
    };
    let url = format!("db+postgresql://{rest}");
    match Address::parse(&url, Purpose::ResultBackend, data) {
        Ok(Address::Postgres(url)) => Ok(Some(url)),
        Ok(_) => Err(FORM.to_owned()),
        Err(reason) => Err(reason.replace("db+postgresql://", "postgresql://")),
    }
}

fn components(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let bucket = text.strip_prefix("s3://");
    let bucket = bucket.and_then(|rest| rest.split(['/', '?']).next());
    match bucket {
        Some(bucket) if !bucket.is_empty() && !text.contains('@') => Ok(Some(text.to_owned())),
        Some(_) | None => Err(
            "the form is s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME], or \"\" for the data \
             folder; keys are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, RawConfig};

    fn read(text: &str) -> Result<ServeConfig, String> {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("celeriac.toml"), &format!("[serve]\n{text}"))
            .unwrap();
        let checked = Config::check(raw).map_err(|error| error.to_string());
        checked.map(|(config, _)| config.serve)
    }

    #[test]
    fn without_a_word_it_listens_on_this_machine_alone() {
        let serve = read("").unwrap();
        assert!(serve.listen.ip().is_loopback());
        assert_eq!(
            (serve.tls, serve.database, serve.components),
            (None, None, None)
        );
        assert!(!serve.proxy && !serve.insecure);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_can() {
        for (text, words) in [
            ("listen = \"8790\"", "an address and a port are wanted"),
            ("tls_key = \"k.pem\"", "belong together"),
            ("tls_certificate = \"c.pem\"", "belong together"),
            ("database = \"mysql://h/d\"", "the form is postgresql://"),
            ("database = \"postgresql://h\"", "one database is wanted"),
            ("components = \"folder\"", "the form is s3://BUCKET"),
            ("components = \"s3:///x\"", "the form is s3://BUCKET"),
            ("components = \"s3://key:secret@b\"", "AWS_ACCESS_KEY_ID"),
            ("requests_per_minute = 0", "at least 1"),
            ("connections = 65537", "at most 65536"),
            ("header_timeout = \"11m\"", "at most \"10m\""),
            ("drain = 5", "it has no unit"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_database_is_shown_without_its_password() {
        let serve = read("database = \"postgresql://me:s3cret@h/d\"").unwrap();
        let url = serve.database.unwrap();
        assert_eq!(url.server.to_string(), "postgresql://me:***@h:5432/d");
    }
}
