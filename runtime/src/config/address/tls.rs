//! Files of certificates and keys among the options of an address.

use std::path::PathBuf;

/// Files of certificates and keys, PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsPaths {
    /// Certificates of the authorities to trust.
    pub authorities: Option<PathBuf>,
    /// Our own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How the options of one kind of address are called.
#[derive(Debug)]
pub(super) struct TlsOptions {
    /// The file of the authorities.
    pub(super) authorities: &'static str,
    /// The file of our certificate.
    pub(super) certificate: &'static str,
    /// The file of its key.
    pub(super) key: &'static str,
    /// What may weaken the verification elsewhere, and the values that do not.
    pub(super) verified: &'static [(&'static str, &'static [&'static str])],
    /// What such an address looks like.
    pub(super) form: &'static str,
}

impl TlsOptions {
    /// Reads what follows the `?` of an address.
    pub(super) fn read(&self, options: &str) -> Result<TlsPaths, String> {
        let (mut authorities, mut certificate, mut key) = (None, None, None);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = decoded(value)
                .ok_or_else(|| format!("{option}: %XX of UTF-8 text is wanted; {}", self.form))?;
            let path = Some(PathBuf::from(&value)).filter(|_| !value.is_empty());
            match name {
                _ if name == self.authorities => authorities = path,
                _ if name == self.certificate => certificate = path,
                _ if name == self.key => key = path,
                _ => self.check(name, &value, option)?,
            }
        }
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                let Self {
                    certificate, key, ..
                } = self;
                return Err(format!("{certificate} and {key} belong together"));
            }
        };
        Ok(TlsPaths {
            authorities,
            identity,
        })
    }

    /// Passes an option that asks for the verification that is done anyway.
    fn check(&self, name: &str, value: &str, option: &str) -> Result<(), String> {
        match self.verified.iter().find(|(known, _)| *known == name) {
            Some((_, harmless)) if harmless.contains(&value) => Ok(()),
            Some(_) => Err(format!(
                "{option}: the server's certificate and its name are always verified; \
                 name its authority with {}",
                self.authorities
            )),
            None => Err(format!(
                "{name:?} is no option of this address; {}",
                self.form
            )),
        }
    }
}

/// Reads a part of a URL; `None` when it is not UTF-8 or ends within an escape.
pub(super) fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let [high, low] = [rest.next()?, rest.next()?].map(char::from);
                let byte = high.to_digit(16)? * 16 + low.to_digit(16)?;
                u8::try_from(byte).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_whole_and_utf_8() {
        for (part, text) in [
            ("/etc/my%20ca.pem", Some("/etc/my ca.pem")),
            ("%c3%A4+", Some("ä+")),
            ("", Some("")),
            ("%", None),
            ("%2", None),
            ("%zz", None),
            ("%ff", None),
        ] {
            assert_eq!(decoded(part).as_deref(), text, "{part}");
        }
    }
}
