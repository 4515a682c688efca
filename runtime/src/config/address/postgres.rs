//! The address of a database of a Postgres server.

use super::amqp::encoded;
use super::tls::decoded;
use super::{ServerUrl, server};
use std::path::PathBuf;

/// Postgres' own port.
const PORT: u16 = 5432;
/// What an address looks like.
const FORM: &str = "the form is db+postgresql://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE, with \
                    ?sslmode=MODE&sslrootcert=FILE&sslcert=FILE&sslkey=FILE&host=FOLDER as \
                    libpq has them";
/// The options that are taken, as libpq calls them.
const OPTIONS: [&str; 5] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "host"];
/// Those of them that are files.
const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];
/// What `sslmode` may be.
const MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// A database of a Postgres server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// The URL, complete: `postgresql://`, options included.
    pub server: ServerUrl,
}

impl PostgresUrl {
    /// Returns the files that the connection reads: certificates and a key.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let options = self.server.secret().split_once('?');
        let pairs = options.map_or("", |(_, options)| options).split('&');
        let named = pairs.filter_map(|pair| pair.split_once('='));
        let files = named.filter(|(name, _)| FILES.contains(name));
        files
            .filter_map(|(_, file)| decoded(file).map(PathBuf::from))
            .collect()
    }

    /// Reads what follows `db+postgresql://` as SQLAlchemy and libpq do. The folder of a
    /// socket stands in the option `host`, and no other host beside it.
    pub(super) fn parse(rest: &str) -> Result<Self, String> {
        let (address, options) = rest.split_once('?').unwrap_or((rest, ""));
        if address.contains('#') {
            return Err(FORM.to_owned());
        }
        let (authority, database) = match address.rsplit_once('@') {
            // A password may have a slash.
            Some((_, place)) => {
                let path = place.split_once('/').map_or("", |(_, path)| path);
                let end = address.len() - place.len() + place.find('/').unwrap_or(place.len());
                (address.get(..end).unwrap_or(address), path)
            }
            None => address.split_once('/').unwrap_or((address, "")),
        };
        if database.is_empty() || database.contains('/') {
            return Err(format!("one database is wanted; {FORM}"));
        }
        let (credentials, place) = match authority.rsplit_once('@') {
            Some((credentials, place)) => (user_and_password(credentials), place),
            None => (String::new(), authority),
        };
        let (host, port) = server::host_and_port(place)
            .ok_or_else(|| format!("host and port cannot be read; {FORM}"))?;
        let options = read(options, place.is_empty())?;
        let port = port.unwrap_or(PORT);
        let database = encoded(database);
        Ok(Self {
            server: ServerUrl::complete(format!(
                "postgresql://{credentials}{host}:{port}/{database}{options}"
            )),
        })
    }
}

fn user_and_password(credentials: &str) -> String {
    match credentials.split_once(':') {
        Some((user, password)) => format!("{}:{}@", encoded(user), encoded(password)),
        None => format!("{}@", encoded(credentials)),
    }
}

/// Reads the options; `is_local` when there is no host before them.
fn read(options: &str, is_local: bool) -> Result<String, String> {
    let mut taken: Vec<(&str, String)> = Vec::new();
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let Some(name) = OPTIONS.into_iter().find(|known| *known == name) else {
            return Err(format!("{name:?} is no option of this address; {FORM}"));
        };
        if taken.iter().any(|(known, _)| *known == name) {
            return Err(format!("{name} stands there twice; {FORM}"));
        }
        let text = decoded(value)
            .ok_or_else(|| format!("{option}: %XX of UTF-8 text is wanted; {FORM}"))?;
        let is_fit = match name {
            "sslmode" => MODES.contains(&text.as_str()),
            "host" => is_local && text.starts_with('/'),
            _ => !text.is_empty(),
        };
        if !is_fit {
            return Err(format!(
                "{option} is not taken: sslmode is one of {}, host is the folder of a socket \
                 and no host stands before it, the others are files",
                MODES.join(", ")
            ));
        }
        taken.push((name, encoded(value)));
    }
    let has = |wanted| taken.iter().any(|(name, _)| *name == wanted);
    if has("sslcert") != has("sslkey") {
        return Err("sslcert and sslkey belong together".to_owned());
    }
    if is_local && !has("host") {
        return Err(format!("a host is wanted; {FORM}"));
    }
    let texts = taken.iter().map(|(name, value)| format!("{name}={value}"));
    let text = texts.collect::<Vec<_>>().join("&");
    Ok(match text.is_empty() {
        true => text,
        false => format!("?{text}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Result<String, String> {
        PostgresUrl::parse(rest).map(|url| url.server.secret().to_owned())
    }

    #[test]
    fn addresses_are_read_as_sqlalchemy_reads_them() {
        for (rest, whole) in [
            ("h/d", "postgresql://h:5432/d"),
            ("me@h/d", "postgresql://me@h:5432/d"),
            ("me:p%40w@h:7000/d", "postgresql://me:p%40w@h:7000/d"),
            ("me:p@w/x@h/d", "postgresql://me:p%40w%2Fx@h:5432/d"),
            ("[::1]:7000/my db", "postgresql://[::1]:7000/my%20db"),
            (
                "me@h/d?sslmode=verify-full&sslrootcert=/etc/my%20ca.pem",
                "postgresql://me@h:5432/d?sslmode=verify-full&sslrootcert=%2Fetc%2Fmy%20ca.pem",
            ),
            (
                "me@/d?host=/run/postgresql",
                "postgresql://me@localhost:5432/d?host=%2Frun%2Fpostgresql",
            ),
        ] {
            assert_eq!(parse(rest).as_deref(), Ok(whole), "{rest}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_would_be_one() {
        for (rest, words) in [
            ("", "one database is wanted"),
            ("h", "one database is wanted"),
            ("h/a/b", "one database is wanted"),
            ("/d", "a host is wanted"),
            ("h:x/d", "host and port cannot be read"),
            ("h/d#x", "the form is db+postgresql://"),
            ("h/d?options=-csearch_path%3Dx", "\"options\" is no option"),
            ("h/d?password=s3cret", "\"password\" is no option"),
            ("h/d?sslmode=on", "sslmode is one of disable, allow"),
            ("h/d?sslmode=require&sslmode=disable", "twice"),
            ("h/d?sslcert=c.pem", "belong together"),
            ("h/d?sslrootcert=", "the others are files"),
            ("h/d?host=/run", "no host stands before it"),
            ("/d?host=h", "the folder of a socket"),
            ("h/d?sslrootcert=%zz", "%XX of UTF-8"),
        ] {
            let error = parse(rest).unwrap_err();
            assert!(error.contains(words), "{rest}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_password_is_never_shown() {
        let url = PostgresUrl::parse("me:s3cret@h/d").unwrap();
        assert!(!format!("{url:?} {}", url.server).contains("s3cret"));
    }
}
