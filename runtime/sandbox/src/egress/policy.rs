//! Where a guest may send requests: hosts by name, judged before anything is
//! resolved.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest name of a host, bytes: that of DNS.
const NAME_BYTES: usize = 253;
/// Longest part of it, bytes.
const LABEL_BYTES: usize = 63;

/// A host, by its name or by its address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Host {
    /// In lower case, without a dot at its end.
    Name(String),
    Address(IpAddr),
}

/// Where one request goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) is_secure: bool,
    pub(super) host: Host,
    pub(super) port: u16,
}

/// Hosts that may be reached: `api.example.com`, `*.example.org:8443`, or
/// `http://internal.example:8080`. Without a scheme it is https, without a port
/// that of the scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern {
    /// Stands for names below this one, too, and then not for itself.
    is_suffix: bool,
    target: Target,
}

impl Target {
    /// Reads the scheme and the authority of a request; `None` when they are none.
    pub(super) fn read(scheme: &str, authority: &str) -> Option<Self> {
        let is_secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (host, port) = divide(authority)?;
        Some(Self {
            is_secure,
            host: Host::read(host)?,
            port: match port {
                Some(port) => port.parse().ok().filter(|port| *port != 0)?,
                None => default_port(is_secure),
            },
        })
    }

    /// Returns the host and, where it is not the scheme's own, the port: the value
    /// of the header `host`.
    pub(super) fn authority(&self) -> String {
        match self.port == default_port(self.is_secure) {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Returns the pattern for this target alone, as an operator would write it.
    pub(super) fn pattern(&self) -> String {
        match self.is_secure {
            true => self.authority(),
            false => self.to_string(),
        }
    }
}

impl Host {
    fn read(text: &str) -> Option<Self> {
        if let Some(text) = text.strip_prefix('[') {
            let ip: Ipv6Addr = text.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(IpAddr::V6(ip)));
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(IpAddr::V4(ip)));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_one = name.len() <= NAME_BYTES && name.split('.').all(is_label);
        // What a resolver would take for a number: 127.1, 0x7f000001, 2130706433.
        let last = name.rsplit('.').next().unwrap_or("");
        let is_number = last.starts_with(|c: char| c.is_ascii_digit())
            && (last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit()));
        (is_one && !is_number).then_some(Self::Name(name))
    }
}

fn is_label(label: &str) -> bool {
    let is_good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=LABEL_BYTES).contains(&label.len()) && label.bytes().all(is_good)
}

impl HostPattern {
    /// Returns the scheme, the host and the port where it stands for one server alone,
    /// each as requests name it: `None` for names below another.
    #[must_use]
    pub fn server(&self) -> Option<(&'static str, String, u16)> {
        let Target {
            is_secure,
            host,
            port,
        } = &self.target;
        let scheme = if *is_secure { "https" } else { "http" };
        (!self.is_suffix).then(|| (scheme, host.to_string(), *port))
    }

    /// Returns the pattern for all that both stand for; `None` where there is nothing.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let narrower = |one: &Self, wider: &Self| match one.is_suffix {
            false => wider.fits(&one.target),
            // What stands below a name below another stands below that, too.
            true => wider.is_suffix && (one == wider || wider.fits(&one.target)),
        };
        if narrower(self, other) {
            Some(self.clone())
        } else {
            narrower(other, self).then(|| other.clone())
        }
    }

    /// Tells whether it stands for a target.
    pub(super) fn fits(&self, target: &Target) -> bool {
        let own = &self.target;
        if (own.is_secure, own.port) != (target.is_secure, target.port) {
            return false;
        }
        match (&own.host, &target.host) {
            (Host::Name(suffix), Host::Name(name)) if self.is_suffix => name
                .strip_suffix(suffix.as_str())
                .is_some_and(|rest| rest.ends_with('.')),
            (own, host) => own == host,
        }
    }
}

impl std::str::FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, authority) = text.split_once("://").unwrap_or(("https", text));
        let (is_suffix, host) = match authority.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, authority),
        };
        let target = Target::read(scheme, host)
            .filter(|target| !is_suffix || matches!(target.host, Host::Name(_)));
        let target = target.ok_or_else(|| {
            "a host is wanted, such as \"api.example.com\", \"*.example.org:8443\" or \
             \"http://internal.example:8080\""
                .to_owned()
        })?;
        Ok(Self { is_suffix, target })
    }
}

