//! The lines of `inject`: `api.example.com Authorization: Bearer {API_TOKEN}`.

use super::super::values::check_name;
use celeriac_sandbox::{HostPattern, Injection, Secret};
use std::collections::BTreeMap;

/// Longest line, bytes.
const LINE_BYTES: usize = 1_024;
/// Headers that say how a message is framed or whom it is for, which is the host's business.
const NOT_THESE: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header with secrets, and the server it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectLine {
    scheme: String,
    host: String,
    port: u16,
    name: String,
    value: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Secret(String),
}

impl InjectLine {
    /// Reads a line; the error says what is wanted.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let form = || {
            "a server, a header and a secret are wanted, such as \"api.example.com Authorization: Bearer {API_TOKEN}\"".to_owned()
        };
        if line.len() > LINE_BYTES {
            return Err(format!("a line has at most {LINE_BYTES} bytes"));
        }
        let (server, header) = line.trim().split_once(' ').ok_or_else(form)?;
        let (name, value) = header.split_once(':').ok_or_else(form)?;
        let (scheme, host, port) = place(server).ok_or_else(|| {
            format!("{server:?} is not the name of one server, with a port or without")
        })?;
        let name = name.trim().to_ascii_lowercase();
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(is_token) || NOT_THESE.contains(&name.as_str()) {
            return Err(format!("{name:?} is no header that can be added"));
        }
        let value = pieces(value.trim())?;
        let has_secret = value.iter().any(|piece| matches!(piece, Piece::Secret(_)));
        if !has_secret {
            return Err("it names no secret, such as {API_TOKEN}".to_owned());
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            host,
            port,
            name,
            value,
        })
    }

    /// Returns the names of the secrets in it.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.value.iter().filter_map(|piece| match piece {
            Piece::Secret(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Puts the secrets in; one that is not known is left out.
    #[must_use]
    pub fn fill(&self, secrets: &BTreeMap<String, Secret>) -> Injection {
        let value: String = self
            .value
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Secret(name) => secrets.get(name).map_or("", Secret::expose),
            })
            .collect();
        Injection {
            scheme: self.scheme.clone(),
            host: self.host.clone(),
            port: self.port,
            name: self.name.clone(),
            value: Secret::new(value),
        }
    }
}

/// Reads `[SCHEME://]HOST[:PORT]`, as in the grant `http`: an address that is written in
/// another way than requests write it is the same. Without a scheme it is https: a secret
/// travels in the clear only where the operator wrote so.
fn place(server: &str) -> Option<(&'static str, String, u16)> {
    server.parse::<HostPattern>().ok()?.server()
}

/// Splits `Bearer {API_TOKEN}` into texts and names of secrets.
fn pieces(value: &str) -> Result<Vec<Piece>, String> {
    if !value.chars().all(|c| matches!(c, ' '..='~')) {
        return Err("the value of a header is printable ASCII".to_owned());
    }
    let mut pieces = Vec::new();
    let mut rest = value;
    while let Some((text, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').ok_or("a \"{\" has no \"}\"")?;
        check_name(name)?;
        pieces.push(Piece::Text(text.to_owned()));
        pieces.push(Piece::Secret(name.to_owned()));
        rest = behind;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &str) -> Result<(String, String, u16, String, String), String> {
        let secrets = [("TOKEN", "hunter2"), ("user", "ann")];
        let secrets = secrets.map(|(name, text)| (name.to_owned(), Secret::new(text)));
        let Injection {
            scheme,
            host,
            port,
            name,
            value,
        } = InjectLine::parse(line)?.fill(&secrets.into());
        Ok((scheme, host, port, name, value.expose().to_owned()))
    }

    #[test]
    fn a_line_is_a_server_a_header_and_secrets() {
        for (line, scheme, host, port, name, value) in [
            (
                "api.example.com Authorization: Bearer {TOKEN}",
                "https",
                "api.example.com",
                443,
                "authorization",
                "Bearer hunter2",
            ),
            (
                "API.example.com.:8443 X-Key:{TOKEN}",
                "https",
                "api.example.com",
                8443,
                "x-key",
                "hunter2",
            ),
            (
                "https://a.b  x: {user}:{TOKEN}!",
                "https",
                "a.b",
                443,
                "x",
                "ann:hunter2!",
            ),
            (
                "http://10.0.0.7:8080 x: {TOKEN}",
                "http",
                "10.0.0.7",
                8080,
                "x",
                "hunter2",
            ),
            (
                "http://[::1] x: {TOKEN}",
                "http",
                "[::1]",
                80,
                "x",
                "hunter2",
            ),
            (
                "[fd00::1]:8443 x: {TOKEN}",
                "https",
                "[fd00::1]",
                8443,
                "x",
                "hunter2",
            ),
            (
                "[2001:DB8:0::1] x: {TOKEN}",
                "https",
                "[2001:db8::1]",
                443,
                "x",
                "hunter2",
            ),
        ] {
            let wanted = (
                scheme.to_owned(),
                host.to_owned(),
                port,
                name.to_owned(),
                value.to_owned(),
            );
            assert_eq!(filled(line), Ok(wanted), "{line}");
        }
    }

    #[test]
    fn what_is_no_such_line_is_refused_with_what_is_wanted() {
        let long = format!("a.b x: {{TOKEN}}{}", "x".repeat(LINE_BYTES));
        for (line, words) in [
            ("", "a server, a header and a secret are wanted"),
            ("api.example.com", "a server, a header"),
            ("api.example.com Authorization", "a server, a header"),
            ("*.example.com x: {TOKEN}", "not the name of one server"),
            ("ftp://a.b x: {TOKEN}", "not the name of one server"),
            ("a.b:0 x: {TOKEN}", "not the name of one server"),
            ("a.b:99999 x: {TOKEN}", "not the name of one server"),
            ("a.b/path x: {TOKEN}", "not the name of one server"),
            ("user@a.b x: {TOKEN}", "not the name of one server"),
            ("[fd00::1 x: {TOKEN}", "not the name of one server"),
            ("[fd00::1%1] x: {TOKEN}", "not the name of one server"),
            ("[fd00:::1] x: {TOKEN}", "not the name of one server"),
            ("127.1 x: {TOKEN}", "not the name of one server"),
            ("a.b Host: {TOKEN}", "\"host\" is no header"),
            ("a.b x y: {TOKEN}", "\"x y\" is no header"),
            ("a.b x: hunter2", "it names no secret"),
            ("a.b x: {TOKEN", "a \"{\" has no \"}\""),
            ("a.b x: {a b}", "a name has 1 to 128"),
            ("a.b x: ä{TOKEN}", "printable ASCII"),
            (&long, "at most 1024 bytes"),
        ] {
            let error = filled(line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
