//! The address of a RabbitMQ server.

use super::{ServerUrl, server};
use std::path::PathBuf;

/// RabbitMQ's own ports, plain and with TLS.
const PORTS: [u16; 2] = [5672, 5671];
/// The user and the password of a server that nobody changed.
const GUEST: &str = "guest:guest";
/// What an address looks like.
const FORM: &str = "the form is amqp://[USER:PASSWORD@]HOST[:PORT][/VHOST], or amqps:// with \
                    ?cacertfile=FILE&certfile=FILE&keyfile=FILE";

/// A virtual host of a RabbitMQ server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmqpUrl {
    /// The URL, complete.
    pub server: ServerUrl,
    /// Certificates of the authorities to trust beside the system's, PEM.
    pub authorities: Option<PathBuf>,
    /// Our own certificate and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl AmqpUrl {
    /// Reads what follows `amqp://` or `amqps://`, as kombu does: user, port and
    /// virtual host may be missing, and `amqp://h`, `amqp://h/` and `amqp://h//` are
    /// all the virtual host `/`. The options are those of RabbitMQ's own URLs.
    pub(super) fn parse(rest: &str, has_tls: bool) -> Result<Self, String> {
        let (address, options) = rest.split_once('?').unwrap_or((rest, ""));
        if address.contains('#') {
            return Err(FORM.to_owned());
        }
        let (authority, path) = address.split_once('/').unwrap_or((address, ""));
        let (credentials, place) = authority.rsplit_once('@').unwrap_or((GUEST, authority));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (host, port) = server::host_and_port(place)
            .ok_or_else(|| format!("{place:?} is no host and port; {FORM}"))?;
        let [plain, secure] = PORTS;
        let port = port.unwrap_or(if has_tls { secure } else { plain });
        let vhost = if path.is_empty() { "/" } else { path };
        let scheme = if has_tls { "amqps" } else { "amqp" };
        let server = ServerUrl::complete(format!(
            "{scheme}://{}:{}@{host}:{port}/{}",
            encoded(user),
            encoded(password),
            encoded(vhost)
        ));
        let (authorities, identity) = files(options, has_tls)?;
        Ok(Self {
            server,
            authorities,
            identity,
        })
    }
}

type Files = (Option<PathBuf>, Option<(PathBuf, PathBuf)>);

/// Reads the options: the authorities, and our certificate with its key.
fn files(options: &str, has_tls: bool) -> Result<Files, String> {
    let (mut authorities, mut certificate, mut key) = (None, None, None);
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let path = Some(decoded(value).into());
        match name {
            "cacertfile" if has_tls => authorities = path,
            "certfile" if has_tls => certificate = path,
            "keyfile" if has_tls => key = path,
            "verify" if has_tls && value == "verify_peer" => {}
            "verify" if has_tls => {
                return Err(format!(
                    "{option}: the server's certificate is always verified; name its authority with cacertfile"
                ));
            }
            _ => return Err(format!("{name:?} is no option of this address; {FORM}")),
        }
    }
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("certfile and keyfile belong together".to_owned()),
    };
    Ok((authorities, identity))
}

/// Writes a part of a URL so that nothing in it divides; what is encoded already
/// stays so.
fn encoded(part: &str) -> String {
    let mut encoded = String::new();
    for byte in part.bytes() {
        match byte {
            b'%' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Reads a part of a URL.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let hex = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(hex.unwrap_or(*first));
        rest = after
            .get(if hex.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> String {
        AmqpUrl::parse(rest, false)
            .unwrap()
            .server
            .secret()
            .to_owned()
    }

    #[test]
    fn addresses_are_read_as_kombu_reads_them() {
        for (rest, whole) in [
            ("", "amqp://guest:guest@localhost:5672/%2F"),
            ("h", "amqp://guest:guest@h:5672/%2F"),
            ("h/", "amqp://guest:guest@h:5672/%2F"),
            ("h//", "amqp://guest:guest@h:5672/%2F"),
            ("h/%2f", "amqp://guest:guest@h:5672/%2f"),
            ("h:7000/shop", "amqp://guest:guest@h:7000/shop"),
            ("h//shop", "amqp://guest:guest@h:5672/%2Fshop"),
            ("me:p%40w@h/a b", "amqp://me:p%40w@h:5672/a%20b"),
            ("me:p@w@h", "amqp://me:p%40w@h:5672/%2F"),
        ] {
            assert_eq!(parse(rest), whole, "{rest}");
        }
    }

    #[test]
    fn tls_has_its_own_port_and_files() {
        let options =
            "?cacertfile=/etc/my%20ca.pem&certfile=c.pem&keyfile=k.pem&verify=verify_peer";
        let url = AmqpUrl::parse(&format!("h{options}"), true).unwrap();
        assert_eq!(url.server.secret(), "amqps://guest:guest@h:5671/%2F");
        assert_eq!(url.authorities, Some("/etc/my ca.pem".into()));
        assert_eq!(url.identity, Some(("c.pem".into(), "k.pem".into())));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_would_be_one() {
        for (rest, has_tls, words) in [
            ("h:x", false, "the form is amqp://"),
            ("h#x", false, "the form is amqp://"),
            ("h?ssl=true", false, "no option of this address"),
            ("h?cacertfile=x", false, "no option of this address"),
            ("h?certfile=x", true, "belong together"),
            ("h?verify=verify_none", true, "always verified"),
        ] {
            let error = AmqpUrl::parse(rest, has_tls).unwrap_err();
            assert!(error.contains(words), "{rest}: {error}");
        }
    }

    #[test]
    fn the_password_is_never_shown() {
        let url = AmqpUrl::parse("me:s3cret@h", false).unwrap();
        assert!(!format!("{url:?} {}", url.server).contains("s3cret"));
    }
}
