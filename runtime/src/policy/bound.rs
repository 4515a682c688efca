//! What the modules of a tenant may reach at most, whatever is granted to them: texts
//! such as `http:api.acme.example`, read and checked here and nowhere else.

use super::grants::{Grant, Granted};
use crate::task::units;
use celeriac_sandbox::{HostPattern, HttpGrant, Secret};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most texts (256): all of them are looked through when a tenant's grants are made.
pub const TEXTS: usize = 256;
/// Longest text, bytes: the name of a host or a task, and what stands before it.
pub const TEXT_BYTES: usize = 300;
/// Most room in a key-value store (1 GiB), as in the configuration.
const KEY_VALUE: u64 = 1 << 30;
/// Most room for scratch files (256 MiB), as in the configuration.
const SCRATCH: u64 = 256 << 20;
/// No bound at all.
const EVERYTHING: &str = "everything";

/// What the modules of a tenant may reach at most; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bound {
    everything: bool,
    submit: BTreeSet<String>,
    http: Vec<HostPattern>,
    config: BTreeSet<String>,
    secrets: BTreeSet<String>,
    key_value: u64,
    scratch: u64,
}

/// A text that bounds nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoundError {
    /// It is something else.
    #[error("{text:?} is not {wanted}")]
    Form {
        /// Its beginning.
        text: String,
        /// What is wanted, with examples.
        wanted: &'static str,
    },
    /// There is more than can be.
    #[error("{0}")]
    Most(String),
}

const KINDS: &str = "what a tenant may reach: submit:PATTERN, http:HOST, config:NAME, secret:NAME, \
     key_value:16MiB, scratch:64MiB, or everything";

impl Bound {
    /// Reads the texts.
    ///
    /// # Errors
    /// [`BoundError`] names the text and what is wanted.
    pub fn read(texts: &[String]) -> Result<Self, BoundError> {
        if texts.len() > TEXTS {
            let told = format!("there are at most {TEXTS} of them, not {}", texts.len());
            return Err(BoundError::Most(told));
        }
        let mut bound = Self::default();
        for text in texts {
            bound.add(text)?;
        }
        Ok(bound)
    }

    fn add(&mut self, text: &str) -> Result<(), BoundError> {
        let wrong = |wanted| {
            let text = text.chars().take(80).collect();
            Err(BoundError::Form { text, wanted })
        };
        if text == EVERYTHING {
            self.everything = true;
            return Ok(());
        }
        let (kind, rest) = match text.split_once(':') {
            Some(parts) if text.len() <= TEXT_BYTES => parts,
            Some(_) | None => return wrong(KINDS),
        };
        match kind {
            "submit" if is_pattern(rest) => drop(self.submit.insert(rest.to_owned())),
            "submit" => {
                return wrong(
                    "submit: and the name of a task, or its beginning and a * at the end",
                );
            }
            "http" => match rest.parse() {
                Ok(host) => self.http.push(host),
                Err(_) => {
                    return wrong(
                        "http: and a host, such as http:api.example.com, http:*.example.org:8443 or http:http://internal.example",
                    );
                }
            },
            "config" if is_name(rest) => drop(self.config.insert(rest.to_owned())),
            "secret" if is_name(rest) => drop(self.secrets.insert(rest.to_owned())),
            "config" | "secret" => return wrong("config: or secret: and a name without spaces"),
            "key_value" => match units::bytes(rest) {
                Ok(bytes) if bytes <= KEY_VALUE => self.key_value = self.key_value.max(bytes),
                Ok(_) | Err(_) => {
                    return wrong("key_value: and a size up to 1GiB, such as key_value:16MiB");
                }
            },
            "scratch" => match units::bytes(rest) {
                Ok(bytes) if bytes <= SCRATCH => self.scratch = self.scratch.max(bytes),
                Ok(_) | Err(_) => {
                    return wrong("scratch: and a size up to 256MiB, such as scratch:64MiB");
                }
            },
            _ => return wrong(KINDS),
        }
        Ok(())
    }

