//! The address of a Redis server that Sentinel watches over.

use super::{ServerUrl, server};
use std::fmt;

/// The sentinels' own port.
const PORT: u16 = 26_379;
/// Most sentinels of an address: three or five are usual, and all are asked at once.
const SENTINELS: usize = 16;
/// What such an address looks like.
const FORM: &str =
    "the form is sentinel://[[USER]:PASSWORD@]HOST[:PORT][/DB];sentinel://HOST[:PORT]...";

/// One database of whichever server the sentinels call the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentinelUrl {
    /// The sentinels, host and port.
    pub sentinels: Vec<(String, u16)>,
    /// The URL of the database, with the first sentinel in place of its server. User
    /// and password are those of the server.
    pub server: ServerUrl,
}

impl SentinelUrl {
    /// Reads what follows the first `sentinel://`, as kombu does: user, password and
    /// database are those of the first part. Where kombu changes to those of a later
    /// part when a connection is lost, another one is refused.
    pub(super) fn parse(rest: &str) -> Result<Self, String> {
        let mut parts = rest.split(';');
        let first = Part::read(parts.next().unwrap_or_default())?;
        let mut sentinels = vec![first.sentinel.clone()];
        for part in parts {
            let part = part
                .strip_prefix("sentinel://")
                .ok_or_else(|| format!("each part begins with sentinel://; {FORM}"))?;
            let part = Part::read(part)?;
            if part.credentials.is_some() && part.credentials != first.credentials
                || part.has_database && part.database != first.database
            {
                return Err("user, password and database are those of the first part; \
                     write the same in the other parts, or none"
                    .to_owned());
            }
            sentinels.push(part.sentinel);
        }
        if sentinels.len() > SENTINELS {
            return Err(format!("at most {SENTINELS} sentinels are asked"));
        }
        Ok(Self {
            sentinels,
            server: first.server,
        })
    }
}

/// The address of one sentinel and what stands with it.
struct Part {
    sentinel: (String, u16),
    credentials: Option<String>,
    database: String,
    has_database: bool,
    server: ServerUrl,
}

impl Part {
    fn read(part: &str) -> Result<Self, String> {
        let wrong = |error: String| match error.split_once("; the form is ") {
            Some((error, _)) => format!("{error}; {FORM}"),
            None => error,
        };
        let server = ServerUrl::redis(part).map_err(wrong)?;
        let (authority, path) = part.split_once('/').unwrap_or((part, ""));
        let (credentials, place) = match authority.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials.to_owned()), place),
            None => (None, authority),
        };
        let (host, port) = server::host_and_port(place).ok_or(FORM)?;
        // A host of IPv6 stands in brackets within a URL alone.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let whole = server.secret();
        Ok(Self {
            sentinel: (host.to_owned(), port.unwrap_or(PORT)),
            credentials,
            database: whole.rsplit('/').next().unwrap_or_default().to_owned(),
            has_database: !path.trim_matches('/').is_empty(),
            server,
        })
    }
}

impl fmt::Display for SentinelUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.server.to_string();
        let credentials = shown
            .strip_prefix("redis://")
            .and_then(|shown| shown.rsplit_once('@'))
            .map(|(credentials, _)| format!("{credentials}@"));
        let database = shown.rsplit('/').next().unwrap_or_default();
        for (at, (host, port)) in self.sentinels.iter().enumerate() {
            let place = match host.contains(':') {
                true => format!("[{host}]:{port}"),
                false => format!("{host}:{port}"),
            };
            match at {
                0 => {
                    let credentials = credentials.as_deref().unwrap_or_default();
                    write!(f, "sentinel://{credentials}{place}/{database}")?;
                }
                _ => write!(f, ";sentinel://{place}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_are_read_as_kombu_reads_them() {
        for (rest, server, shown) in [
            (
                "h1:1;sentinel://h2:2/",
                "redis://h1:1/0",
                "h1:1/0;sentinel://h2:2",
            ),
            ("", "redis://localhost:6379/0", "localhost:26379/0"),
            (
                ":p%40w@h1:1/3;sentinel://h2;sentinel://[::1]:4/3",
                "redis://:p%40w@h1:1/3",
                ":***@h1:1/3;sentinel://h2:26379;sentinel://[::1]:4",
            ),
            (
                "me:pw@h1:1;sentinel://me:pw@h2:2/0",
                "redis://me:pw@h1:1/0",
                "me:***@h1:1/0;sentinel://h2:2",
            ),
        ] {
            let url = SentinelUrl::parse(rest).unwrap();
            assert_eq!(url.server.secret(), server, "{rest}");
            assert_eq!(url.to_string(), format!("sentinel://{shown}"), "{rest}");
        }
        let url = SentinelUrl::parse("[::1];sentinel://h").unwrap();
        let places = [("::1".to_owned(), PORT), ("h".to_owned(), PORT)];
        assert_eq!(url.sentinels, places);
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_would_be_one() {
        let many = vec!["h"; SENTINELS + 1].join(";sentinel://");
        for (rest, words) in [
            ("h:x", "the form is sentinel://"),
            ("h1/one", "the form is sentinel://"),
            ("h1?x=1", "the form is sentinel://"),
            ("h1;h2", "each part begins with sentinel://"),
            ("h1;redis://h2", "each part begins with sentinel://"),
            ("h1;", "each part begins with sentinel://"),
            ("h1;sentinel://h2/1", "those of the first part"),
            ("h1;sentinel://:s3cret@h2", "those of the first part"),
            (":s3cret@h1;sentinel://:other@h2", "those of the first part"),
            (many.as_str(), "at most 16"),
        ] {
            let error = SentinelUrl::parse(rest).unwrap_err();
            assert!(error.contains(words), "{rest}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_password_is_never_shown() {
        let url = SentinelUrl::parse("me:s3cret@h;sentinel://me:s3cret@h2").unwrap();
        assert!(!format!("{url:?} {url}").contains("s3cret"));
    }
}
