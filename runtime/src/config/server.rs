//! The control plane that a command or a worker works through: `server`, and the token for it.

use super::address::host_and_port;
use super::error::ConfigError;
use super::raw::Source;
use super::reader::Reader;
use celeriac_sandbox::Secret;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Longest token, bytes: ours have 81, and a proxy may want one of its own kind.
const TOKEN_BYTES: usize = 4_096;
/// Longest URL, bytes.
const URL_BYTES: usize = 2_048;
const FORM: &str = "the form is https://HOST[:PORT][/PATH], or http:// on this machine";

/// A control plane, and who asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where it is, `https://HOST[:PORT][/PATH]` without a slash at its end.
    pub url: String,
    /// The token that is shown to it.
    pub token: TokenSource,
    /// A file of the authorities whose certificates are trusted, PEM; `None` is those of the
    /// machine.
    pub authorities: Option<PathBuf>,
}

/// Where the token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// In the configuration or the environment.
    Text(Secret),
    /// In a file.
    File(PathBuf),
}

impl ServerConfig {
    /// Reads the keys; without `server` there is none, and then nobody may have a token for
    /// it: a command that was meant for a control plane must not change this machine.
    pub(super) fn read(reader: &mut Reader) -> Result<Option<Self>, ConfigError> {
        let url = reader.text("server", None, url, |url| url.clone().unwrap_or_default())?;
        let token = reader.secret("token", token)?;
        let file = path(reader, "token_file")?;
        let authorities = path(reader, "server_ca")?;
        let plain = reader.flag("server_plain", false)?;
        // The token itself wins: the variable for one command lies over the file of the machine.
        let (key, token) = match (token.as_str(), file) {
            ("", None) => ("", None),
            ("", Some(file)) => ("token_file", Some(TokenSource::File(file))),
            (text, _) => ("token", Some(TokenSource::Text(Secret::new(text)))),
        };
        match (url, token) {
            (None, None) => Ok(None),
            // Somebody said that none is meant, whatever the file names.
            (None, Some(_)) if reader.source("server") != Source::Default => Ok(None),
            (None, Some(token)) => Err(without_server(reader, key, &token)),
            (Some(url), None) => Err(wrong(
                reader,
                "server",
                &url,
                "there is no token for it; set CELERIAC_TOKEN or token_file",
            )),
            (Some(url), Some(_)) if is_readable_on_the_way(&url) && !plain => Err(wrong(
                reader,
                "server",
                &url,
                "the token could be read on the way; use https://, or set server_plain where the network is trusted",
            )),
            (Some(url), Some(token)) => Ok(Some(Self {
                url,
                token,
                authorities,
            })),
        }
    }
}

fn without_server(reader: &Reader, key: &str, token: &TokenSource) -> ConfigError {
    let shown = match token {
        TokenSource::Text(_) => "***".to_owned(),
        TokenSource::File(path) => path.display().to_string(),
    };
    let reason = "there is no server that it is for; name it with --server URL or CELERIAC_SERVER";
    wrong(reader, key, &shown, reason)
}

fn wrong(reader: &Reader, key: &str, value: &str, reason: &str) -> ConfigError {
    ConfigError::Wrong {
        key: key.to_owned(),
        value: format!("{value:?}"),
        reason: reason.to_owned(),
        source_place: reader.source(key),
    }
}

/// Reads the URL; an empty one is none, so that a flag can take back what a file says.
fn url(text: &str) -> Result<Option<String>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
    if !matches!(scheme, "http" | "https") || text.len() > URL_BYTES {
        return Err(FORM.to_owned());
    }
    if rest.contains('@') {
        return Err(format!("a token stands in CELERIAC_TOKEN; {FORM}"));
    }
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_path = |letter: char| letter.is_ascii_alphanumeric() || "-._~/".contains(letter);
    let is_up = path.split('/').any(|part| matches!(part, "." | ".."));
    let named = !place.is_empty() && !place.starts_with(':') && !place.contains('%');
    if !named || host_and_port(place).is_none() || is_up || !path.chars().all(is_path) {
        return Err(FORM.to_owned());
    }
    Ok(Some(text.trim_end_matches('/').to_owned()))
}

