//! The URL of a server, whose password nobody sees.

use super::redact;
use std::fmt;

/// Redis' own port.
const REDIS_PORT: u16 = 6379;
/// RabbitMQ's own port.
const AMQP_PORT: u16 = 5672;
/// The same with TLS.
const AMQPS_PORT: u16 = 5671;
/// Postgres' own port.
const POSTGRES_PORT: u16 = 5432;

/// The URL of a server, complete: with its port and database.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// Reads what follows `redis://`, as kombu does: host, port and database may
    /// be missing (`localhost`, 6379, 0), and slashes before the database are
    /// not counted.
    pub(super) fn redis(rest: &str) -> Result<Self, String> {
        const FORM: &str = "the form is redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]";
        if rest.contains(['?', '#']) {
            return Err(format!("options are not taken from the address; {FORM}"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, place) = match authority.rsplit_once('@') {
            Some((credentials, place)) => (format!("{credentials}@"), place),
            None => (String::new(), authority),
        };
        let (host, port) =
            host_and_port(place).ok_or_else(|| format!("host and port cannot be read; {FORM}"))?;
        let database = match path.trim_matches('/') {
            "" => 0,
            number => number
                .parse::<u32>()
                .map_err(|_| format!("database {number:?} is not a number; {FORM}"))?,
        };
        let port = port.unwrap_or(REDIS_PORT);
        Ok(Self(format!(
            "redis://{credentials}{host}:{port}/{database}"
        )))
    }

    /// Takes a URL that is complete already.
    pub(super) fn complete(url: String) -> Self {
        Self(url)
    }

    /// Returns the host and the port, where it names a host.
    #[must_use]
    pub fn place(&self) -> Option<(String, u16)> {
        let (scheme, rest) = self.0.split_once("://")?;
        let authority = rest.split(['/', '?']).next()?;
        let place = authority
            .rsplit_once('@')
            .map_or(authority, |(_, place)| place);
        let (host, port) = host_and_port(place)?;
        let port = port.or(match scheme {
            "redis" | "rediss" => Some(REDIS_PORT),
            "amqp" => Some(AMQP_PORT),
            "amqps" => Some(AMQPS_PORT),
            "postgres" | "postgresql" => Some(POSTGRES_PORT),
            _ => None,
        })?;
        Some((host.trim_matches(['[', ']']).to_owned(), port))
    }

    /// Returns the whole URL, password included.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

/// Divides `HOST[:PORT]`; an IPv6 address stands in brackets.
pub(in crate::config) fn host_and_port(place: &str) -> Option<(&str, Option<u16>)> {
    let colon = match place.rfind(']') {
        Some(end) => place.get(end..)?.find(':').map(|at| end + at),
        None => place.find(':'),
    };
    let (host, port) = match colon {
        None => (place, None),
        Some(at) => {
            let port = place.get(at + 1..)?;
            (place.get(..at)?, Some(port.parse().ok()?))
        }
    };
    let host = if host.is_empty() { "localhost" } else { host };
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-._[]:%".contains(letter);
    host.chars().all(is_name).then_some((host, port))
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.0))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis(rest: &str) -> Result<String, String> {
        ServerUrl::redis(rest).map(|url| url.secret().to_owned())
    }

    #[test]
    fn redis_addresses_are_read_as_kombu_reads_them() {
        for (rest, whole) in [
            ("", "redis://localhost:6379/0"),
            ("h", "redis://h:6379/0"),
            ("h/", "redis://h:6379/0"),
            ("h:7000/3", "redis://h:7000/3"),
            ("h//3", "redis://h:6379/3"),
            (":p%40w@h/1", "redis://:p%40w@h:6379/1"),
            ("me:p@w@10.0.0.1:1/15", "redis://me:p@w@10.0.0.1:1/15"),
            ("[::1]:7000", "redis://[::1]:7000/0"),
            ("[::1]", "redis://[::1]:6379/0"),
        ] {
            assert_eq!(redis(rest), Ok(whole.to_owned()), "{rest}");
        }
    }

    #[test]
    fn what_is_no_redis_address_is_refused_with_the_form() {
        for rest in ["h:x", "h/one", "h:70000", "h?db=1", "a b", "h/-1", "h:"] {
            assert!(
                redis(rest).unwrap_err().contains("the form is redis://"),
                "{rest}"
            );
        }
    }

    #[test]
    fn the_place_of_a_server_is_its_host_and_port() {
        for (url, host, port) in [
            ("redis://me:p@w@10.0.0.1:1/15", "10.0.0.1", 1),
            ("redis://[::1]:7000/0", "::1", 7000),
            ("amqp://guest:guest@rabbit/%2F", "rabbit", 5672),
            ("amqps://rabbit", "rabbit", 5671),
            ("postgresql://me:x@db/name?sslmode=require", "db", 5432),
        ] {
            let place = ServerUrl::complete(url.to_owned()).place();
            assert_eq!(place, Some((host.to_owned(), port)), "{url}");
        }
    }

    #[test]
    fn the_password_is_never_shown() {
        let url = ServerUrl::redis("me:s3cret@h/1").unwrap();
        assert_eq!(url.to_string(), "redis://me:***@h:6379/1");
        assert!(!format!("{url:?}").contains("s3cret"));
    }
}