    /// Narrows what the operator's configuration grants to somebody of the tenant.
    #[must_use]
    pub fn narrow(&self, grant: &Grant) -> Grant {
        if self.everything {
            return grant.clone();
        }
        let mut submit: Vec<String> = Vec::new();
        for granted in &grant.submit {
            submit.extend(self.submit.iter().filter_map(|most| meet(granted, most)));
        }
        let mut hosts: Vec<HostPattern> = Vec::new();
        for granted in &grant.http.hosts {
            hosts.extend(self.http.iter().filter_map(|most| granted.meet(most)));
        }
        submit.sort();
        submit.dedup();
        hosts.sort();
        hosts.dedup();
        let within = |names: &BTreeSet<String>, name: &String| names.contains(name);
        let values = grant
            .values
            .iter()
            .filter(|(name, _)| within(&self.config, name));
        let secrets = grant
            .secrets
            .iter()
            .filter(|(name, _)| within(&self.secrets, name));
        // A header goes to one server: where that cannot be reached, nor can its secret.
        let reaches = |scheme: &str, host: &str, port: u16| {
            let server = format!("{scheme}://{host}:{port}").parse::<HostPattern>();
            server.is_ok_and(|server| hosts.iter().any(|host| server.meet(host).is_some()))
        };
        let inject = grant.inject.iter();
        let inject = inject.filter(|one| reaches(&one.scheme, &one.host, one.port));
        Grant {
            submit,
            values: values
                .map(|(name, value)| (name.clone(), Arc::clone(value)))
                .collect(),
            secrets: secrets
                .map(|(name, secret)| (name.clone(), secret.clone()))
                .collect(),
            inject: inject.cloned().collect(),
            key_value: grant.key_value.min(self.key_value),
            scratch: grant.scratch.min(self.scratch),
            http: HttpGrant {
                private: match hosts.is_empty() {
                    true => Vec::new(),
                    false => grant.http.private.clone(),
                },
                hosts,
            },
        }
    }

    /// Narrows all that the operator's configuration grants within the tenant.
    #[must_use]
    pub fn narrow_all(&self, granted: &Granted) -> Granted {
        let each = granted.iter();
        each.map(|(whom, grant)| (whom.clone(), self.narrow(grant)))
            .collect()
    }

    /// Returns all that it lets through, as what is granted to every module of a tenant
    /// that is bounded by it alone. Values and secrets are those of the operator's
    /// configuration that it names; no bound at all grants nothing.
    #[must_use]
    pub fn whole(
        &self,
        values: &BTreeMap<String, Arc<str>>,
        secrets: &BTreeMap<String, Secret>,
    ) -> Grant {
        let values = self
            .config
            .iter()
            .filter_map(|name| values.get_key_value(name));
        let secrets = self
            .secrets
            .iter()
            .filter_map(|name| secrets.get_key_value(name));
        Grant {
            submit: self.submit.iter().cloned().collect(),
            http: HttpGrant {
                hosts: self.http.clone(),
                private: Vec::new(),
            },
            values: values
                .map(|(name, value)| (name.clone(), Arc::clone(value)))
                .collect(),
            secrets: secrets
                .map(|(name, secret)| (name.clone(), secret.clone()))
                .collect(),
            inject: Vec::new(),
            key_value: self.key_value,
            scratch: self.scratch,
        }
    }
}

/// The pattern of all tasks that two patterns stand for.
fn meet(one: &str, other: &str) -> Option<String> {
    let within = |one: &str, wider: &str| match wider.strip_suffix('*') {
        Some(beginning) => one.strip_suffix('*').unwrap_or(one).starts_with(beginning),
        None => one == wider,
    };
    if within(one, other) {
        Some(one.to_owned())
    } else {
        within(other, one).then(|| other.to_owned())
    }
}

fn is_pattern(text: &str) -> bool {
    let beginning = text.strip_suffix('*').unwrap_or(text);
    !text.is_empty() && !beginning.contains('*') && !text.chars().any(char::is_control)
}