fn token(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.len() <= TOKEN_BYTES && text.chars().all(|letter| letter.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "a token is printable ASCII without spaces, of at most {TOKEN_BYTES} bytes"
        )),
    }
}

/// Tells whether others could listen: plain HTTP that leaves this machine.
fn is_readable_on_the_way(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let place = rest.split('/').next().unwrap_or(rest);
    let host = host_and_port(place).map_or(place, |(host, _)| host);
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
}

fn path(reader: &mut Reader, key: &str) -> Result<Option<PathBuf>, ConfigError> {
    let read = |text: &str| Ok(Some(PathBuf::from(text)).filter(|_| !text.is_empty()));
    reader.text(key, None, read, |path| {
        let path = path.as_deref().unwrap_or(Path::new(""));
        path.display().to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Effective, RawConfig};
    use super::*;

    fn check(text: &str) -> Result<(Option<ServerConfig>, Vec<Effective>), String> {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("c.toml"), text).unwrap();
        let checked = Config::check(raw).map_err(|error| error.to_string());
        checked.map(|(config, effective)| (config.server, effective))
    }

    fn server(url: &str) -> Result<String, String> {
        let checked = check(&format!("server = {url:?}\ntoken = \"clr_hunter2\"\n"));
        checked.map(|(server, _)| server.unwrap().url)
    }

    #[test]
    fn a_server_is_reached_over_tls_or_within_this_machine() {
        for (text, url) in [
            (
                "https://celeriac.example.com",
                "https://celeriac.example.com",
            ),
            ("https://h:8443/", "https://h:8443"),
            ("https://h/celeriac/", "https://h/celeriac"),
            ("http://127.0.0.1:8790", "http://127.0.0.1:8790"),
            ("http://[::1]:8790", "http://[::1]:8790"),
            ("http://localhost:8790", "http://localhost:8790"),
        ] {
            assert_eq!(server(text), Ok(url.to_owned()));
        }
        for plain in ["http://h", "http://10.0.0.1:8790", "http://localhost.evil"] {
            let error = server(plain).unwrap_err();
            assert!(error.contains("could be read on the way"), "{error}");
            let allowed = format!("server = {plain:?}\ntoken = \"t\"\nserver_plain = true\n");
            assert!(check(&allowed).unwrap().0.is_some());
        }
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused_with_the_form() {
        for text in [
            "h",
            "ftp://h",
            "https://",
            "https:///x",
            "https://:80",
            "https://h:x",
            "https://h/?a=b",
            "https://h#f",
            "https://a b",
            "https://h/../x",
            "https://me:pw@h",
        ] {
            let error = server(text).unwrap_err();
            assert!(error.contains("https://HOST[:PORT]"), "{text}: {error}");
            assert!(!error.contains("pw@"), "{error}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let text = "server = \"https://h\"\ntoken = \"clr_hunter2\"\n";
        let (server, effective) = check(text).unwrap();
        assert!(!format!("{server:?} {effective:?}").contains("hunter2"));
        let shown = effective.iter().find(|known| known.key == "token").unwrap();
        assert_eq!(shown.value, "\"***\"");
        let error = check("server = \"https://h\"\ntoken = \"hunter2 x\"\n").unwrap_err();
        assert!(error.contains("printable ASCII"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_token_and_a_server_belong_together() {
        for (text, words) in [
            (
                "token = \"hunter2\"\n",
                "token is \"***\": there is no server",
            ),
            (
                "token_file = \"/t\"\n",
                "token_file is \"/t\": there is no server",
            ),
            (
                "server = \"https://h\"\n",
                "there is no token for it; set CELERIAC_TOKEN",
            ),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(check("").unwrap().0, None);
        assert_eq!(check("server = \"\"\ntoken = \"t\"\n").unwrap().0, None);
    }

    #[test]
    fn the_token_itself_wins_over_the_file_of_one() {
        let text = "server = \"https://h\"\ntoken_file = \"/t\"\n";
        let of = |text: &str| check(text).unwrap().0.unwrap().token;
        assert_eq!(of(text), TokenSource::File("/t".into()));
        let both = format!("{text}token = \"x\"\n");
        assert_eq!(of(&both), TokenSource::Text(Secret::new("x")));
    }
}
