//! What a task says it wants, beside what it is granted.

use super::Grants;

/// Whether something that a task wants is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// It is.
    Granted,
    /// It is not; the line of configuration would grant it.
    Missing(String),
    /// It is no word for a grant.
    Unknown,
}

impl Grants {
    /// Looks a want up: `config:NAME`, `secret:NAME`, `key-value`, `scratch`,
    /// `submit:TASK`, `http:HOST` (as in the grant `http`).
    #[must_use]
    pub fn want(&self, want: &str) -> Want {
        let (kind, name) = want.split_once(':').unwrap_or((want, ""));
        let line = match (kind, name) {
            ("config", name) if !name.is_empty() => self.value(name).err(),
            ("secret", name) if !name.is_empty() => self.secret(name).err(),
            ("submit", name) if !name.is_empty() => self.submits(name).err(),
            ("http", name) if !name.is_empty() => match name.parse() {
                Ok(host) if self.http.hosts.contains(&host) => None,
                Ok(_) => Some(self.no_host(name)),
                Err(_) => return Want::Unknown,
            },
            ("key-value", "") => (self.key_value == 0).then(|| self.no_key_value()),
            ("scratch", "") => (self.scratch == 0).then(|| self.no_scratch()),
            _ => return Want::Unknown,
        };
        let Some(denial) = line else {
            return Want::Granted;
        };
        let line = denial.split_once(&self.place).map(|(_, line)| line.trim());
        Want::Missing(format!("{} {}", self.place, line.unwrap_or_default()))
    }
}

impl Grants {
    /// Lists all that is granted, in the words of wants, and `http-private:NETWORK` and
    /// `inject:SERVER` beside them.
    pub fn reach(&self) -> impl Iterator<Item = String> {
        let of = |kind: &str, name: &dyn std::fmt::Display| format!("{kind}:{name}");
        let submit = self.submit.iter().map(move |task| of("submit", task));
        let http = self.http.hosts.iter().map(move |host| of("http", host));
        let private = self.http.private.iter();
        let private = private.map(move |network| of("http-private", network));
        let values = self.values.keys().map(move |name| of("config", name));
        let secrets = self.secrets.keys().map(move |name| of("secret", name));
        let inject = self
            .inject
            .iter()
            .map(move |header| of("inject", &header.host));
        let key_value = (self.key_value > 0).then(|| "key-value".to_owned());
        let scratch = (self.scratch > 0).then(|| "scratch".to_owned());
        let named = submit.chain(http).chain(private).chain(values);
        named
            .chain(secrets)
            .chain(inject)
            .chain(key_value)
            .chain(scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::Secret;

    #[test]
    fn what_is_granted_is_listed_in_the_words_of_wants() {
        let mut grants = Grants::at("[grants.\"shop\"]");
        assert_eq!(grants.reach().count(), 0);
        grants.submit.push("mail.*".to_owned());
        grants.http.hosts.push("api.example.com".parse().unwrap());
        grants.http.private.push("10.0.0.0/8".parse().unwrap());
        grants.values.insert("GREETING".to_owned(), "hello".into());
        grants.secrets.insert("TOKEN".to_owned(), Secret::new("x"));
        grants.scratch = 1;
        grants.key_value = 1;
        let listed: Vec<String> = grants.reach().collect();
        let expected = [
            "submit:mail.*",
            "http:api.example.com",
            "http-private:10.0.0.0/8",
            "config:GREETING",
            "secret:TOKEN",
            "key-value",
            "scratch",
        ];
        assert_eq!(listed, expected);
        let wants = listed
            .iter()
            .filter(|listed| grants.want(listed) == Want::Granted);
        assert_eq!(wants.count(), expected.len() - 1, "a network is no want");
    }

    #[test]
    fn a_want_is_granted_or_told_with_its_line() {
        let mut grants = Grants::at("[grants.\"shop\"]");
        grants.submit.push("mail.*".to_owned());
        grants.values.insert("GREETING".to_owned(), "hello".into());
        grants.secrets.insert("TOKEN".to_owned(), Secret::new("x"));
        grants.scratch = 1;
        for want in [
            "submit:mail.send",
            "config:GREETING",
            "secret:TOKEN",
            "scratch",
        ] {
            assert_eq!(grants.want(want), Want::Granted, "{want}");
        }
        for (want, line) in [
            ("submit:a.b", r#"submit = ["mail.*", "a.b"]"#),
            ("config:CITY", r#"config = ["GREETING", "CITY"]"#),
            ("secret:KEY", r#"secrets = ["TOKEN", "KEY"]"#),
            ("key-value", r#"key_value = "1MiB""#),
        ] {
            let line = format!(r#"[grants."shop"] {line}"#);
            assert_eq!(grants.want(want), Want::Missing(line), "{want}");
        }
        for want in ["", "kv", "config", "config:", "scratch:a", "secrets:TOKEN"] {
            assert_eq!(grants.want(want), Want::Unknown, "{want}");
        }
    }
}
