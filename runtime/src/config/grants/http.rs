//! What a section of grants says about HTTP.

use super::super::error::ConfigError;
use super::super::reader::Reader;
use celeriac_sandbox::HttpGrant;
use std::str::FromStr;

/// Most hosts, and most networks, that one section names (1,000): they are looked
/// through for each request.
const HOSTS: usize = 1_000;

/// Reads the hosts and the addresses that are that a section grants.
pub(super) fn read(reader: &mut Reader, section: &str) -> Result<HttpGrant, ConfigError> {
    Ok(HttpGrant {
        hosts: list(reader, &format!("{section}.http"))?,
        private: list(reader, &format!("{section}.http_private"))?,
    })
}

fn list<T: FromStr<Err = String>>(reader: &mut Reader, key: &str) -> Result<Vec<T>, ConfigError> {
    let (texts, source_place) = reader.list(key, &[])?;
    let wrong = |value: String, reason| ConfigError::Wrong {
        key: key.to_owned(),
        value,
        reason,
        source_place: source_place.clone(),
    };
    if texts.len() > HOSTS {
        let reason = format!("at most {HOSTS} can be named");
        return Err(wrong(format!("{} of them", texts.len()), reason));
    }
    let read = |text: &String| {
        text.parse()
            .map_err(|reason| wrong(format!("{text:?}"), reason))
    };
    texts.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::{Config, RawConfig};
    use super::*;
    use std::path::Path;

    fn granted(text: &str) -> Result<HttpGrant, String> {
        let mut raw = RawConfig::default();
        let text = format!("[grants.web]\n{text}");
        raw.read_text(Path::new("c.toml"), &text).unwrap();
        let checked = Config::check(raw).map_err(|error| error.to_string());
        checked.map(|(config, _)| config.grants["web"].http.clone())
    }

    #[test]
    fn hosts_and_networks_are_read_as_they_are_written() {
        let grant = granted(
            "http = [\"api.example.com\", \"*.example.org:8443\"]\nhttp_private = [\"10.1.2.0/24\"]\n",
        );
        let grant = grant.unwrap();
        let hosts: Vec<String> = grant.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["api.example.com", "*.example.org:8443"]);
        assert_eq!(grant.private, ["10.1.2.0/24".parse().unwrap()]);
        assert_eq!(granted("submit = []\n").unwrap(), HttpGrant::default());
    }

    #[test]
    fn what_is_no_host_and_no_network_is_refused_with_what_is_wanted() {
        for (text, words) in [
            ("http = [\"*\"]", "a host is wanted, such as"),
            ("http = [\"ftp://a\"]", "a host is wanted, such as"),
            ("http = [\"https://a/path\"]", "a host is wanted, such as"),
            ("http = \"a\"", "a list of strings is wanted"),
            ("http_private = [\"localhost\"]", "an address or a network"),
            ("http_private = [\"10.0.0.1/8\"]", "has bits beyond"),
        ] {
            let error = granted(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
            assert!(error.contains("grants.\"web\".http"), "{text}: {error}");
        }
        let many: Vec<String> = (0..=HOSTS).map(|n| format!("a{n}.test")).collect();
        let error = granted(&format!("http = {many:?}")).unwrap_err();
        assert!(error.contains("at most 1000 can be named"), "{error}");
    }
}
