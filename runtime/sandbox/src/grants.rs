//! What a guest may reach beyond computing and returning.

mod injection;
mod secret;
mod wants;

pub use injection::Injection;
pub use secret::Secret;
pub use wants::Want;

use crate::defence::{Defence, stands};
use crate::egress::HttpGrant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

/// Longest name of a configuration value or a secret, bytes.
pub const NAME_BYTES: usize = 128;
/// Largest configuration value and secret (64 KiB): each is held by every worker.
pub const VALUE_BYTES: usize = 64 << 10;

/// The capabilities of one attempt. Without any, whatever a guest imports beyond
/// clocks, random numbers and its log answers with a denial.
///
/// Passing it by value at every call keeps the rule in one place: a guest gets
/// only what is listed here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grants {
    /// The tasks it may send: names, or beginnings of names and a `*`.
    pub submit: Vec<String>,
    /// What it may reach by HTTP.
    pub http: HttpGrant,
    /// The configuration values it may read, by name.
    pub values: BTreeMap<String, Arc<str>>,
    /// The secrets it may read, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// The headers that the host adds to its requests; their secrets it cannot read.
    pub inject: Vec<Injection>,
    /// Room in the key-value store of its module, bytes of keys and values; with 0 it
    /// has none.
    pub key_value: u64,
    /// Room for files of one attempt, bytes; with 0 it has none.
    pub scratch: u64,
    /// Where the operator writes what it may reach, such as `[grants."images"]`:
    /// a denial names the line that would allow it. Empty where there is no such
    /// place.
    pub place: String,
}

impl Grants {
    /// Grants nothing yet; see the fields.
    #[must_use]
    pub fn at(place: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            ..Self::default()
        }
    }

    /// Says whether the guest may send a task; the error is for its author.
    pub(crate) fn submits(&self, task: &str) -> Result<(), String> {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => task.starts_with(beginning),
            None => pattern == task,
        };
        if self.submit.iter().any(fits) || !stands(Defence::Grants) {
            return Ok(());
        }
        let granted = self.submit.iter().map(String::as_str).chain([task]);
        let granted: Vec<&str> = granted.collect();
        Err(self.denial(&format!("to send the task {task:?}"), "submit", &granted))
    }

    /// Returns a configuration value; the error is for the guest's author.
    pub(crate) fn value(&self, name: &str) -> Result<&Arc<str>, String> {
        self.values.get(name).ok_or_else(|| {
            let granted = names(self.values.keys(), name);
            let what = format!("to read the configuration value {:?}", short(name));
            self.denial(&what, "config", &granted)
        })
    }

    /// Returns a secret; the error is for the guest's author.
    pub(crate) fn secret(&self, name: &str) -> Result<&Secret, String> {
        self.secrets.get(name).ok_or_else(|| {
            let granted = names(self.secrets.keys(), name);
            let what = format!("to read the secret {:?}", short(name));
            self.denial(&what, "secrets", &granted)
        })
    }

    /// Says that there is no key-value store for the guest.
    pub(crate) fn no_key_value(&self) -> String {
        self.denial("for the key-value store", "key_value", &"1MiB")
    }

    /// Says that a host may not be reached.
    fn no_host(&self, host: &str) -> String {
        let hosts = self.http.hosts.iter().map(ToString::to_string);
        let hosts: Vec<String> = hosts.chain([host.to_owned()]).collect();
        self.denial(&format!("to reach {host:?} by HTTP"), "http", &hosts)
    }

    /// Says that there are no files for the guest.
    pub(crate) fn no_scratch(&self) -> String {
        self.denial("for scratch files", "scratch", &"16MiB")
    }

    /// Names a missing grant, and the line that would be it.
    fn denial(&self, what: &str, key: &str, line: &dyn Debug) -> String {
        if self.place.is_empty() {
            return format!("no grant {what}");
        }
        format!(
            "no grant {what}; the operator's configuration would allow it by {} {key} = {line:?}",
            self.place
        )
    }
}

