//! The address of a server that tenants share.

use super::Command;
use crate::platform::PlatformError;

/// A server, and who its administrator is.
#[derive(Debug)]
pub(super) struct Server {
    scheme: &'static str,
    /// The administrator's name; the password is not for a line of the shell.
    user: Option<String>,
    host: String,
    port: Option<u16>,
    /// The number of a database of Redis.
    database: Option<String>,
}

const SCHEMES: [&str; 4] = ["amqp", "amqps", "redis", "rediss"];

impl Server {
    /// Reads `SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/PATH]`.
    pub(super) fn read(address: &str) -> Result<Self, PlatformError> {
        Self::parts(address).ok_or_else(|| PlatformError::Wrong {
            field: "server",
            reason: "a server is wanted, such as amqp://rabbit.example:5672 or redis://redis.example:6379/0"
                .to_owned(),
        })
    }

    fn parts(address: &str) -> Option<Self> {
        let (scheme, rest) = address.split_once("://")?;
        let scheme = SCHEMES.into_iter().find(|known| *known == scheme)?;
        let (person, rest) = match rest.rsplit_once('@') {
            Some((person, rest)) => (person, rest),
            None => ("", rest),
        };
        let user = person.split(':').next().filter(|user| !user.is_empty());
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (place, None),
        };
        let good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_named = !host.is_empty() && host.chars().all(good);
        let is_number = path.len() <= 4 && path.bytes().all(|byte| byte.is_ascii_digit());
        let is_redis = scheme.starts_with("redis");
        if !is_named || (is_redis && !is_number) || !user.is_none_or(|user| user.chars().all(good))
        {
            return None;
        }
        Some(Self {
            scheme,
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            database: (is_redis && !path.is_empty()).then(|| path.to_owned()),
        })
    }

    pub(super) fn is_redis(&self) -> bool {
        self.scheme.starts_with("redis")
    }

    /// Returns the number of the database, 0 where none is said.
    pub(super) fn database(&self) -> &str {
        self.database.as_deref().unwrap_or("0")
    }

    /// Returns the address for a user, of digits and plain letters like the password.
    pub(super) fn address(&self, user: &str, password: &str, path: &str) -> String {
        let (scheme, host) = (self.scheme, &self.host);
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{user}:{password}@{host}{port}/{path}")
    }

    /// Returns a command of Redis' own client.
    pub(super) fn redis_cli(&self, words: &[&str]) -> Command {
        let port = self.port.unwrap_or(6379).to_string();
        let mut program = vec!["redis-cli", "-h", &self.host, "-p", &port];
        if self.scheme == "rediss" {
            program.push("--tls");
        }
        if let Some(user) = &self.user {
            program.extend(["--user", user, "--askpass"]);
        }
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Command {
            program: owned(&program),
            words: owned(words),
            input: None,
        }
    }
}
