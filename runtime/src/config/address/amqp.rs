//! The address of a RabbitMQ server.

use super::tls::TlsOptions;
use super::{ServerUrl, TlsPaths, server};

/// RabbitMQ's own ports, plain and with TLS.
const PORTS: [u16; 2] = [5672, 5671];
/// The user and the password of a server that nobody changed.
const GUEST: &str = "guest:guest";
/// What an address looks like.
const FORM: &str = "the form is amqp://[USER:PASSWORD@]HOST[:PORT][/VHOST], or amqps:// with \
                    ?cacertfile=FILE&certfile=FILE&keyfile=FILE";

/// The options of RabbitMQ's own URLs.
const OPTIONS: TlsOptions = TlsOptions {
    authorities: "cacertfile",
    certificate: "certfile",
    key: "keyfile",
    verified: &[("verify", &["verify_peer"])],
    form: FORM,
};

/// A virtual host of a RabbitMQ server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmqpUrl {
    /// The URL, complete.
    pub server: ServerUrl,
    /// The files that TLS needs; its authorities are trusted beside the system's.
    pub tls: TlsPaths,
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
            .ok_or_else(|| format!("host and port cannot be read; {FORM}"))?;
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
        let tls = match options.split('&').find(|option| !option.is_empty()) {
            Some(option) if !has_tls => {
                let name = option.split_once('=').map_or(option, |(name, _)| name);
                return Err(format!("{name:?} is no option of this address; {FORM}"));
            }
            Some(_) | None => OPTIONS.read(options)?,
        };
        Ok(Self { server, tls })
    }
}

/// Writes a part of a URL so that nothing in it divides; what is encoded already
/// stays so.
pub(super) fn encoded(part: &str) -> String {
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
        assert_eq!(url.tls.authorities, Some("/etc/my ca.pem".into()));
        assert_eq!(url.tls.identity, Some(("c.pem".into(), "k.pem".into())));
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