/// Names that are granted, and one more.
fn names<'a>(granted: impl Iterator<Item = &'a String>, name: &'a str) -> Vec<&'a str> {
    granted.map(String::as_str).chain([short(name)]).collect()
}

/// The beginning of a name that a guest chose: longer ones name nothing.
fn short(name: &str) -> &str {
    let end = (0..=NAME_BYTES.min(name.len())).rfind(|at| name.is_char_boundary(*at));
    name.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_grant_nothing_may_be_sent() {
        assert!(Grants::default().submits("a.b").is_err());
    }

    #[test]
    fn a_name_grants_itself_and_a_star_what_begins_so() {
        let grants = Grants {
            submit: vec!["mail.send".to_owned(), "images.*".to_owned()],
            ..Grants::at("[grants.\"shop\"]")
        };
        for task in ["mail.send", "images.resize", "images."] {
            assert_eq!(grants.submits(task), Ok(()), "{task}");
        }
        for task in ["mail.sendmail", "mail", "images", "", "*"] {
            assert!(grants.submits(task).is_err(), "{task}");
        }
        let denial = grants.submits("mail.read").unwrap_err();
        let line = r#"[grants."shop"] submit = ["mail.send", "images.*", "mail.read"]"#;
        assert!(denial.ends_with(line), "{denial}");
    }
    #[test]
    fn what_is_not_granted_is_denied_with_the_line_that_would_allow_it() {
        let mut grants = Grants::at("[grants.\"shop\"]");
        grants.values.insert("GREETING".to_owned(), "hello".into());
        grants
            .secrets
            .insert("TOKEN".to_owned(), Secret::new("hunter2"));
        assert_eq!(grants.value("GREETING").map(|value| &**value), Ok("hello"));
        assert_eq!(grants.secret("TOKEN").map(Secret::expose), Ok("hunter2"));
        for (denial, line) in [
            (
                grants.value("TOKEN").err(),
                r#"config = ["GREETING", "TOKEN"]"#,
            ),
            (
                grants.secret("GREETING").map(drop).err(),
                r#"secrets = ["TOKEN", "GREETING"]"#,
            ),
            (Some(grants.no_key_value()), r#"key_value = "1MiB""#),
            (Some(grants.no_scratch()), r#"scratch = "16MiB""#),
        ] {
            let denial = denial.unwrap_or_default();
            let line = format!(r#"allow it by [grants."shop"] {line}"#);
            assert!(denial.ends_with(&line), "{denial}");
        }
        let long = grants.value(&"ä".repeat(10_000)).unwrap_err();
        assert!(long.len() < 1_000, "{}", long.len());
        let nowhere = Grants::default().secret("TOKEN").map(drop);
        assert_eq!(
            nowhere,
            Err("no grant to read the secret \"TOKEN\"".to_owned())
        );
    }

    #[test]
    fn a_header_is_added_for_the_server_it_is_meant_for_and_no_other() {
        let mut grants = Grants::default();
        grants.inject.push(Injection {
            scheme: "https".to_owned(),
            host: "api.example.com".to_owned(),
            port: 443,
            name: "authorization".to_owned(),
            value: Secret::new("Bearer hunter2"),
        });
        let added = |scheme, host, port| -> Vec<(String, String)> {
            let added = grants.inject.iter();
            added
                .filter(|one| one.is_for(scheme, host, port))
                .map(|one| (one.name.clone(), one.value.expose().to_owned()))
                .collect()
        };
        for host in ["api.example.com", "API.example.COM", "api.example.com."] {
            let header = ("authorization".to_owned(), "Bearer hunter2".to_owned());
            assert_eq!(added("https", host, 443), [header], "{host}");
        }
        for (scheme, host, port) in [
            ("http", "api.example.com", 443),
            ("https", "api.example.com", 8443),
            ("https", "example.com", 443),
            ("https", "api.example.com.evil.org", 443),
            ("https", "xapi.example.com", 443),
            ("https", "", 443),
        ] {
            assert_eq!(added(scheme, host, port), [], "{scheme} {host} {port}");
        }
        assert!(grants.secret("authorization").is_err());
        assert!(!format!("{grants:?}").contains("hunter2"));
    }
}