fn is_name(text: &str) -> bool {
    let bad = |c: char| c.is_control() || c.is_whitespace();
    (1..=celeriac_sandbox::NAME_BYTES).contains(&text.len()) && !text.contains(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use celeriac_sandbox::Injection;
    use proptest::prelude::*;

    fn bound(texts: &[&str]) -> Bound {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Bound::read(&texts).unwrap()
    }

    fn grant() -> Grant {
        let named = |name: &str| (name.to_owned(), "text".into());
        let secret = |name: &str| (name.to_owned(), Secret::new("text"));
        let header = |host: &str| Injection {
            scheme: "https".to_owned(),
            host: host.to_owned(),
            port: 443,
            name: "authorization".to_owned(),
            value: Secret::new("Bearer"),
        };
        Grant {
            submit: vec!["images.*".to_owned(), "mail.send".to_owned()],
            http: HttpGrant {
                hosts: vec!["*.acme.example".parse().unwrap(), "b.test".parse().unwrap()],
                private: vec!["10.0.0.1".parse().unwrap()],
            },
            values: [named("GREETING"), named("OTHER")].into(),
            secrets: [secret("PAY"), secret("SMTP")].into(),
            inject: vec![header("api.acme.example"), header("b.test")],
            key_value: 2 << 20,
            scratch: 2 << 20,
        }
    }

    #[test]
    fn a_grant_is_narrowed_to_what_the_tenant_may_have() {
        let texts = [
            "submit:images.resize",
            "submit:mail.*",
            "http:api.acme.example",
            "config:GREETING",
            "secret:PAY",
            "secret:NONE",
            "key_value:1MiB",
            "scratch:64MiB",
        ];
        let narrowed = bound(&texts).narrow(&grant());
        assert_eq!(narrowed.submit, ["images.resize", "mail.send"]);
        let hosts: Vec<String> = narrowed
            .http
            .hosts
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(hosts, ["api.acme.example"]);
        assert_eq!(narrowed.http.private.len(), 1);
        assert!(narrowed.values.keys().eq(["GREETING"]));
        assert!(narrowed.secrets.keys().eq(["PAY"]));
        let headers: Vec<&str> = narrowed
            .inject
            .iter()
            .map(|one| one.host.as_str())
            .collect();
        assert_eq!(headers, ["api.acme.example"]);
        assert_eq!((narrowed.key_value, narrowed.scratch), (1 << 20, 2 << 20));
    }

    #[test]
    fn nothing_lets_nothing_through_and_everything_all_of_it() {
        assert_eq!(Bound::default().narrow(&grant()), Grant::default());
        let everything = bound(&["everything"]);
        assert_eq!(everything.narrow(&grant()), grant());
        let granted: Granted = [("images".to_owned(), grant())].into();
        assert_eq!(everything.narrow_all(&granted), granted);
        let none = Bound::default().narrow_all(&granted);
        assert_eq!(none["images"], Grant::default());
        // No bound is no grant.
        let whole = everything.whole(&grant().values, &grant().secrets);
        assert_eq!(whole, Grant::default());
    }

    #[test]
    fn what_is_granted_by_the_bound_alone_names_values_that_there_are() {
        let texts = [
            "http:a.test",
            "config:GREETING",
            "config:NONE",
            "secret:PAY",
            "submit:a.*",
        ];
        let own = bound(&texts);
        let whole = own.whole(&grant().values, &grant().secrets);
        assert!(whole.values.keys().eq(["GREETING"]));
        assert!(whole.secrets.keys().eq(["PAY"]));
        assert_eq!(own.narrow(&whole), whole);
    }

    #[test]
    fn a_text_that_bounds_nothing_is_refused_with_what_is_allowed() {
        for (bad, told) in [
            ("", "submit:PATTERN, http:HOST"),
            ("http", "submit:PATTERN, http:HOST"),
            ("files:/etc", "submit:PATTERN, http:HOST"),
            ("Everything", "submit:PATTERN, http:HOST"),
            ("http:", "such as http:api.example.com"),
            ("http:a b", "such as http:api.example.com"),
            ("http:user@a.test", "such as http:api.example.com"),
            ("submit:", "the name of a task"),
            ("submit:*.b*", "the name of a task"),
            ("config:", "a name without spaces"),
            ("secret:a b", "a name without spaces"),
            ("key_value:16", "such as key_value:16MiB"),
            ("key_value:2GiB", "up to 1GiB"),
            ("scratch:257MiB", "up to 256MiB"),
            (
                &format!("config:{}", "x".repeat(TEXT_BYTES)),
                "submit:PATTERN",
            ),
        ] {
            let error = Bound::read(&[bad.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(told), "{bad}: {error}");
            assert!(error.len() < 400, "{error}");
        }
        let many = vec!["submit:a.b".to_owned(); TEXTS + 1];
        let error = Bound::read(&many).unwrap_err().to_string();
        assert_eq!(error, "there are at most 256 of them, not 257");
        assert!(Bound::read(&many[1..]).is_ok());
    }

    proptest! {
        #[test]
        fn a_pattern_in_common_stands_for_what_both_stand_for(
            one in "[ab]{0,3}\\*?", other in "[ab]{0,3}\\*?", task in "[ab]{0,4}",
        ) {
            let fits = |pattern: &str| match pattern.strip_suffix('*') {
                Some(beginning) => task.starts_with(beginning),
                None => task == pattern,
            };
            let both = meet(&one, &other);
            prop_assert_eq!(both.is_some_and(|both| fits(&both)), fits(&one) && fits(&other));
        }

        #[test]
        fn no_text_is_too_odd_to_be_read(text in "\\PC{0,40}") {
            let _read = Bound::read(&[text]);
        }
    }
}
