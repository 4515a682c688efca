//! Headers with secrets, added to a guest's requests by the host.

use super::secret::Secret;
use serde::{Deserialize, Serialize};

/// A header that goes to one server and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injection {
    /// `https`, or `http` where the operator wrote so.
    pub scheme: String,
    /// The name of the server, in lower case, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name of the header, in lower case.
    pub name: String,
    /// Its value, with the secrets in it.
    pub value: Secret,
}

impl Injection {
    /// Tells whether it is for requests to a server: the very one that is named.
    pub(crate) fn is_for(&self, scheme: &str, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.scheme.eq_ignore_ascii_case(scheme)
            && self.host.eq_ignore_ascii_case(host)
            && self.port == port
    }
}
