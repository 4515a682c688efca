//! The address of a Redis server, plain or with TLS.

use super::tls::TlsOptions;
use super::{ServerUrl, TlsPaths};
use std::fmt;

/// The options that redis-py and Celery take from an address.
const OPTIONS: TlsOptions = TlsOptions {
    authorities: "ssl_ca_certs",
    certificate: "ssl_certfile",
    key: "ssl_keyfile",
    verified: &[
        // As a client, Python verifies for all of them.
        (
            "ssl_cert_reqs",
            &["required", "optional", "CERT_REQUIRED", "CERT_OPTIONAL"],
        ),
        ("ssl_check_hostname", &["true", "True", "1"]),
    ],
    form: "the form is rediss://[[USER]:PASSWORD@]HOST[:PORT][/DB]\
           ?ssl_ca_certs=FILE&ssl_certfile=FILE&ssl_keyfile=FILE",
};

/// One database of a Redis server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// The URL, complete, without options.
    pub server: ServerUrl,
    /// The files that TLS needs beyond the system's own authorities.
    pub tls: TlsPaths,
}

impl RedisUrl {
    /// Reads what follows `redis://`.
    pub(super) fn plain(rest: &str) -> Result<Self, String> {
        Ok(Self {
            server: ServerUrl::redis(rest)?,
            tls: TlsPaths::default(),
        })
    }

    /// Reads what follows `rediss://`, with the options in it.
    pub(super) fn with_tls(rest: &str) -> Result<Self, String> {
        let (address, options) = rest.split_once('?').unwrap_or((rest, ""));
        let plain = ServerUrl::redis(address)
            .map_err(|error| error.replace("the form is redis://", "the form is rediss://"))?;
        let url = plain.secret().replacen("redis://", "rediss://", 1);
        Ok(Self {
            server: ServerUrl::complete(url),
            tls: OPTIONS.read(options)?,
        })
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_celery() {
        let options = "ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs=/etc/my%20ca.pem\
                       &ssl_certfile=c.pem&ssl_keyfile=k.pem&ssl_check_hostname=true";
        let url = RedisUrl::with_tls(&format!("me:p%40w@h/2?{options}")).unwrap();
        assert_eq!(url.server.secret(), "rediss://me:p%40w@h:6379/2");
        assert_eq!(url.tls.authorities, Some("/etc/my ca.pem".into()));
        assert_eq!(url.tls.identity, Some(("c.pem".into(), "k.pem".into())));
        assert_eq!(url.to_string(), "rediss://me:***@h:6379/2");
    }

    #[test]
    fn without_options_the_systems_authorities_are_trusted() {
        for rest in [
            "h",
            "h?",
            "h?ssl_cert_reqs=required&ssl_ca_certs=&ssl_certfile=&ssl_keyfile=",
        ] {
            let url = RedisUrl::with_tls(rest).unwrap();
            assert_eq!(url.server.secret(), "rediss://h:6379/0");
            assert_eq!(url.tls, TlsPaths::default(), "{rest}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_would_be_one() {
        for (rest, words) in [
            ("h:x", "the form is rediss://"),
            ("h?db=1", "no option of this address"),
            ("h?ssl_ca_certs=%", "%XX"),
            ("h?ssl_ca_certs=%zz", "%XX"),
            ("h?ssl_ca_certs=%ff", "%XX"),
            ("h?ssl_certfile=x", "belong together"),
            ("h?ssl_keyfile=x&ssl_certfile=", "belong together"),
            ("h?ssl_cert_reqs=none", "always verified"),
            ("h?ssl_cert_reqs=CERT_NONE", "always verified"),
            ("h?ssl_cert_reqs=", "always verified"),
            ("h?ssl_check_hostname=false", "always verified"),
        ] {
            let error = RedisUrl::with_tls(rest).unwrap_err();
            assert!(error.contains(words), "{rest}: {error}");
        }
        assert!(RedisUrl::plain("h?ssl_ca_certs=x").is_err());
    }
}