impl TryFrom<String> for HostPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(one: HostPattern) -> Self {
        one.to_string()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_suffix { "*." } else { "" };
        let scheme = if self.target.is_secure { "" } else { "http://" };
        write!(f, "{scheme}{star}{}", self.target.authority())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Divides `HOST[:PORT]`; names of users have no place in it.
fn divide(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.contains('@') {
        return None;
    }
    let after = authority.rfind(']').map_or(0, |at| at + 1);
    let colon = authority.get(after..)?.find(':').map(|at| after + at);
    Some(match colon {
        Some(at) => (authority.get(..at)?, Some(authority.get(at + 1..)?)),
        None => (authority, None),
    })
}

fn default_port(is_secure: bool) -> u16 {
    if is_secure { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        let (scheme, authority) = url.split_once("://").unwrap();
        Target::read(scheme, authority).unwrap()
    }

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    #[test]
    fn what_two_patterns_have_in_common_is_the_narrower_one_or_nothing() {
        for (one, other, both) in [
            ("a.test", "a.test", Some("a.test")),
            ("a.test", "*.test", Some("a.test")),
            ("*.b.test", "*.test", Some("*.b.test")),
            ("*.test", "*.test", Some("*.test")),
            (
                "http://a.test:81",
                "http://*.test:81",
                Some("http://a.test:81"),
            ),
            ("10.0.0.1", "10.0.0.1", Some("10.0.0.1")),
            ("test", "*.test", None),
            ("a.test", "b.test", None),
            ("a.test", "http://a.test", None),
            ("a.test:444", "*.test", None),
            ("*.a.test", "a.test", None),
            ("*.xtest", "*.test", None),
            ("*.a.test", "*.b.test", None),
        ] {
            let met = |one, other| pattern(one).meet(&pattern(other));
            let both = both.map(pattern);
            assert_eq!(met(one, other), both, "{one} {other}");
            assert_eq!(met(other, one), both, "{other} {one}");
        }
    }

    #[test]
    fn a_host_stands_for_itself_with_its_scheme_and_port() {
        let fits = |text: &str, url: &str| pattern(text).fits(&target(url));
        for (text, url) in [
            ("api.example.com", "https://api.example.com"),
            ("API.example.com", "https://api.Example.com:443"),
            ("api.example.com.", "https://api.example.com."),
            (
                "https://api.example.com:8443",
                "https://api.example.com:8443",
            ),
            ("http://api.example.com", "http://api.example.com:80"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[0:0::1]:8080"),
            ("[2001:DB8:0::1]:8443", "https://[2001:db8::1]:8443"),
        ] {
            assert!(fits(text, url), "{text} {url}");
        }
        for (text, url) in [
            ("api.example.com", "http://api.example.com"),
            ("api.example.com", "http://api.example.com:443"),
            ("api.example.com", "https://api.example.com:8443"),
            ("api.example.com", "https://example.com"),
            ("api.example.com", "https://api.example.com.evil.test"),
            ("http://127.0.0.1", "http://[::ffff:127.0.0.1]"),
        ] {
            assert!(!fits(text, url), "{text} {url}");
        }
    }

    #[test]
    fn a_star_stands_for_names_below_and_for_no_address() {
        let below = pattern("*.example.org");
        for url in ["https://a.example.org", "https://a.b.example.org"] {
            assert!(below.fits(&target(url)), "{url}");
        }
        for url in [
            "https://example.org",
            "https://badexample.org",
            "https://1.1.1.1",
        ] {
            assert!(!below.fits(&target(url)), "{url}");
        }
        for text in ["*.1.1.1.1", "*.[::1]", "*", "*.", "a.*.b", "**.example.org"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_none() {
        for authority in [
            "",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:b",
            "user@a",
            "user:pass@a",
            "a b",
            "a..b",
            ".a",
            "-%41",
            "ä",
            "[::1",
            "[::1]x",
            "[1.2.3.4]",
            "[fe80::1%1]",
            "127.1",
            "2130706433",
            "0x7f000001",
            "1.2.3.0x4",
            "1.2.3.4.5",
        ] {
            assert_eq!(Target::read("https", authority), None, "{authority}");
        }
        assert_eq!(Target::read("ftp", "a"), None);
        let long = format!("{}.test", "a".repeat(LABEL_BYTES + 1));
        assert_eq!(Target::read("https", &long), None);
        let long = "a.".repeat(NAME_BYTES / 2 + 1) + "b";
        assert_eq!(Target::read("https", &long), None);
    }

    #[test]
    fn a_grant_arrives_in_another_process_as_it_is() {
        let grant = crate::HttpGrant {
            hosts: vec![pattern("*.example.org:8443"), pattern("http://[::1]")],
            private: vec!["10.1.2.0/24".parse().unwrap()],
        };
        let text = serde_json::to_string(&grant).unwrap();
        let line = r#"{"hosts":["*.example.org:8443","http://[::1]"],"private":["10.1.2.0/24"]}"#;
        assert_eq!(text, line);
        assert_eq!(
            serde_json::from_str::<crate::HttpGrant>(&text).unwrap(),
            grant
        );
        assert!(serde_json::from_str::<crate::HttpGrant>(&text.replace("*.", "*")).is_err());
    }

    #[test]
    fn a_pattern_is_shown_as_it_is_written() {
        for text in [
            "api.example.com",
            "*.example.org:8443",
            "http://internal.example:8080",
            "http://[::1]:8080",
        ] {
            assert_eq!(pattern(text).to_string(), text);
        }
        let shown = target("http://internal.example:8080").pattern();
        assert_eq!(shown, "http://internal.example:8080");
        assert_eq!(target("https://a.test:443").pattern(), "a.test");
    }
}
